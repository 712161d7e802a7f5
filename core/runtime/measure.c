/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/measure.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/half.h"
#include "base/parallel.h"
#include "math/dnnl_compat.h"
#include "math/ops.h"
#include "runtime/sessions.h"

/* ---- reading memory ---- */

enum {
    PIECE = 2u << 20, /* bytes that a thread takes at a time, read in order: measured to be best */
    LINE = 64,        /* bytes that come with any of them */
    WORDS = 4         /* added up apart */
};

typedef struct reading {
    const char *data;
    uint32_t n_pieces;
    uint64_t sums[256]; /* by thread: so that the compiler can leave nothing out */
} reading;

static void read_piece(void *arg, uint32_t piece)
{
    reading *r = arg;
    const char *at = r->data + (size_t)piece * PIECE;
    uint64_t sum[WORDS] = {0}, total = 0;

    /* One word a line: loading all of a line in small registers would be slower than memory. */
    for (size_t i = 0; i < PIECE; i += WORDS * LINE)
        for (size_t k = 0; k < WORDS; k++)
            sum[k] += *(const uint64_t *)(const void *)(at + i + k * LINE);
    for (size_t k = 0; k < WORDS; k++)
        total += sum[k];
    r->sums[gla__parallel_index() % 256] += total;
}

gla_status gla_measure_read(const void *data, size_t bytes, double seconds, double *rate,
                            gla_diag *diag)
{
    const uintptr_t skip = (LINE - (uintptr_t)data % LINE) % LINE;
    reading r = {.data = (const char *)data + skip};
    double start, now, read = 0;

    *rate = 0;
    if (!data || bytes < skip + PIECE || (bytes - skip) / PIECE > UINT32_MAX)
        return gla__fail(diag, GLA_E_INVALID, "%zu bytes to read, at least %u and a line needed",
                         bytes, PIECE);
    r.n_pieces = (uint32_t)((bytes - skip) / PIECE);
    start = gla__clock_seconds();
    do {
        gla__parallel_for(r.n_pieces, read_piece, &r);
        read += (double)r.n_pieces * PIECE;
        now = gla__clock_seconds();
    } while (now - start < seconds);
    *rate = read / (now - start);
    return GLA_OK;
}

/* ---- multiplying matrices ---- */

static gla_status multiply(uint32_t dtype, size_t m, size_t n, size_t k, char *a, char *b, char *c)
{
    if (dtype == GLA_DTYPE_I8)
        return gla__dnnl_gemm_u8s8(m, n, k, (const uint8_t *)a, k, (const int8_t *)b, k,
                                   (int32_t *)(void *)c, n);
    return gla__dnnl_gemm_f32(m, n, k, (const float *)(void *)a, k, (const float *)(void *)b, n,
                              (float *)(void *)c, n);
}

gla_status gla_measure_gemm(uint32_t rows, uint32_t out, uint32_t in, uint32_t dtype,
                            double seconds, double *rate, gla_diag *diag)
{
    const size_t width = dtype == GLA_DTYPE_I8 ? 1 : sizeof(float);
    const double flops = 2.0 * rows * out * in;
    uint64_t a = (uint64_t)rows * in, b = (uint64_t)out * in, c = (uint64_t)rows * out, sum;
    char *memory = NULL;
    double start, now, done = 0;
    gla_status st;
    size_t size;

    *rate = 0;
    if (!rows || !out || !in || (dtype != GLA_DTYPE_F32 && dtype != GLA_DTYPE_I8))
        return gla__fail(diag, GLA_E_INVALID, "a product of %s, [%u, %u] times [%u, %u]",
                         gla_dtype_name(dtype), rows, in, in, out);
    if (gla__mul_u64(a, width, &a) && gla__align_up_u64(a, LINE, &a) &&
        gla__mul_u64(b, width, &b) && gla__align_up_u64(b, LINE, &b) &&
        gla__mul_u64(c, sizeof(float), &c) && gla__add_u64(a, b, &sum) &&
        gla__add_u64(sum, c, &sum) && gla__to_size(sum, &size))
        memory = gla__alloc(size);
    if (!memory)
        return gla__fail_nomem(diag, "matrices to multiply");
    memset(memory, 0x3c, size); /* 0.0115 as f32, 60 as int8 */
    /* the first product warms up: oneDNN compiles its kernel, memory gets its pages */
    st = multiply(dtype, rows, out, in, memory, memory + a, memory + a + b);
    start = now = gla__clock_seconds();
    while (!st && (done == 0 || now - start < seconds)) {
        st = multiply(dtype, rows, out, in, memory, memory + a, memory + a + b);
        done += flops;
        now = gla__clock_seconds();
    }
    gla__free(memory);
    if (st)
        return gla__fail(diag, st, "oneDNN cannot multiply [%u, %u] by [%u, %u]", rows, in, in,
                         out);
    *rate = done / (now - start);
    return GLA_OK;
}

/* ---- time by kind of work ---- */

_Static_assert((int)GLA_WORK_COUNT == (int)GLA__WORK_COUNT &&
                   (int)GLA_WORK_LINEAR == (int)GLA__WORK_LINEAR &&
                   (int)GLA_WORK_RECURRENCE == (int)GLA__WORK_RECURRENCE &&
                   (int)GLA_WORK_ATTENTION == (int)GLA__WORK_ATTENTION &&
                   (int)GLA_WORK_CONV == (int)GLA__WORK_CONV &&
                   (int)GLA_WORK_NORM == (int)GLA__WORK_NORM &&
                   (int)GLA_WORK_ACTIVATION == (int)GLA__WORK_ACTIVATION,
               "kinds of work are numbered alike inside and outside");

const char *gla_work_name(uint32_t work)
{
    static const char *const names[] = {"linear", "recurrence", "attention",
                                        "conv",   "norm",       "activation"};

    return work < GLA_WORK_COUNT ? names[work] : "?";
}

gla_status gla_measure_feed(const gla_feed_item *items, size_t n_items, size_t item_size,
                            gla_progress_fn *progress, void *ctx, double *seconds, size_t n_seconds,
                            gla_diag *diag)
{
    double by_kind[GLA__WORK_COUNT] = {0};
    const gla_status st = gla__feed(items, n_items, item_size, progress, ctx, by_kind, diag);

    for (size_t i = 0; i < n_seconds && i < GLA__WORK_COUNT; i++)
        seconds[i] += by_kind[i];
    return st;
}

/* ---- a session at depth ---- */

enum { FILL_TOKENS = 4096 }; /* filled at once */

/* Numbers in [-1, 1) as the cache of this dtype has them; int8: of 1/127 each. */
static void make_noise(uint32_t dtype, size_t n, uint8_t *out)
{
    uint32_t random = 2463534242u;

    for (size_t i = 0; i < n; i++) {
        float x;
        uint16_t half;

        random ^= random << 13; /* xorshift32 */
        random ^= random >> 17;
        random ^= random << 5;
        x = (float)(int32_t)random * 0x1p-31f;
        half = gla__f32_bf16(x);
        if (dtype == GLA_DTYPE_F32)
            memcpy(out + i * sizeof(x), &x, sizeof(x));
        else if (dtype == GLA_DTYPE_BF16)
            memcpy(out + i * sizeof(half), &half, sizeof(half));
        else
            out[i] = (uint8_t)(int8_t)(x * 127);
    }
}

static void make_page(const gla__kv_view *v, uint8_t *page)
{
    const size_t rows = (size_t)v->kv_heads * GLA__KV_PAGE_TOKENS;
    const float scale = 1.0f / 127;
    gla__kv_page_layout l;

    gla__kv_page(v->dtype, v->kv_heads, v->k_dim, v->v_dim, &l);
    make_noise(v->dtype, rows * v->k_dim, page);
    make_noise(v->dtype, rows * v->v_dim, page + l.v_offset);
    for (size_t i = 0; i < rows && v->dtype == GLA_DTYPE_I8; i++) {
        memcpy(page + l.k_scale_offset + i * sizeof(scale), &scale, sizeof(scale));
        if (v->v_dim)
            memcpy(page + l.v_scale_offset + i * sizeof(scale), &scale, sizeof(scale));
    }
}

/* The pages of n tokens that were reserved; what the first of them had before is lost. */
static gla_status fill_pages(gla__sequence *q, gla_diag *diag)
{
    for (uint32_t i = 0; i < q->n_tables; i++) {
        const gla__kv_table *t = &q->tables[i];
        const uint64_t first = q->position / GLA__KV_PAGE_TOKENS;
        uint8_t *noise = gla__alloc_zero(t->page_bytes);

        if (!noise)
            return gla__fail_nomem(diag, "a page of noise");
        make_page(&q->views[i], noise);
        for (size_t k = first > t->first ? (size_t)(first - t->first) : 0; k < t->n; k++)
            memcpy(t->pages[k], noise, t->page_bytes);
        gla__free(noise);
    }
    return GLA_OK;
}

gla_status gla_measure_fill(gla_session *s, uint64_t n, gla_diag *diag)
{
    int32_t *tokens;
    gla_status st = GLA_OK;

    if (s->set.prefix_cache)
        return gla__fail(diag, GLA_E_INVALID,
                         "a session that uses the prefix cache cannot be filled");
    if (atomic_flag_test_and_set(&s->feeding))
        return gla__fail(diag, GLA_E_INVALID, "a session that is being fed cannot be filled");
    tokens = gla__alloc_zero(FILL_TOKENS * sizeof(*tokens));
    if (!tokens)
        st = gla__fail_nomem(diag, "tokens to fill with");
    while (n && !st) {
        size_t step = n < FILL_TOKENS ? (size_t)n : FILL_TOKENS;

        if (step > gla__session_border(s))
            step = gla__session_border(s);
        st = gla__session_reserve(s, step, false, diag);
        if (!st)
            st = fill_pages(&s->seq, diag);
        if (!st)
            gla__session_advance(s, tokens, step, false);
        n -= step;
    }
    gla__sequence_trim(&s->seq);
    gla__free(tokens);
    atomic_flag_clear(&s->feeding);
    return st;
}
