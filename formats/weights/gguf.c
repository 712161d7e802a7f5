/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf.c - opening .gguf files, split ones too, and reading their tensors
 */
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/parallel.h"
#include "formats/weights/gguf_file.h"

#define MAX_HEAD     (UINT64_C(100) << 20)
#define MAX_PARTS    512u    /* open at the same time */
#define PIECE        262144u /* numbers expanded at once: whole blocks of any type */
#define PART_NAME    "-%05" PRIu64 "-of-%05" PRIu64 ".gguf"
#define PART_EXAMPLE "-00001-of-00003.gguf"

/* ---- reading ---- */

typedef struct expanding {
    const gla__gguf_file *g;
    const gla__gguf_tensor *t;
    const gla__gguf_blocks *blocks;
    float *dst;
    gla_status *status; /* [pieces] */
    gla_diag *diags;
} expanding;

static void expand_piece(void *arg, uint32_t i)
{
    const expanding *e = arg;
    const uint32_t bytes = e->blocks->bytes, numbers = e->blocks->numbers;
    const uint64_t first = (uint64_t)i * PIECE, left = e->t->info.n_elements - first;
    const size_t n = (size_t)(left < PIECE ? left : PIECE) / numbers;
    uint8_t *blocks = gla__alloc(n * bytes);

    if (!blocks) {
        e->status[i] = gla__fail_nomem(&e->diags[i], "blocks");
        return;
    }
    e->status[i] =
        gla__file_read(&e->g->parts[e->t->part].file, e->t->offset + first / numbers * bytes,
                       blocks, n * bytes, &e->diags[i]);
    if (e->status[i])
        e->diags[i].where[0] = '\0';
    for (size_t b = 0; !e->status[i] && b < n; b++)
        e->blocks->expand(blocks + b * bytes, e->dst + first + b * numbers);
    gla__free(blocks);
}

static gla_status read_gguf(const gla_weights *w, const gla_tensor_info *info, void *dst,
                            gla_diag *diag)
{
    const gla__gguf_file *g = (const gla__gguf_file *)w;
    const gla__gguf_tensor *t = (const gla__gguf_tensor *)info;
    const uint32_t n = (uint32_t)((info->n_elements + PIECE - 1) / PIECE);
    expanding e = {g, t, gla__gguf_blocks_of(t->type), dst, NULL, NULL};
    gla_status st = GLA_OK;

    if (!e.blocks)
        return gla__read_parallel(&g->parts[t->part].file, t->offset, info->raw_bytes, dst, diag);
    e.status = gla__alloc_array(n, sizeof(*e.status));
    e.diags = gla__alloc_array(n, sizeof(*e.diags));
    if (!e.status || !e.diags) {
        st = gla__fail_nomem(diag, "reading");
        goto out;
    }
    gla__parallel_for(n, expand_piece, &e);
    for (uint32_t i = 0; !st && i < n; i++) {
        st = e.status[i];
        if (st && diag)
            *diag = e.diags[i];
    }
out:
    gla__free(e.status);
    gla__free(e.diags);
    return st;
}

static uint64_t hash_gguf(const gla_weights *w)
{
    const gla__gguf_file *g = (const gla__gguf_file *)w;
    uint64_t hash = 0;

    for (uint32_t i = 0; i < g->n_parts; i++)
        hash = XXH3_64bits_withSeed(g->parts[i].head, g->parts[i].at, hash);
    for (uint32_t i = 0; i < w->n; i++) {
        const gla__gguf_tensor *t = (const gla__gguf_tensor *)w->tensors + i;

        hash = gla__hash_sample(&g->parts[t->part].file, t->offset, t->info.stored_bytes, hash);
    }
    return hash;
}

static void close_gguf(gla_weights *w)
{
    gla__gguf_file *g = (gla__gguf_file *)w;
    gla__gguf_tensor *tensors = w->tensors;

    for (uint32_t i = 0; i < w->n; i++)
        gla__free((void *)(uintptr_t)tensors[i].info.name);
    gla__free(tensors);
    for (uint32_t i = 0; g->parts && i < g->n_parts; i++) {
        gla__gguf_part *p = &g->parts[i];

        for (uint32_t k = 0; k < p->n_pairs; k++)
            gla__free(p->pairs[k].key);
        gla__free(p->pairs);
        gla__free(p->head);
        gla__file_close(&p->file);
        gla__free(p->path);
    }
    gla__free(g->parts);
    gla__free(w->path);
    gla__free(g);
}

static const gla__weights_ops gguf_ops = {read_gguf, hash_gguf, close_gguf};

/* ---- opening ---- */

static gla_status open_part(gla__gguf_file *g, uint32_t i, const char *path, gla_diag *diag)
{
    gla__gguf_part *p = &g->parts[i];
    gla_status st;

    g->n_parts = i + 1;
    p->max_head = g->limits.max_index_bytes;
    p->path = gla__strdup(path);
    if (!p->path)
        return gla__fail_nomem(diag, "a path");
    st = gla__file_open(&p->file, path, diag);
    if (!st)
        st = gla__gguf_read_head(g, i, diag);
    if (st)
        gla__at_file(diag, path);
    return st;
}

/* "-00001-of-00003.gguf": how the path of a part ends.  Both numbers below 100000. */
static void part_name(char out[64], uint64_t part, uint64_t n)
{
    snprintf(out, 64, PART_NAME, part, n);
}

static bool is_part_name(const char *path, uint64_t part, uint64_t n)
{
    const size_t size = strlen(path);
    char end[64];

    part_name(end, part, n);
    return size >= strlen(end) && !strcmp(path + size - strlen(end), end);
}

/* Part i is what the first one says it is, and stands where it should. */
static gla_status check_part(const gla__gguf_file *g, uint32_t i, uint64_t n, gla_diag *diag)
{
    const gla__gguf_part *p = &g->parts[i];
    uint64_t no = UINT64_MAX, count = UINT64_MAX;
    gla_status st = GLA_OK;

    gla__gguf_part_u64(p, "split.no", &no);
    gla__gguf_part_u64(p, "split.count", &count);
    if (count != n)
        st = gla__fail(diag, GLA_E_CORRUPT, "split.count is not %" PRIu64, n);
    else if (no != i)
        st = gla__fail(diag, GLA_E_CORRUPT, "split.no is not %" PRIu32, i);
    if (st)
        gla__at(diag, p->path);
    return st;
}

/* A first part, or another one given by mistake. */
static gla_status check_first(const gla__gguf_file *g, uint64_t n, gla_diag *diag)
{
    const char *path = g->base.path;
    uint64_t no = 0;
    gla_status st;

    gla__gguf_part_u64(&g->parts[0], "split.no", &no);
    if (n > MAX_PARTS)
        st = gla__fail(diag, GLA_E_LIMIT, "split.count is %" PRIu64 ", at most %u allowed", n,
                       MAX_PARTS);
    else if (no) {
        st = gla__fail(diag, GLA_E_UNSUPPORTED, "this is part %" PRIu64 " of %" PRIu64, no + 1, n);
        gla__hint(diag, "name the first part, *" PART_NAME, UINT64_C(1), n);
    } else if (!is_part_name(path, 1, n)) {
        st = gla__fail(diag, GLA_E_UNSUPPORTED, "the first of %" PRIu64 " parts", n);
        gla__hint(diag, "its name must end in " PART_NAME ", as the others'", UINT64_C(1), n);
    } else
        return GLA_OK;
    gla__at(diag, path);
    return st;
}

/* The parts after the first. */
static gla_status open_others(gla__gguf_file *g, gla_diag *diag)
{
    uint64_t n = 1, total = 0;
    gla__gguf_part *grown;
    size_t size;
    char *path, end[64];
    gla_status st;

    if (!gla__gguf_part_u64(&g->parts[0], "split.count", &n) || n <= 1)
        return GLA_OK;
    st = check_first(g, n, diag);
    if (st)
        return st;
    size = strlen(g->base.path) + 1;
    path = gla__strdup(g->base.path);
    grown = gla__realloc(g->parts, sizeof(*grown), (size_t)n * sizeof(*grown));
    if (grown)
        g->parts = grown;
    if (!path || !grown)
        st = gla__fail_nomem(diag, "parts");
    for (uint32_t i = 1; !st && i < n; i++) {
        part_name(end, i + 1, n);
        memcpy(path + size - sizeof(PART_EXAMPLE), end, sizeof(PART_EXAMPLE));
        st = open_part(g, i, path, diag);
        if (st == GLA_E_IO)
            gla__hint(diag, "all %" PRIu64 " parts are needed, in one folder", n);
        if (!st)
            st = check_part(g, i, n, diag);
    }
    gla__free(path);
    if (!st && gla__gguf_part_u64(&g->parts[0], "split.tensors.count", &total) &&
        total != g->base.n) {
        st = gla__fail(diag, GLA_E_CORRUPT,
                       "split.tensors.count is %" PRIu64 ", the parts have %" PRIu32 " tensors",
                       total, g->base.n);
        gla__at(diag, g->base.path);
    }
    return st;
}

gla_status gla__gguf_open(const char *path, const gla_limits *limits, gla_weights **out,
                          gla_diag *diag)
{
    gla__gguf_file *g = gla__alloc_zero(sizeof(*g));
    gla_status st = GLA_OK;

    *out = NULL;
    if (!g)
        return gla__fail_nomem(diag, "a file");
    g->base.ops = &gguf_ops;
    g->base.format = GLA__GGUF;
    g->base.stride = sizeof(gla__gguf_tensor);
    g->limits = *limits;
    if (!g->limits.max_index_bytes)
        g->limits.max_index_bytes = MAX_HEAD;
    g->base.path = gla__strdup(path);
    g->parts = gla__alloc_zero(sizeof(*g->parts));
    if (!g->base.path || !g->parts)
        st = gla__fail_nomem(diag, "a file");
    if (!st)
        st = open_part(g, 0, path, diag);
    if (!st)
        st = open_others(g, diag);
    if (!st) {
        st = gla__sort_tensors(&g->base, diag);
        if (st)
            gla__at(diag, path);
    }
    if (st) {
        close_gguf(&g->base);
        return st;
    }
    *out = &g->base;
    return GLA_OK;
}
