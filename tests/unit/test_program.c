/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/program.h"

#include <criterion/criterion.h>
#include <string.h>

#include "support/toy_layers.h"

/* The registry has the descriptors of the program's layers: it is freed after it. */
static gla_registry *make(const char *blocks, const char *layers, gla__program *p)
{
    gla_registry *r = toy_registry();
    gla_arch *arch = toy_arch(blocks, layers);
    gla_diag diag;

    cr_assert_eq(gla__program_create(arch, r, p, &diag), GLA_OK, "%s", diag.message);
    gla_arch_free(arch);
    return r;
}

/* Where the step stands that runs this layer; n_steps if none does. */
static uint32_t step_of(const gla__program *p, const char *name)
{
    uint32_t i = 0;

    while (i < p->n_steps &&
           (p->steps[i].kind == GLA__STEP_COMBINE || p->steps[i].kind == GLA__STEP_SELECT ||
            strcmp(p->instances[p->steps[i].instance].name, name) != 0))
        i++;
    return i;
}

/* Exactly these layers, each run once, in this order. */
static void expect_layers(const char *blocks, const char *layers, const char *const *names)
{
    gla__program p;
    gla_registry *r = make(blocks, layers, &p);
    uint32_t n = 0, before = 0;

    for (; names[n]; n++) {
        const uint32_t at = step_of(&p, names[n]);

        cr_expect_lt(at, p.n_steps, "%s: no %s", blocks, names[n]);
        cr_expect(!n || at > before, "%s: %s too early", blocks, names[n]);
        before = at;
    }
    cr_expect_eq(n, p.n_instances, "%s: %u layers", blocks, p.n_instances);
    gla__program_free(&p);
    gla_registry_free(r);
}
#define NAMES(...) ((const char *const[]){"embed", __VA_ARGS__, "final_norm", "head", NULL})

/* The names are those of the weights. */
Test(program, layers_have_their_names_and_their_order)
{
    expect_layers(
        "  b: {mixer: {type: test.sum}, ffn: {type: test.scale}}", "[b]",
        NAMES("layers.0.mixer_norm", "layers.0.mixer", "layers.0.ffn_norm", "layers.0.ffn"));
    expect_layers("  b: {norm_at: post, mixer: {type: test.sum}}", "[b]",
                  NAMES("layers.0.mixer", "layers.0.mixer_norm"));
    expect_layers("  b: {norm_at: sandwich, mixer: {type: test.sum}}", "[b]",
                  NAMES("layers.0.mixer_norm", "layers.0.mixer", "layers.0.mixer_post_norm"));
    expect_layers("  b: {norm_at: residual, mixer: {type: test.sum}}", "[b]",
                  NAMES("layers.0.mixer_norm", "layers.0.mixer"));
    expect_layers("  b: {norm_at: none, mixer: {type: test.sum}}", "[b]", NAMES("layers.0.mixer"));
    expect_layers("  b: {mixer: [{type: test.sum}, {type: test.scale}]}", "[b]",
                  NAMES("layers.0.mixer_norm", "layers.0.mixer.0", "layers.0.mixer.1"));
    expect_layers("  a: {norm_at: none, mixer: {type: test.sum}}\n"
                  "  f: {norm_at: none, ffn: {type: test.scale}}",
                  "[a, f, a]", NAMES("layers.0.mixer", "layers.1.ffn", "layers.2.mixer"));
}

/* What nobody reads the logits of is left out as early as the states allow. */
Test(program, rows_are_selected_after_the_last_layer_with_a_state)
{
    static const struct {
        const char *block, *last; /* that sees all rows */
        const char *next;         /* that sees those that are wanted */
    } cases[] = {
        {"  b: {mixer: {type: test.sum}, ffn: {type: test.scale}}", "layers.0.mixer",
         "layers.0.ffn_norm"},
        {"  b: {ffn: {type: test.sum}}", "layers.0.ffn", "final_norm"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gla__program p;
        gla_registry *r = make(cases[i].block, "[b]", &p);
        uint32_t at = 0;

        while (at < p.n_steps && p.steps[at].kind != GLA__STEP_SELECT)
            at++;
        cr_expect_lt(step_of(&p, cases[i].last), at, "%s", cases[i].block);
        cr_expect_lt(at, step_of(&p, cases[i].next), "%s", cases[i].block);
        gla__program_free(&p);
        gla_registry_free(r);
    }
}

Test(program, a_failing_layer_is_named)
{
    gla_registry *r = toy_registry();
    gla_arch *arch = toy_arch("  b: {mixer: {type: gla, heads: 3}}", "[b]");
    gla__program p;
    gla_diag diag;

    cr_assert_neq(gla__program_create(arch, r, &p, &diag), GLA_OK);
    cr_expect(strstr(diag.where, "toy.yaml: layers.0.mixer (gla.gla/1)"), "%s", diag.where);
    cr_expect_eq(diag.line, 9);
    gla_arch_free(arch);
    gla_registry_free(r);
}
