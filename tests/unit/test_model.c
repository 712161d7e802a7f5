/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model_parts.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/toy_layers.h"
#include "support/temp_file.h"
#include "support/feed.h"

static const char text[] =
    "gla: 1\nname: small\nvocab_size: 64\nd_model: 32\ntie_embeddings: %s\nblocks:\n"
    "  lin: {mixer: {type: gla, heads: 2}, ffn: {type: swiglu, d_ff: 64}}\n"
    "  attn: {mixer: {type: attention, heads: 4, kv_heads: 2}, ffn: {type: swiglu, d_ff: 64}}\n"
    "layers: [lin, attn, lin]\n";
enum { N = 64, D = 32 };

static gla_arch *small_arch(int tied)
{
    char buf[1024];
    gla_arch *arch;
    gla_diag diag;
    const int n = snprintf(buf, sizeof(buf), text, tied ? "true" : "false");

    cr_assert_eq(gla_arch_parse(buf, (size_t)n, "small.yaml", &arch, &diag), GLA_OK, "%s",
                 diag.message);
    return arch;
}

static gla_model *random_model(int tied, const gla_model_options *options)
{
    gla_arch *arch = small_arch(tied);
    gla_model *m;
    gla_diag diag;

    cr_assert_eq(gla_model_random(arch, options, &m, &diag), GLA_OK, "%s: %s", diag.where,
                 diag.message);
    gla_arch_free(arch);
    return m;
}

/* Logits of the last of some tokens. */
static void logits_of(gla_model *m, float *out)
{
    static const int32_t tokens[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5};
    gla_session *s;
    gla_diag diag;

    cr_assert_eq(gla_session_create(m, NULL, &s, &diag), GLA_OK, "%s", diag.message);
    cr_assert_eq(feed_logits(s, tokens, 11, out, &diag), GLA_OK, "%s: %s", diag.where,
                 diag.message);
    gla_session_free(s);
}

Test(model, the_seed_decides_everything)
{
    const gla_model_options one = {GLA_SIZED(gla_model_options), .seed = 1},
                            two = {GLA_SIZED(gla_model_options), .seed = 2};
    gla_model *a = random_model(0, &one), *b = random_model(0, &one), *c = random_model(0, &two);
    float x[N], y[N], z[N];

    logits_of(a, x);
    logits_of(b, y);
    logits_of(c, z);
    cr_expect_arr_eq(x, y, sizeof(x));
    cr_expect_arr_neq(x, z, sizeof(x));
    cr_expect_eq(gla_model_hash(a), gla_model_hash(b));
    cr_expect_neq(gla_model_hash(a), gla_model_hash(c));
    for (int i = 0; i < N; i++)
        cr_expect(isfinite(x[i]) && fabsf(x[i]) < 100, "%g", (double)x[i]);
    gla_model_free(a);
    gla_model_free(b);
    gla_model_free(c);
}

Test(model, every_dtype_of_weights_runs_and_is_counted)
{
    static const uint32_t dtypes[] = {GLA_DTYPE_F32, GLA_DTYPE_BF16, GLA_DTYPE_F16, GLA_DTYPE_I8,
                                      GLA_DTYPE_I4};
    uint64_t last = UINT64_MAX;

    for (size_t i = 0; i < 5; i++) {
        const gla_model_options o = {GLA_SIZED(gla_model_options), .weights_dtype = dtypes[i]};
        gla_model *m = random_model(0, &o);
        gla_memory memory;
        float x[N];

        logits_of(m, x);
        for (int j = 0; j < N; j++)
            cr_expect(isfinite(x[j]), "dtype %u", dtypes[i]);
        gla_model_memory(m, &memory, sizeof(memory));
        cr_expect_leq(memory.weights, last, "%s: %lu", gla_dtype_name(dtypes[i]), memory.weights);
        last = memory.weights;
        cr_expect_gt(memory.weights, gla_model_description(m)->params / 2);
        cr_expect_lt(memory.weights, gla_model_description(m)->params * 5);
        gla_model_free(m);
    }
}

Test(model, a_tied_embedding_is_in_memory_once)
{
    const gla_model_options o = {GLA_SIZED(gla_model_options), .weights_dtype = GLA_DTYPE_F32};
    gla_model *tied = random_model(1, &o), *free_ = random_model(0, &o);
    gla_memory a, b;
    float x[N];

    logits_of(tied, x);
    gla_model_memory(tied, &a, sizeof(a));
    gla_model_memory(free_, &b, sizeof(b));
    cr_expect_geq(b.weights - a.weights, N * D * sizeof(float));
    gla_model_free(tied);
    gla_model_free(free_);
}

Test(model, sessions_keep_a_closed_model_alive)
{
    gla_model *m = random_model(1, NULL);
    gla_session *s;
    float x[N];
    const int32_t token = 3;

    cr_assert_eq(gla_session_create(m, NULL, &s, NULL), GLA_OK);
    gla_model_free(m);
    cr_expect_eq(feed_logits(s, &token, 1, x, NULL), GLA_OK);
    gla_session_free(s);
}

static int cancel_third(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    int *n = ctx;

    cr_expect(what && done <= total);
    return ++*n == 3;
}

Test(model, loading_can_be_cancelled)
{
    int n = 0;
    gla_arch *arch = small_arch(0);
    const gla_model_options o = {GLA_SIZED(gla_model_options), .progress = cancel_third, .ctx = &n};
    gla_model *m;
    gla_diag diag;

    cr_expect_eq(gla_model_random(arch, &o, &m, &diag), GLA_E_CANCELLED);
    cr_expect_null(m);
    cr_expect_eq(n, 3);
    gla_arch_free(arch);
}

Test(model, limits_are_kept)
{
    gla_arch *arch = small_arch(0);
    gla_model *m;
    gla_diag diag;
    const gla_limits two_layers = {GLA_SIZED(gla_limits), .max_layers = 2};
    const gla_limits few_bytes = {GLA_SIZED(gla_limits), .max_bytes = 1000};
    gla_model_options o = {GLA_SIZED(gla_model_options), .limits = &two_layers};

    cr_expect_eq(gla_model_random(arch, &o, &m, &diag), GLA_E_LIMIT);
    cr_expect_str_eq(diag.message, "3 layers, at most 2 allowed");
    o = (gla_model_options){GLA_SIZED(gla_model_options), .limits = &few_bytes};
    cr_expect_eq(gla_model_random(arch, &o, &m, &diag), GLA_E_LIMIT);
    o = (gla_model_options){GLA_SIZED(gla_model_options), .max_batch_rows = 1u << 20};
    cr_expect_eq(gla_model_random(arch, &o, &m, &diag), GLA_E_INVALID);
    o = (gla_model_options){GLA_SIZED(gla_model_options), .kv_dtype = GLA_DTYPE_I64};
    cr_expect_eq(gla_model_random(arch, &o, &m, &diag), GLA_E_INVALID);
    gla_arch_free(arch);
}

/* rwkv7 mixes its values with those of the first block: by default of block 0. */
Test(model, rwkv7_needs_a_block_that_gives_its_value)
{
    static const char give[] = "  give: {mixer: {type: rwkv7, heads: 2, first: true}}\n";
    static const struct {
        const char *more, *layers;
        int given;
    } cases[] = {{"", "[attn, rwkv]", 0},
                 {"", "[rwkv, attn, rwkv]", 1},
                 {give, "[attn, give, rwkv]", 1},
                 {give, "[attn, rwkv, give]", 0}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char hybrid[512];
        gla_arch *arch;
        gla_model *m;
        gla_diag diag;
        const int n = snprintf(hybrid, sizeof(hybrid),
                               "gla: 1\nname: h\nvocab_size: 64\nd_model: 32\nblocks:\n"
                               "  attn: {mixer: {type: attention, heads: 4}}\n"
                               "  rwkv: {mixer: {type: rwkv7, heads: 2}}\n%slayers: %s\n",
                               cases[i].more, cases[i].layers);

        cr_assert_eq(gla_arch_parse(hybrid, (size_t)n, "h.yaml", &arch, &diag), GLA_OK, "%s",
                     diag.message);
        if (cases[i].given) {
            cr_expect_eq(gla_model_random(arch, NULL, &m, &diag), GLA_OK, "%s", diag.message);
        } else {
            cr_expect_eq(gla_model_random(arch, NULL, &m, &diag), GLA_E_SCHEMA);
            cr_expect_str_eq(diag.message,
                             "it reads 'rwkv7.v_first', which no layer before it gives");
            cr_expect(strstr(diag.where, "layers.1.mixer"), "%s", diag.where);
        }
        gla_model_free(m);
        gla_arch_free(arch);
    }
}

/* ---- from a file ---- */

/* A safetensors file of the tensors {name, dtype, shape, bytes}, all numbers 0. */
static const char *write_tensors(char path[TEMP_PATH], const char *header, size_t data_bytes)
{
    const size_t n = strlen(header);
    char *file = calloc(1, 8 + n + data_bytes);

    cr_assert_not_null(file);
    for (int i = 0; i < 8; i++)
        file[i] = (char)(n >> 8 * i);
    memcpy(file + 8, header, n);
    cr_assert(write_file(temp_path(path, "t.safetensors"), file, 8 + n + data_bytes));
    free(file);
    return path;
}

/* Opens a model of one test.weights layer (two vectors [4]) over such a file. */
static gla_status open_over(const char *header, size_t data_bytes, gla_diag *diag)
{
    gla_registry *r = toy_registry();
    gla_arch *arch = toy_arch("  b: {norm_at: none, ffn: {type: test.weights}}", "[b]");
    const gla_model_options o = {GLA_SIZED(gla_model_options), .registry = r};
    char path[TEMP_PATH];
    gla_weights *w;
    gla_model *m;
    gla_status st;

    write_tensors(path, header, data_bytes);
    cr_assert_eq(gla_weights_open(path, NULL, &w, diag), GLA_OK, "%s", diag->message);
    st = gla_model_create(arch, w, &o, &m, diag);
    gla_model_free(m);
    gla_weights_free(w);
    gla_arch_free(arch);
    gla_registry_free(r);
    unlink(path);
    return st;
}

Test(model, takes_vectors_of_every_float_type)
{
    gla_diag diag = {0};

    cr_expect_eq(
        open_over(
            "{\"layers.0.ffn.weight\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[0,8]},"
            "\"layers.0.ffn.bias\":{\"dtype\":\"F64\",\"shape\":[4],\"data_offsets\":[8,40]}}   ",
            40, &diag),
        GLA_OK, "%s", diag.message);
}

Test(model, names_a_tensor_of_the_wrong_shape_with_both_shapes)
{
    gla_diag diag = {0};

    cr_expect_eq(
        open_over(
            "{\"layers.0.ffn.weight\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
            "\"layers.0.ffn.bias\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[16,32]}}",
            32, &diag),
        GLA_E_SHAPE);
    cr_expect_str_eq(diag.message, "the file has shape [2, 2], the architecture needs [4]");
    cr_expect(strstr(diag.where, "layers.0.ffn.bias"), "%s", diag.where);
}

Test(model, refuses_a_vector_of_integers)
{
    gla_diag diag = {0};

    cr_expect_eq(
        open_over(
            "{\"layers.0.ffn.weight\":{\"dtype\":\"I32\",\"shape\":[4],\"data_offsets\":[0,16]},"
            "\"layers.0.ffn.bias\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,32]}}",
            32, &diag),
        GLA_E_SHAPE);
    cr_expect_str_eq(diag.message, "i32 numbers cannot be used for a vector");
}

Test(model, lists_what_is_missing)
{
    gla_diag diag = {0};

    cr_expect_eq(open_over("{\"other\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
                           16, &diag),
                 GLA_E_SHAPE);
    cr_expect_str_eq(diag.message, "2 tensors are missing: layers.0.ffn.weight, layers.0.ffn.bias");
}
