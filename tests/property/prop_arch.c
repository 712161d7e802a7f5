/* SPDX-License-Identifier: Apache-2.0
 *
 * Law 10: printing an architecture and parsing it again gives the same architecture. */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/splitmix.h"
#include "support/arch_block.h"

#define SEEDS 200

static uint64_t state;

static uint32_t below(uint32_t n)
{
    return (uint32_t)(gla__splitmix_next(&state) >> 33) % n;
}

static double random_number(void)
{
    switch (below(6)) {
    case 0:
        return (double)below(5000);
    case 1:
        return -(double)below(100) / 8;
    case 2:
        return 1e-6 * (double)below(1000);
    case 3:
        return below(2) ? INFINITY : -INFINITY;
    case 4:
        return ldexp((double)below(1u << 31) + 0.1, (int)below(400) - 200);
    default:
        return (double)((uint64_t)below(1u << 31) << 22);
    }
}

static const char *random_text(void)
{
    static const char *const texts[] = {
        "silu",       "no",          "true",   "null",       "~",       "",          "12",
        "-0.5",       "1e3",         ".inf",   "with blank", "a: b",    "#x",        "{x}",
        "\"quoted\"", "back\\slash", "'",      "- item",     "ünïcode", "a-b_c.d/e", "Yes",
        "NaN",        "0x10",        "1_000",  "&a",         "*a",      "!t",        "<<",
        "trailing ",  " lead",       "日本語", "%TAG"};

    return texts[below(sizeof(texts) / sizeof(texts[0]))];
}

static void random_param(gla_arch_layer *l)
{
    static const char *const names[] = {"heads", "rope",       "rope.theta",    "rope.scale.a",
                                        "a.b.c", "a.b.d",      "a.e",           "x1",
                                        "eps",   "rope.x_2.y", "a_long_name_x", "rope.scale.b"};
    const char *name = names[below(sizeof(names) / sizeof(names[0]))];
    double list[40];
    uint32_t n = 0;

    switch (below(5)) {
    case 0:
        cr_assert_eq(gla_arch_set_bool(l, name, (int)below(2), NULL), GLA_OK);
        break;
    case 1:
        cr_assert_eq(gla_arch_set_string(l, name, random_text(), NULL), GLA_OK);
        break;
    case 2:
        for (n = below(40); n && n < 40 && below(20); n++)
            ;
        for (uint32_t i = 0; i < n; i++)
            list[i] = random_number();
        cr_assert_eq(gla_arch_set_list(l, name, list, n, NULL), GLA_OK);
        break;
    default:
        cr_assert_eq(gla_arch_set_number(l, name, random_number(), NULL), GLA_OK);
    }
}

static void random_layer(gla_arch_layer *l, int in_block)
{
    static const char *const types[] = {"gla", "attention", "gla.gla/1", "org.example.x-y/12",
                                        "true"};

    cr_assert_eq(gla_arch_layer_init(l, types[below(5)], NULL), GLA_OK);
    for (uint32_t n = below(10); n > 0; n--)
        random_param(l);
    if (in_block && !below(3))
        l->in_multiplier = random_number();
    if (in_block && !below(3))
        l->out_multiplier = random_number();
}

static void random_block(gla_arch *a, uint32_t i)
{
    char name[16];
    gla_arch_block *b;

    snprintf(name, sizeof(name), below(2) ? "b%u" : "no-%u_x", i);
    b = add_block(a, name);
    b->n_mixers = below(4);
    for (uint32_t k = 0; k < b->n_mixers; k++)
        random_layer(&b->mixers[k], 1);
    if (!b->n_mixers || below(3))
        random_layer(&b->ffn, 1);
    b->norm_at = below(5);
    if (!below(3))
        random_layer(&b->norm, 0);
    b->mixer_skip = below(2) ? 1 : random_number();
    b->ffn_skip = below(2) ? b->mixer_skip : random_number();
    b->mixer_residual = below(2) ? 1 : random_number();
    b->ffn_residual = below(2) ? b->mixer_residual : random_number();
    b->weights_dtype = below(2) ? 0 : 1 + below(5);
}

/* Half of the time a period with exceptions, as real models have; each block at least once. */
static void random_layers(gla_arch *a)
{
    static uint32_t layers[4096];
    const uint32_t period = 1 + below(6), n = period * (1 + below(below(8) ? 12 : 600));
    uint32_t base[6];

    for (uint32_t i = 0; i < period; i++)
        base[i] = below(a->n_blocks);
    for (uint32_t i = 0; i < n + a->n_blocks; i++)
        layers[i] = i < a->n_blocks ? i : below(16) ? base[i % period] : below(a->n_blocks);
    cr_assert_eq(gla_arch_set_layers(a, layers, n + a->n_blocks, NULL), GLA_OK);
}

static gla_arch *random_arch(void)
{
    gla_arch *a = gla_arch_new(random_text());
    const uint32_t n_blocks = 1 + below(4);

    a->vocab_size = 100 + below(1000);
    a->d_model = 1 + below(1u << 20);
    a->max_positions = below(2) * below(1u << 24);
    a->tie_embeddings = below(2);
    a->bos_token = (int32_t)below(100) - 1;
    a->n_eos = below(9);
    for (uint32_t i = 0; i < a->n_eos; i++)
        a->eos_tokens[i] = (int32_t)below(100);
    a->weights_dtype = below(6);
    random_layer(&a->norm, 0);
    if (below(2))
        random_layer(&a->final_norm, 0);
    if (below(2))
        random_layer(&a->embedding_norm, 0);
    if (below(2))
        random_param(&a->embedding);
    if (below(2))
        random_layer(&a->head, 0);
    for (uint32_t i = 0; i < n_blocks; i++)
        random_block(a, i);
    random_layers(a);
    return a;
}

static int same_text(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

static int same_layer(const gla_arch_layer *a, const gla_arch_layer *b)
{
    if (!same_text(a->type, b->type) || a->n_params != b->n_params ||
        a->in_multiplier != b->in_multiplier || a->out_multiplier != b->out_multiplier)
        return 0;
    for (uint32_t i = 0; i < a->n_params; i++) {
        const gla_arch_param *p = &a->params[i], *q = gla_arch_param_find(b, p->name);

        if (!q || p->kind != q->kind || p->number != q->number || p->n_list != q->n_list ||
            !same_text(p->string, q->string))
            return 0;
        for (uint32_t k = 0; k < p->n_list; k++) {
            if (p->list[k] != q->list[k])
                return 0;
        }
    }
    return 1;
}

static int same_block(const gla_arch_block *a, const gla_arch_block *b)
{
    if (!same_text(a->name, b->name) || a->n_mixers != b->n_mixers || a->norm_at != b->norm_at ||
        a->mixer_skip != b->mixer_skip || a->ffn_skip != b->ffn_skip ||
        a->mixer_residual != b->mixer_residual || a->ffn_residual != b->ffn_residual ||
        a->weights_dtype != b->weights_dtype)
        return 0;
    for (uint32_t i = 0; i < a->n_mixers; i++) {
        if (!same_layer(&a->mixers[i], &b->mixers[i]))
            return 0;
    }
    return same_layer(&a->ffn, &b->ffn) && same_layer(&a->norm, &b->norm);
}

static int same_arch(const gla_arch *a, const gla_arch *b)
{
    if (!same_text(a->name, b->name) || a->vocab_size != b->vocab_size ||
        a->d_model != b->d_model || a->max_positions != b->max_positions ||
        a->tie_embeddings != b->tie_embeddings || a->bos_token != b->bos_token ||
        a->n_eos != b->n_eos || a->weights_dtype != b->weights_dtype ||
        memcmp(a->eos_tokens, b->eos_tokens, a->n_eos * sizeof(a->eos_tokens[0])) ||
        a->n_blocks != b->n_blocks || a->n_layers != b->n_layers ||
        memcmp(a->layers, b->layers, a->n_layers * sizeof(a->layers[0])))
        return 0;
    for (uint32_t i = 0; i < a->n_blocks; i++) {
        if (!same_block(&a->blocks[i], &b->blocks[i]))
            return 0;
    }
    return same_layer(&a->norm, &b->norm) && same_layer(&a->final_norm, &b->final_norm) &&
           same_layer(&a->embedding, &b->embedding) && same_layer(&a->head, &b->head) &&
           same_layer(&a->embedding_norm, &b->embedding_norm);
}

Test(arch_law, printing_and_parsing_gives_the_same)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        gla_arch *a, *b = NULL;
        gla_diag diag = {0};
        char *text, *again;
        size_t size, size_again;

        state = seed;
        a = random_arch();
        cr_assert_eq(gla_arch_print(a, &text, &size, &diag), GLA_OK, "seed %llu: %s",
                     (unsigned long long)seed, diag.message);
        cr_assert_eq(gla_arch_parse(text, size, "printed", &b, &diag), GLA_OK,
                     "seed %llu: %s at %u:%u of\n%s", (unsigned long long)seed, diag.message,
                     diag.line, diag.column, text);
        cr_assert(same_arch(a, b), "seed %llu:\n%s", (unsigned long long)seed, text);
        cr_assert_eq(gla_arch_print(b, &again, &size_again, &diag), GLA_OK);
        cr_assert_str_eq(text, again, "seed %llu", (unsigned long long)seed);
        gla_arch_free(b);
        cr_assert_eq(gla_arch_copy(a, &b, NULL), GLA_OK);
        cr_assert(same_arch(a, b), "seed %llu: copy", (unsigned long long)seed);
        gla_text_free(text);
        gla_text_free(again);
        gla_arch_free(a);
        gla_arch_free(b);
    }
}
