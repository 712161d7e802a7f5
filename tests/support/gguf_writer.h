/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf_writer.h - gguf files that a test writes: made up, or an existing one changed
 *
 *     gguf_out o = {0};
 *     gguf_load(&o, path, "llama.block_count");       all of a file but these keys
 *     gguf_put_u32(&o, "llama.block_count", 2);
 *     gguf_write(&o, other_path); gguf_free(&o);
 */
#ifndef GLA_TESTS_GGUF_WRITER_H
#define GLA_TESTS_GGUF_WRITER_H

#include <criterion/criterion.h>
#include <gla/gla.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "formats/weights/gguf_file.h"

enum { GGUF_F32 = 0, GGUF_F16 = 1, GGUF_Q4_0 = 2, GGUF_Q8_0 = 8, GGUF_BF16 = 30 };

typedef struct gguf_blob {
    uint8_t *p;
    size_t n, capacity;
} gguf_blob;

typedef struct gguf_out_tensor {
    char name[96];
    uint32_t n_dims, type;
    uint64_t dims[4]; /* the fastest first */
    uint64_t n;       /* numbers */
    uint8_t *data;
    size_t size;
} gguf_out_tensor;

typedef struct gguf_out {
    gguf_blob kv;
    uint64_t n_kv;
    gguf_out_tensor tensors[160];
    uint32_t n;
} gguf_out;

/* ---- bytes ---- */

static inline void blob_put(gguf_blob *b, const void *data, size_t n)
{
    if (b->n + n > b->capacity) {
        b->capacity = 2 * (b->n + n) + 1024;
        b->p = realloc(b->p, b->capacity);
        cr_assert_not_null(b->p);
    }
    if (n)
        memcpy(b->p + b->n, data, n);
    b->n += n;
}

static inline void blob_number(gguf_blob *b, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        const uint8_t byte = (uint8_t)(v >> (8 * i));

        blob_put(b, &byte, 1);
    }
}

static inline void blob_text(gguf_blob *b, const char *s, size_t n)
{
    blob_number(b, n, 8);
    blob_put(b, s, n);
}

/* ---- keys ---- */

static inline void gguf_put_key(gguf_out *o, const char *key, uint32_t type)
{
    blob_text(&o->kv, key, strlen(key));
    blob_number(&o->kv, type, 4);
    o->n_kv++;
}

static inline void gguf_put_u32(gguf_out *o, const char *key, uint32_t v)
{
    gguf_put_key(o, key, GLA__GGUF_U32);
    blob_number(&o->kv, v, 4);
}

static inline void gguf_put_f32(gguf_out *o, const char *key, float v)
{
    gguf_put_key(o, key, GLA__GGUF_F32);
    blob_put(&o->kv, &v, 4);
}

static inline void gguf_put_bool(gguf_out *o, const char *key, bool v)
{
    gguf_put_key(o, key, GLA__GGUF_BOOL);
    blob_number(&o->kv, v, 1);
}

static inline void gguf_put_text(gguf_out *o, const char *key, const char *v)
{
    gguf_put_key(o, key, GLA__GGUF_STRING);
    blob_text(&o->kv, v, strlen(v));
}

/* The elements follow: blob_text() or blob_number() each. */
static inline void gguf_put_list(gguf_out *o, const char *key, uint32_t element, uint64_t n)
{
    gguf_put_key(o, key, GLA__GGUF_ARRAY);
    blob_number(&o->kv, element, 4);
    blob_number(&o->kv, n, 8);
}

static inline void gguf_put_texts(gguf_out *o, const char *key, const char *const *list, uint64_t n)
{
    gguf_put_list(o, key, GLA__GGUF_STRING, n);
    for (uint64_t i = 0; i < n; i++)
        blob_text(&o->kv, list[i], strlen(list[i]));
}

static inline void gguf_put_ints(gguf_out *o, const char *key, const int32_t *list, uint64_t n)
{
    gguf_put_list(o, key, GLA__GGUF_I32, n);
    for (uint64_t i = 0; i < n; i++)
        blob_number(&o->kv, (uint32_t)list[i], 4);
}

static inline void gguf_put_floats(gguf_out *o, const char *key, const float *list, uint64_t n)
{
    gguf_put_list(o, key, GLA__GGUF_F32, n);
    blob_put(&o->kv, list, n * 4);
}

/* ---- tensors ---- */

static inline gguf_out_tensor *gguf_find(gguf_out *o, const char *name)
{
    for (uint32_t i = 0; i < o->n; i++)
        if (!strcmp(o->tensors[i].name, name))
            return &o->tensors[i];
    cr_assert_fail("no tensor %s", name);
    return NULL;
}

/* rows: of the slowest dimension; 0: a vector. */
static inline gguf_out_tensor *gguf_add(gguf_out *o, const char *name, uint64_t rows, uint64_t cols)
{
    gguf_out_tensor *t = &o->tensors[o->n++];

    cr_assert_lt(o->n, sizeof(o->tensors) / sizeof(o->tensors[0]));
    memset(t, 0, sizeof(*t));
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->n_dims = rows ? 2 : 1;
    t->dims[0] = cols;
    t->dims[1] = rows;
    t->n = (rows ? rows : 1) * cols;
    t->size = t->n * 4;
    t->data = calloc(t->n + 1, 4);
    cr_assert_not_null(t->data);
    return t;
}

static inline void gguf_remove(gguf_out *o, const char *name)
{
    gguf_out_tensor *t = gguf_find(o, name);

    free(t->data);
    *t = o->tensors[--o->n];
}

/* A copy of these rows, after those that are there. */
static inline void gguf_append_rows(gguf_out_tensor *to, const gguf_out_tensor *from,
                                    uint64_t first, uint64_t rows)
{
    const uint64_t cols = from->dims[0];

    to->data = realloc(to->data, to->size + rows * cols * 4 + 4);
    memcpy(to->data + to->size, from->data + first * cols * 4, rows * cols * 4);
    to->size += rows * cols * 4;
    to->n += rows * cols;
    to->dims[1] += rows;
}

static inline void retype_block(const float *x, uint32_t type, gguf_blob *out)
{
    float most = 0, scale;

    for (int i = 0; i < 32; i++)
        most = fabsf(x[i]) > fabsf(most) ? x[i] : most;
    scale = gla__f16_f32(gla__f32_f16(type == GGUF_Q8_0 ? fabsf(most) / 127 : most / -8));
    blob_number(out, gla__f32_f16(scale), 2);
    for (int i = 0; i < (type == GGUF_Q8_0 ? 32 : 16); i++) {
        long q[2] = {0, 0};

        for (int half = 0; half < 2 && scale != 0; half++) {
            q[half] = lrintf(x[i + 16 * half * (type == GGUF_Q4_0)] / scale);
            if (type == GGUF_Q4_0)
                q[half] = q[half] < -8 ? 0 : q[half] > 7 ? 15 : q[half] + 8;
        }
        blob_number(out, (uint64_t)(type == GGUF_Q8_0 ? q[0] : q[0] | q[1] << 4), 1);
    }
}

/* F32 numbers as another type. */
static inline void gguf_retype(gguf_out_tensor *t, uint32_t type)
{
    const float *x = (const float *)(const void *)t->data;
    gguf_blob out = {0};

    cr_assert_eq(t->type, GGUF_F32);
    if (type == GGUF_Q8_0 || type == GGUF_Q4_0)
        for (uint64_t i = 0; i < t->n; i += 32)
            retype_block(x + i, type, &out);
    else
        for (uint64_t i = 0; i < t->n; i++)
            blob_number(&out, type == GGUF_F16 ? gla__f32_f16(x[i]) : gla__f32_bf16(x[i]), 2);
    free(t->data);
    t->data = out.p;
    t->size = out.n;
    t->type = type;
}

/* ---- files ---- */

static inline void load_pair(gguf_out *o, const gla__gguf_part *p, const gla__gguf_pair *pair)
{
    size_t bytes = gla__gguf_value_bytes(pair->type);

    gguf_put_key(o, pair->key, pair->type);
    if (pair->type == GLA__GGUF_STRING) {
        blob_number(&o->kv, pair->n, 8);
        bytes = pair->n;
    } else if (pair->type == GLA__GGUF_ARRAY) {
        cr_assert_neq(pair->element, GLA__GGUF_STRING, "lists of texts are not copied");
        blob_number(&o->kv, pair->element, 4);
        blob_number(&o->kv, pair->n, 8);
        bytes = pair->n * gla__gguf_value_bytes(pair->element);
    }
    blob_put(&o->kv, p->head + pair->at, bytes);
}

/* Adds all of a file, every tensor as F32, but the keys in `without` (one, or several with blanks
 * between). */
static inline void gguf_load(gguf_out *o, const char *path, const char *without)
{
    gla_weights *w;
    gla_diag diag;

    cr_assert_eq(gla_weights_open(path, NULL, &w, &diag), GLA_OK, "%s", diag.message);
    for (uint32_t i = 0; i < ((gla__gguf_file *)w)->parts[0].n_pairs; i++) {
        const gla__gguf_part *p = &((gla__gguf_file *)w)->parts[0];

        if (!without || !strstr(without, p->pairs[i].key))
            load_pair(o, p, &p->pairs[i]);
    }
    for (uint32_t i = 0; i < gla_weights_count(w); i++) {
        const gla_tensor_info *info = gla_weights_info(w, i);
        gguf_out_tensor *t = gguf_add(o, info->name, 0, info->n_elements);
        const uint16_t *half;
        float *wide;

        t->n_dims = info->ndim;
        for (uint32_t d = 0; d < info->ndim; d++)
            t->dims[d] = (uint64_t)info->dims[info->ndim - 1 - d];
        cr_assert_eq(gla_weights_read(w, info, t->data, &diag), GLA_OK);
        half = (const uint16_t *)(const void *)t->data;
        wide = (float *)(void *)t->data;
        for (uint64_t k = info->n_elements; k-- && info->dtype != GLA_DTYPE_F32;)
            wide[k] = info->dtype == GLA_DTYPE_F16 ? gla__f16_f32(half[k]) : gla__bf16_f32(half[k]);
    }
    gla_weights_free(w);
}

static inline void pad_blob(gguf_blob *b)
{
    while (b->n % 32)
        blob_put(b, "", 1);
}

/* Tensors [first, first + n) under these keys. */
static inline void gguf_write_some(const gguf_out *o, const gguf_blob *kv, uint64_t n_kv,
                                   uint32_t first, uint32_t n, const char *path)
{
    gguf_blob b = {0};
    uint64_t offset = 0;
    FILE *f;

    blob_put(&b, "GGUF", 4);
    blob_number(&b, 3, 4);
    blob_number(&b, n, 8);
    blob_number(&b, n_kv, 8);
    blob_put(&b, kv->p, kv->n);
    for (uint32_t i = first; i < first + n; i++) {
        const gguf_out_tensor *t = &o->tensors[i];

        blob_text(&b, t->name, strlen(t->name));
        blob_number(&b, t->n_dims, 4);
        for (uint32_t d = 0; d < t->n_dims; d++)
            blob_number(&b, t->dims[d], 8);
        blob_number(&b, t->type, 4);
        blob_number(&b, offset, 8);
        offset += (t->size + 31) / 32 * 32;
    }
    pad_blob(&b);
    for (uint32_t i = first; i < first + n; i++) {
        blob_put(&b, o->tensors[i].data, o->tensors[i].size);
        pad_blob(&b);
    }
    f = fopen(path, "wb");
    cr_assert(f && fwrite(b.p, 1, b.n, f) == b.n && fclose(f) == 0, "%s", path);
    free(b.p);
}

static inline void gguf_write(const gguf_out *o, const char *path)
{
    gguf_write_some(o, &o->kv, o->n_kv, 0, o->n, path);
}

static inline void gguf_free(gguf_out *o)
{
    for (uint32_t i = 0; i < o->n; i++)
        free(o->tensors[i].data);
    free(o->kv.p);
    memset(o, 0, sizeof(*o));
}

#endif
