/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/program.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "support/toy_layers.h"

/* The program of a one-layer model, as text: "N=norm(X) Y=mixer(N) X=1*X+1*Y ...". */
static void print(const gla__program *p, char *buf, size_t size)
{
    static const char names[] = "XNYZS";
    size_t used = 0;

    buf[0] = '\0';
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const gla__step *s = &p->steps[i];
        const char *space = i ? " " : "";

        switch (s->kind) {
        case GLA__STEP_LAYER:
            used += (size_t)snprintf(buf + used, size - used, "%s%c=%s(%c)", space, names[s->dst],
                                     p->instances[s->instance].name, names[s->src]);
            break;
        case GLA__STEP_COMBINE:
            used +=
                (size_t)snprintf(buf + used, size - used, "%s%c=%g%c+%g%c", space, names[s->dst],
                                 (double)s->alpha, names[s->dst], (double)s->beta, names[s->src]);
            break;
        case GLA__STEP_SELECT:
            used += (size_t)snprintf(buf + used, size - used, "%sselect", space);
            break;
        default:
            used += (size_t)snprintf(buf + used, size - used, "%s%s(%c)", space,
                                     p->instances[s->instance].name, names[s->src]);
        }
        cr_assert_lt(used, size);
    }
}

static void expect_program(const char *block, const char *layers, const char *text)
{
    gla_registry *r = toy_registry();
    gla_arch *arch = toy_arch(block, layers);
    gla__program p;
    gla_diag diag;
    char buf[2048];

    cr_assert_eq(gla__program_create(arch, r, &p, &diag), GLA_OK, "%s", diag.message);
    print(&p, buf, sizeof(buf));
    cr_expect_str_eq(buf, text);
    gla__program_free(&p);
    gla_arch_free(arch);
    gla_registry_free(r);
}

Test(program, pre_norm)
{
    expect_program("  b: {mixer: {type: test.sum}, ffn: {type: test.scale}}", "[b]",
                   "X=embed(X) "
                   "N=layers.0.mixer_norm(X) Y=layers.0.mixer(N) X=1X+1Y "
                   "select N=layers.0.ffn_norm(X) Y=layers.0.ffn(N) X=1X+1Y "
                   "N=final_norm(X) head(N)");
}

Test(program, post_norm)
{
    expect_program("  b: {norm_at: post, mixer: {type: test.sum}}", "[b]",
                   "X=embed(X) Y=layers.0.mixer(X) N=layers.0.mixer_norm(Y) X=1X+1N "
                   "select N=final_norm(X) head(N)");
}

Test(program, sandwich_norm)
{
    expect_program("  b: {norm_at: sandwich, mixer: {type: test.sum}}", "[b]",
                   "X=embed(X) N=layers.0.mixer_norm(X) Y=layers.0.mixer(N) "
                   "N=layers.0.mixer_post_norm(Y) X=1X+1N select N=final_norm(X) head(N)");
}

Test(program, residual_norm)
{
    expect_program("  b: {norm_at: residual, mixer: {type: test.sum}}", "[b]",
                   "X=embed(X) N=layers.0.mixer_norm(X) X=0X+1N Y=layers.0.mixer(N) X=1X+1Y "
                   "select N=final_norm(X) head(N)");
}

Test(program, no_norm)
{
    expect_program("  b: {norm_at: none, mixer: {type: test.sum}}", "[b]",
                   "X=embed(X) Y=layers.0.mixer(X) X=1X+1Y select N=final_norm(X) head(N)");
}

Test(program, parallel_mixers_with_multipliers)
{
    expect_program("  b: {residual_multiplier: 0.5, mixer: [{type: test.sum, in_multiplier: 3}, "
                   "{type: test.scale, out_multiplier: 4}]}",
                   "[b]",
                   "X=embed(X) N=layers.0.mixer_norm(X) "
                   "S=0S+3N Y=layers.0.mixer.0(S) Z=0Z+1Y "
                   "Y=layers.0.mixer.1(N) Z=1Z+4Y "
                   "X=1X+0.5Z select N=final_norm(X) head(N)");
}

Test(program, an_ffn_with_a_state_sees_all_rows)
{
    expect_program("  b: {ffn: {type: test.sum}}", "[b]",
                   "X=embed(X) N=layers.0.ffn_norm(X) Y=layers.0.ffn(N) X=1X+1Y select "
                   "N=final_norm(X) head(N)");
}

Test(program, layers_are_numbered_as_the_pattern_expands)
{
    expect_program("  a: {norm_at: none, mixer: {type: test.sum}}\n"
                   "  f: {norm_at: none, ffn: {type: test.scale}}",
                   "[a, f, a]",
                   "X=embed(X) Y=layers.0.mixer(X) X=1X+1Y Y=layers.1.ffn(X) X=1X+1Y "
                   "Y=layers.2.mixer(X) X=1X+1Y select N=final_norm(X) head(N)");
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
