/* SPDX-License-Identifier: Apache-2.0 */
#include "math_test.h"

#include <gla/gla.h>

#include "base/blob.h"
#include "base/cpu.h"
#include "base/tensor.h"
#include "math/linear.h"

/* ---- weights of every dtype, with the numbers that they stand for ---- */

typedef struct weight {
    gla_tensor tensor;
    void *data, *aux;
    double *value; /* [groups * out, in] */
    size_t rows, in;
} weight;

static uint16_t to_bf16(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof(u));
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

static double from_bf16(uint16_t h)
{
    const uint32_t u = (uint32_t)h << 16;
    float f;

    memcpy(&f, &u, sizeof(f));
    return (double)f;
}

static double from_f16(uint16_t h)
{
    const int e = (h >> 10) & 31, m = h & 1023;
    const double v = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);

    return h & 0x8000 ? -v : v;
}

/* Any finite half of ordinary size, denormals among them. */
static uint16_t random_f16(uint64_t *seed)
{
    const uint64_t r = gla__splitmix_next(seed);

    return (uint16_t)((r & 0x83ff) | (r >> 20 & 15) << 10);
}

static void fill_i4(weight *w, uint64_t *seed)
{
    const size_t groups = w->in / 32;
    uint8_t *q = w->data;
    uint16_t *aux = w->aux;

    for (size_t r = 0; r < w->rows; r++) {
        for (size_t g = 0; g < groups; g++) {
            const uint16_t s = random_f16(seed) & 0x7fff, m = random_f16(seed);

            aux[2 * (r * groups + g)] = s;
            aux[2 * (r * groups + g) + 1] = m;
            for (size_t j = 0; j < 16; j++) {
                const uint8_t b = (uint8_t)gla__splitmix_next(seed);

                q[(r * groups + g) * 16 + j] = b;
                w->value[r * w->in + g * 32 + j] = from_f16(s) * (b & 15) + from_f16(m);
                w->value[r * w->in + g * 32 + 16 + j] = from_f16(s) * (b >> 4) + from_f16(m);
            }
        }
    }
}

static void fill_weight(weight *w, uint64_t *seed)
{
    const uint32_t dtype = w->tensor.dtype;

    if (dtype == GLA_DTYPE_I4) {
        fill_i4(w, seed);
        return;
    }
    for (size_t i = 0; i < w->rows * w->in; i++) {
        const float f = math_test_normal(seed);

        if (dtype == GLA_DTYPE_F32) {
            ((float *)w->data)[i] = f;
            w->value[i] = (double)f;
        } else if (dtype == GLA_DTYPE_BF16) {
            ((uint16_t *)w->data)[i] = to_bf16(f);
            w->value[i] = from_bf16(to_bf16(f));
        } else if (dtype == GLA_DTYPE_F16) {
            const uint16_t h = random_f16(seed);

            ((uint16_t *)w->data)[i] = h;
            w->value[i] = from_f16(h);
        } else {
            const int8_t q = (int8_t)((int)(gla__splitmix_next(seed) % 255) - 127);

            if (i % w->in == 0)
                ((float *)w->aux)[i / w->in] = 0.01f * fabsf(f) + 1e-4f;
            ((int8_t *)w->data)[i] = q;
            w->value[i] = (double)q * (double)((float *)w->aux)[i / w->in];
        }
    }
}

static weight new_weight(uint32_t dtype, size_t groups, size_t out, size_t in, uint64_t *seed)
{
    weight w = {.rows = groups * out, .in = in};
    uint64_t data, aux;

    w.tensor.dtype = dtype;
    w.tensor.ndim = groups > 1 ? 3 : 2;
    w.tensor.dims[0] = (int64_t)(groups > 1 ? groups : out);
    w.tensor.dims[1] = (int64_t)(groups > 1 ? out : in);
    w.tensor.dims[2] = groups > 1 ? (int64_t)in : 0;
    cr_assert_eq(gla__tensor_bytes(dtype, w.tensor.ndim, w.tensor.dims, &data, &aux), GLA_OK);
    w.tensor.data = w.data = gla__alloc_zero(data); /* exact size: asan sees reads past the end */
    w.tensor.aux = w.aux = aux ? gla__alloc_zero(aux) : NULL;
    w.value = gla__alloc(w.rows * in * sizeof(double));
    fill_weight(&w, seed);
    return w;
}

static void free_weight(weight *w)
{
    gla__free(w->data);
    gla__free(w->aux);
    gla__free(w->value);
}

/* ---- y = W x + b against doubles ---- */

static double largest(const float *x, size_t n)
{
    double top = 0;

    for (size_t i = 0; i < n; i++)
        top = fabs((double)x[i]) > top ? fabs((double)x[i]) : top;
    return top;
}

/* int8 and int4: activations are rounded to 8 bits, half a step of max / 127 each. */
static void expect_product(const weight *w, const float *bias, size_t first_row, size_t out,
                           const float *x, size_t ld_x, const float *y, size_t ld_y, size_t rows,
                           double rtol)
{
    float *got = gla__alloc(rows * out * sizeof(float));
    double *want = gla__alloc(rows * out * sizeof(double)),
           *size = gla__alloc(rows * out * sizeof(double));
    char what[96];
    const size_t block = w->tensor.dtype == GLA_DTYPE_I8   ? 512
                         : w->tensor.dtype == GLA_DTYPE_I4 ? 32
                                                           : 0;

    for (size_t r = 0; r < rows; r++) {
        for (size_t o = 0; o < out; o++) {
            double s = 0, a = 0, top = 0;

            for (size_t i = 0; i < w->in; i++) {
                if (block && i % block == 0)
                    top = largest(x + r * ld_x + i, w->in - i < block ? w->in - i : block);
                a += fabs(w->value[(first_row + o) * w->in + i]) * top / 254 / rtol;
                const double t = w->value[(first_row + o) * w->in + i] * (double)x[r * ld_x + i];

                s += t;
                a += fabs(t);
            }
            got[r * out + o] = y[r * ld_y + o];
            want[r * out + o] = s + (bias ? (double)bias[o] : 0);
            size[r * out + o] = a + (bias ? fabs((double)bias[o]) : 0);
        }
    }
    snprintf(what, sizeof(what), "dtype %u, %zu rows, [%zu, %zu]", w->tensor.dtype, rows, out,
             w->in);
    math_test_close(got, want, size, rows * out, rtol, block ? 1e-3 : 1e-7, what);
    gla__free(got);
    gla__free(want);
    gla__free(size);
}

/* Sums of n terms in any order: n eps at worst, a small multiple of sqrt n eps as a rule. */
static double tolerance(size_t in)
{
    return (4 + 0.5 * sqrt((double)in)) * (double)FLT_EPSILON;
}

static void check_one(uint32_t dtype, size_t out, size_t in, size_t rows, bool with_bias,
                      size_t pad, uint64_t seed)
{
    const gla__math_needs needs = {.rows = (uint32_t)rows,
                                   .threads = gla_threads(),
                                   .linear_in = (uint32_t)in,
                                   .linear_out = (uint32_t)out};
    const gla_math *math = gla__math_table();
    math_test *t = math_test_new(&needs);
    weight w = new_weight(dtype, 1, out, in, &seed);
    float *bias = math_test_array(out, 1, &seed), *x = math_test_array(rows * (in + pad), 1, &seed),
          *y = math_test_array(rows * (out + pad), 1, &seed),
          *before = gla__alloc(rows * (out + pad) * sizeof(float));
    const gla_tensor *weights[] = {&w.tensor};
    const float *biases[] = {bias};
    const gla_linear_spec spec = {sizeof(spec), 1, weights, with_bias ? biases : NULL, 1, 0};
    gla_linear *l;

    memcpy(before, y, rows * (out + pad) * sizeof(float));
    cr_assert_eq(math->linear_create(NULL, &spec, &l), GLA_OK);
    cr_assert_eq(math->linear(&t->batch, l, (uint32_t)rows, x, in + pad, y, out + pad), GLA_OK);
    expect_product(&w, with_bias ? bias : NULL, 0, out, x, in + pad, y, out + pad, rows,
                   tolerance(in));
    for (size_t r = 0; r < rows; r++) /* what lies between the rows is not ours */
        cr_assert_eq(
            memcmp(y + r * (out + pad) + out, before + r * (out + pad) + out, pad * sizeof(float)),
            0);
    math->linear_destroy(l);
    free_weight(&w);
    gla__free(bias);
    gla__free(x);
    gla__free(y);
    gla__free(before);
    math_test_free(t);
}

static void check_shapes(void)
{
    static const struct {
        size_t out, in, rows;
    } shapes[] = {{1, 1, 1},     {3, 5, 2},     {7, 31, 3},    {16, 32, 4},
                  {33, 96, 5},   {130, 64, 7},  {129, 100, 8}, {64, 160, 23},
                  {100, 96, 24}, {257, 65, 33}, {40, 33, 64},  {300, 128, 130}};

    for (uint32_t dtype = GLA_DTYPE_F32; dtype <= GLA_DTYPE_I4; dtype++) {
        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
            const size_t in = dtype == GLA_DTYPE_I4 ? (shapes[i].in + 31) / 32 * 32 : shapes[i].in;

            check_one(dtype, shapes[i].out, in, shapes[i].rows, i % 2, i % 3 * 5, 17 * i + dtype);
        }
    }
}

Test(linear, all_dtypes_and_odd_shapes_c)
{
    math_test_cpu("c");
    check_shapes();
}

Test(linear, all_dtypes_and_odd_shapes_avx2)
{
    math_test_cpu("avx2");
    check_shapes();
}

Test(linear, all_dtypes_and_odd_shapes_avx512)
{
    math_test_cpu("avx512");
    check_shapes();
}

Test(linear, one_thread)
{
    gla_set_threads(1);
    check_shapes();
}

Test(linear, many_rows)
{
    for (uint32_t dtype = GLA_DTYPE_F32; dtype <= GLA_DTYPE_I4; dtype++) {
        check_one(dtype, 70, 64, 600, true, 3, dtype);
        check_one(dtype, 200, 96, 513, false, 0, dtype);
    }
}

Test(linear, every_small_number_of_rows)
{
    for (size_t rows = 1; rows <= 40; rows++)
        check_one(rows % 2 ? GLA_DTYPE_BF16 : GLA_DTYPE_I8, 37, 70, rows, true, 1, rows);
}

Test(linear, long_rows)
{
    for (uint32_t dtype = GLA_DTYPE_F32; dtype <= GLA_DTYPE_I4; dtype++) {
        check_one(dtype, 20, 16384, 1, false, 0, dtype);
        check_one(dtype, 9, 8192, 40, false, 0, dtype);
    }
}

Test(linear, weights_may_go_away_after_creation)
{
    enum { OUT = 20, IN = 64 };
    const gla__math_needs needs = {.rows = 1, .threads = 1, .linear_in = IN};
    const gla_math *math = gla__math_table();
    math_test *t = math_test_new(&needs);
    uint64_t seed = 12;
    float *x = math_test_array(IN, 1, &seed), y[OUT];

    for (uint32_t dtype = GLA_DTYPE_F32; dtype <= GLA_DTYPE_I4; dtype++) {
        weight w = new_weight(dtype, 1, OUT, IN, &seed);
        uint64_t data, aux;
        gla_tensor given = w.tensor;
        const gla_tensor *weights[] = {&given};
        const gla_linear_spec spec = {sizeof(spec), 1, weights, NULL, 1, 0};
        gla_linear *whole, *view;
        char *blob;

        gla__tensor_bytes(dtype, 2, w.tensor.dims, &data, &aux);
        blob = gla__blob_new(data + aux); /* as the loader lays it out */
        memcpy(blob, w.data, data);
        if (aux)
            memcpy(blob + data, w.aux, aux);
        given.data = blob;
        given.aux = aux ? blob + data : NULL;
        cr_assert_eq(math->linear_create(NULL, &spec, &whole), GLA_OK);
        given = w.tensor;
        cr_assert_eq(math->linear_create(NULL, &spec, &view), GLA_OK);
        gla__blob_unref(blob); /* the loader lets go */
        memset(w.data, 0x7f, data);
        if (aux)
            memset(w.aux, 0x7f, aux);
        math->linear(&t->batch, whole, 1, x, IN, y, OUT);
        expect_product(&w, NULL, 0, OUT, x, IN, y, OUT, 1, tolerance(IN));
        math->linear(&t->batch, view, 1, x, IN, y, OUT);
        expect_product(&w, NULL, 0, OUT, x, IN, y, OUT, 1, tolerance(IN));
        cr_assert_geq(gla__linear_bytes(whole), data + aux);
        cr_assert_geq(gla__linear_bytes(view), data + aux);
        math->linear_destroy(whole);
        math->linear_destroy(view);
        cr_assert_eq(gla__blob_bytes(blob), 0); /* gone */
        free_weight(&w);
    }
    gla__free(x);
    math_test_free(t);
}

/* 8-bit products are exact: a row is the same alone, among few, and in a panel. */
Test(linear, a_row_has_the_same_bits_in_any_batch)
{
    enum { ROWS = 100, IN = 1184, OUT = 150 };
    static const uint32_t dtypes[] = {GLA_DTYPE_I8, GLA_DTYPE_I4};
    const gla__math_needs needs = {
        .rows = ROWS, .threads = gla_threads(), .linear_in = IN, .linear_out = OUT};
    const gla_math *math = gla__math_table();
    math_test *t = math_test_new(&needs);
    uint64_t seed = 21;
    float *x = math_test_array(ROWS * IN, 1, &seed), *all = math_test_array(ROWS * OUT, 1, &seed),
          *y = math_test_array(ROWS * OUT, 1, &seed);

    for (size_t d = 0; d < 2; d++) {
        weight w = new_weight(dtypes[d], 1, OUT, IN, &seed);
        const gla_tensor *weights[] = {&w.tensor};
        const gla_linear_spec spec = {sizeof(spec), 1, weights, NULL, 1, 0};
        gla_linear *l;

        cr_assert_eq(math->linear_create(NULL, &spec, &l), GLA_OK);
        cr_assert_eq(math->linear(&t->batch, l, ROWS, x, IN, all, OUT), GLA_OK);
        for (uint32_t rows = 1; rows < ROWS; rows = 2 * rows + 1) {
            for (uint32_t r = 0; r + rows <= ROWS; r += rows)
                cr_assert_eq(math->linear(&t->batch, l, rows, x + r * IN, IN, y + r * OUT, OUT),
                             GLA_OK);
            cr_assert_eq(memcmp(all, y, ROWS / rows * rows * OUT * sizeof(float)), 0,
                         "dtype %u, %u rows at a time", dtypes[d], rows);
        }
        math->linear_destroy(l);
        free_weight(&w);
    }
    gla__free(x);
    gla__free(all);
    gla__free(y);
    math_test_free(t);
}

Test(linear, nan_comes_through_8_bits)
{
    enum { ROWS = 40, IN = 600, OUT = 30 };
    const gla__math_needs needs = {
        .rows = ROWS, .threads = gla_threads(), .linear_in = IN, .linear_out = OUT};
    const gla_math *math = gla__math_table();
    math_test *t = math_test_new(&needs);
    uint64_t seed = 11;
    weight w = new_weight(GLA_DTYPE_I8, 1, OUT, IN, &seed);
    const gla_tensor *weights[] = {&w.tensor};
    const gla_linear_spec spec = {sizeof(spec), 1, weights, NULL, 1, 0};
    float *x = math_test_array(ROWS * IN, 1, &seed), *y = math_test_array(ROWS * OUT, 1, &seed);
    gla_linear *l;

    x[3 * IN + 550] = NAN;
    memset(x + 5 * IN, 0, IN * sizeof(float));
    cr_assert_eq(math->linear_create(NULL, &spec, &l), GLA_OK);
    cr_assert_eq(math->linear(&t->batch, l, ROWS, x, IN, y, OUT), GLA_OK);
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t o = 0; o < OUT; o++) {
            cr_assert_eq(isnan(y[r * OUT + o]), r == 3);
            cr_assert(r != 5 || y[r * OUT + o] == 0.0f);
        }
    }
    math->linear_destroy(l);
    free_weight(&w);
    gla__free(x);
    gla__free(y);
    math_test_free(t);
}

Test(linear, parts_of_different_dtypes_share_one_pass)
{
    enum { IN = 96, ROWS = 30 };
    static const size_t outs[] = {40, 7, 130, 16};
    static const uint32_t dtypes[] = {GLA_DTYPE_BF16, GLA_DTYPE_F32, GLA_DTYPE_I8, GLA_DTYPE_I4};
    const gla__math_needs needs = {
        .rows = ROWS, .threads = gla_threads(), .linear_in = IN, .linear_out = 193};
    const gla_math *math = gla__math_table();
    math_test *t = math_test_new(&needs);
    uint64_t seed = 5;
    weight w[4];
    const gla_tensor *weights[4];
    float *x = math_test_array(ROWS * IN, 1, &seed), *bias = math_test_array(7, 1, &seed),
          *y = math_test_array(ROWS * 193, 1, &seed);
    const float *biases[4] = {NULL, bias, NULL, NULL};
    const gla_linear_spec spec = {sizeof(spec), 4, weights, biases, 1, 0};
    gla_linear *l;

    for (size_t i = 0; i < 4; i++) {
        w[i] = new_weight(dtypes[i], 1, outs[i], IN, &seed);
        weights[i] = &w[i].tensor;
    }
    cr_assert_eq(math->linear_create(NULL, &spec, &l), GLA_OK);
    for (uint32_t rows = 1; rows <= ROWS; rows += ROWS - 1) {
        size_t first = 0;

        cr_assert_eq(math->linear(&t->batch, l, rows, x, IN, y, 193), GLA_OK);
        for (size_t i = 0; i < 4; first += outs[i++])
            expect_product(&w[i], biases[i], 0, outs[i], x, IN, y + first, 193, rows,
                           tolerance(IN));
    }
    math->linear_destroy(l);
    for (size_t i = 0; i < 4; i++)
        free_weight(&w[i]);
    gla__free(x);
    gla__free(y);
    gla__free(bias);
    math_test_free(t);
}

Test(linear, groups_take_their_own_rows)
{
    enum { E = 5, OUT = 70, IN = 64, ROWS = 104 };
    static const uint32_t offset[E + 1] = {0, 3, 3, 60, 61, 104};
    const gla__math_needs needs = {
        .rows = ROWS, .threads = gla_threads(), .linear_in = IN, .linear_out = OUT};
    const gla_math *math = gla__math_table();
    math_test *t = math_test_new(&needs);
    uint64_t seed = 6;
    float *x = math_test_array(ROWS * IN, 1, &seed), *bias = math_test_array(E * OUT, 1, &seed),
          *y = math_test_array(ROWS * OUT, 1, &seed);

    for (uint32_t dtype = GLA_DTYPE_F32; dtype <= GLA_DTYPE_I4; dtype++) {
        weight w = new_weight(dtype, E, OUT, IN, &seed);
        const gla_tensor *weights[] = {&w.tensor};
        const float *biases[] = {bias};
        const gla_linear_spec spec = {sizeof(spec), 1, weights, biases, E, 0};
        gla_linear *l;

        cr_assert_eq(math->linear_create(NULL, &spec, &l), GLA_OK);
        cr_assert_eq(math->linear_grouped(&t->batch, l, offset, x, IN, y, OUT), GLA_OK);
        for (size_t e = 0; e < E; e++) {
            const size_t o = offset[e], n = offset[e + 1] - o;

            if (n)
                expect_product(&w, bias + e * OUT, e * OUT, OUT, x + o * IN, IN, y + o * OUT, OUT,
                               n, tolerance(IN));
        }
        math->linear_destroy(l);
        free_weight(&w);
    }
    gla__free(x);
    gla__free(y);
    gla__free(bias);
    math_test_free(t);
}

Test(linear, transposed_storage_means_the_same_matrix)
{
    enum { OUT = 37, IN = 50, ROWS = 26 };
    static const uint32_t dtypes[] = {GLA_DTYPE_F32, GLA_DTYPE_BF16, GLA_DTYPE_F16};
    const gla__math_needs needs = {
        .rows = ROWS, .threads = gla_threads(), .linear_in = IN, .linear_out = OUT};
    const gla_math *math = gla__math_table();
    math_test *t = math_test_new(&needs);
    uint64_t seed = 7;
    float *x = math_test_array(ROWS * IN, 1, &seed), *y = math_test_array(ROWS * OUT, 1, &seed);

    for (size_t d = 0; d < 3; d++) {
        weight stored = new_weight(dtypes[d], 1, IN, OUT, &seed), meant = stored;
        const gla_tensor *weights[] = {&stored.tensor};
        const gla_linear_spec spec = {sizeof(spec), 1, weights, NULL, 1, 1};
        gla_linear *l;

        meant.rows = OUT;
        meant.in = IN;
        meant.value = gla__alloc(sizeof(double) * OUT * IN);
        for (size_t o = 0; o < OUT; o++) {
            for (size_t i = 0; i < IN; i++)
                meant.value[o * IN + i] = stored.value[i * OUT + o];
        }
        cr_assert_eq(math->linear_create(NULL, &spec, &l), GLA_OK);
        for (uint32_t rows = 1; rows <= ROWS; rows += ROWS - 1) {
            cr_assert_eq(math->linear(&t->batch, l, rows, x, IN, y, OUT), GLA_OK);
            expect_product(&meant, NULL, 0, OUT, x, IN, y, OUT, rows, tolerance(IN));
        }
        math->linear_destroy(l);
        gla__free(meant.value);
        free_weight(&stored);
    }
    gla__free(x);
    gla__free(y);
    math_test_free(t);
}

Test(linear, gather_reads_rows_as_they_are)
{
    enum { OUT = 50, IN = 96 };
    static const int32_t ids[] = {0, 49, 7, 7, 31};
    static const int32_t outside[] = {50}, negative[] = {-1};
    const gla_math *math = gla__math_table();
    const gla__math_needs needs = {.rows = 5, .threads = 1, .linear_in = IN};
    math_test *t = math_test_new(&needs);
    uint64_t seed = 8;
    float y[5 * (IN + 2)];

    for (uint32_t dtype = GLA_DTYPE_F32; dtype <= GLA_DTYPE_I4; dtype++) {
        weight w = new_weight(dtype, 1, OUT, IN, &seed);
        const gla_tensor *weights[] = {&w.tensor};
        const gla_linear_spec spec = {sizeof(spec), 1, weights, NULL, 1, 0};
        gla_linear *l;

        cr_assert_eq(math->linear_create(NULL, &spec, &l), GLA_OK);
        cr_assert_eq(math->gather(&t->batch, l, 5, ids, y, IN + 2), GLA_OK);
        for (size_t r = 0; r < 5; r++) {
            for (size_t i = 0; i < IN; i++) {
                const double want = w.value[(size_t)ids[r] * IN + i];

                cr_assert_float_eq((double)y[r * (IN + 2) + i], want,
                                   1e-7 * fabs(want) + (dtype == GLA_DTYPE_I4 ? 1e-5 : 0));
            }
        }
        cr_assert_eq(math->gather(&t->batch, l, 1, outside, y, IN), GLA_E_INVALID);
        t->exec.failed = GLA_OK;
        cr_assert_eq(math->gather(&t->batch, l, 1, negative, y, IN), GLA_E_INVALID);
        t->exec.failed = GLA_OK;
        math->linear_destroy(l);
        free_weight(&w);
    }
    math_test_free(t);
}

Test(linear, same_input_same_bits_for_any_number_of_threads)
{
    enum { OUT = 1000, IN = 300, ROWS = 9 };
    const gla__math_needs needs = {.rows = 600, .threads = 4, .linear_in = IN, .linear_out = OUT};
    const gla_math *math = gla__math_table();
    math_test *t = math_test_new(&needs);
    uint64_t seed = 9;
    weight w = new_weight(GLA_DTYPE_BF16, 1, OUT, IN, &seed);
    const gla_tensor *weights[] = {&w.tensor};
    const gla_linear_spec spec = {sizeof(spec), 1, weights, NULL, 1, 0};
    float *x = math_test_array(ROWS * IN, 1, &seed), *y1 = math_test_array(ROWS * OUT, 1, &seed),
          *y2 = math_test_array(ROWS * OUT, 1, &seed);
    gla_linear *l;

    cr_assert_eq(math->linear_create(NULL, &spec, &l), GLA_OK);
    for (uint32_t rows = 1; rows <= ROWS; rows++) {
        gla_set_threads(1);
        math->linear(&t->batch, l, rows, x, IN, y1, OUT);
        gla_set_threads(4);
        math->linear(&t->batch, l, rows, x, IN, y2, OUT);
        cr_assert_eq(memcmp(y1, y2, rows * OUT * sizeof(float)), 0);
    }
    math->linear_destroy(l);
    free_weight(&w);
    gla__free(x);
    gla__free(y1);
    gla__free(y2);
    math_test_free(t);
}

/* ---- refusals ---- */

static char explained[256];

static void explain(const gla_host *h, const char *msg)
{
    (void)h;
    snprintf(explained, sizeof(explained), "%s", msg);
}

static gla_status create(gla_tensor *a, gla_tensor *b, uint32_t groups, uint32_t transpose)
{
    const gla_host host = {.struct_size = sizeof(host), .explain = explain};
    const gla_tensor *weights[] = {a, b};
    const gla_linear_spec spec = {sizeof(spec), b ? 2 : 1, weights, NULL, groups, transpose};
    static char poison;
    gla_linear *l = (gla_linear *)(void *)&poison; /* must be set to NULL */
    const gla_status st = gla__math_table()->linear_create(&host, &spec, &l);

    cr_assert(st ? !l : l != NULL);
    gla__math_table()->linear_destroy(l);
    return st;
}

Test(linear, says_what_does_not_fit)
{
    static float data[64], scale[8];
    gla_tensor a = {data, NULL, GLA_DTYPE_F32, 2, {4, 8}},
               b = {data, NULL, GLA_DTYPE_F32, 2, {2, 9}};

    cr_assert_eq(create(&a, NULL, 1, 0), GLA_OK);
    cr_assert_eq(create(&a, &b, 1, 0), GLA_E_SHAPE);
    cr_assert_str_eq(explained, "linear: weight 1: inputs differ from the first part's (9, "
                                "expected 8)");
    cr_assert_eq(create(&a, &a, 1, 1), GLA_E_UNSUPPORTED);
    cr_assert_eq(create(&a, NULL, 2, 0), GLA_E_SHAPE); /* groups need three dimensions */
    a.dtype = GLA_DTYPE_I8;
    cr_assert_eq(create(&a, NULL, 1, 0), GLA_E_INVALID); /* no scales */
    a.aux = scale;
    cr_assert_eq(create(&a, NULL, 1, 1), GLA_E_UNSUPPORTED); /* transposed */
    cr_assert_eq(create(&a, NULL, 1, 0), GLA_OK);
    a.dtype = GLA_DTYPE_I4;
    cr_assert_eq(create(&a, NULL, 1, 0), GLA_E_SHAPE); /* 8 is not a multiple of 32 */
    a.dtype = GLA_DTYPE_F64;
    cr_assert_eq(create(&a, NULL, 1, 0), GLA_E_UNSUPPORTED);
    a = (gla_tensor){data, NULL, GLA_DTYPE_F32, 2, {0, 8}};
    cr_assert_eq(create(&a, NULL, 1, 0), GLA_E_SHAPE);
}

Test(linear, counts_time_once)
{
    static float data[64], x[8], y[8];
    gla_tensor a = {data, NULL, GLA_DTYPE_F32, 2, {8, 8}};
    const gla_tensor *weights[] = {&a};
    const gla_linear_spec spec = {sizeof(spec), 1, weights, NULL, 1, 0};
    const gla__math_needs needs = {.rows = 1, .threads = 1, .linear_in = 8};
    math_test *t = math_test_new(&needs);
    double seconds[GLA__WORK_COUNT] = {0};
    gla_linear *l;

    t->exec.seconds = seconds;
    cr_assert_eq(gla__math_table()->linear_create(NULL, &spec, &l), GLA_OK);
    cr_assert_eq(gla__math_table()->linear(&t->batch, l, 1, x, 8, y, 8), GLA_OK);
    cr_assert_gt(seconds[GLA__WORK_LINEAR], 0.0);
    cr_assert_eq(seconds[GLA__WORK_NORM], 0.0);
    cr_assert_eq(t->exec.seconds, seconds);
    gla__math_table()->linear_destroy(l);
    math_test_free(t);
}
