/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf_keys.c - questions about the key-value pairs of a gguf file
 */
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/half.h"
#include "formats/weights/gguf_file.h"

const gla__gguf_pair *gla__gguf_pair_find(const gla__gguf_part *p, const char *key)
{
    uint32_t low = 0, high = p->n_pairs;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = strcmp(key, p->pairs[middle].key);

        if (!order)
            return &p->pairs[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool gla__is_gguf(const gla_weights *w)
{
    return w->format == GLA__GGUF;
}

/* The part that has the answers; NULL: no gguf. */
static const gla__gguf_part *first_part(const gla_weights *w)
{
    return gla__is_gguf(w) ? ((const gla__gguf_file *)w)->parts : NULL;
}

/* NULL if the file has no such key. */
static const gla__gguf_pair *find_pair(const gla_weights *w, const char *key)
{
    const gla__gguf_part *p = first_part(w);

    return p ? gla__gguf_pair_find(p, key) : NULL;
}

bool gla__gguf_has(const gla_weights *w, const char *key)
{
    return find_pair(w, key) != NULL;
}

static const uint8_t *value_of(const gla_weights *w, const gla__gguf_pair *p)
{
    return ((const gla__gguf_file *)w)->parts[0].head + p->at;
}

/* A number or boolean of `type` at p, as a double and, if it is an integer, exactly. */
static bool load_number(const uint8_t *p, uint32_t type, double *out, int64_t *integer)
{
    uint64_t bits;
    double d;

    *integer = -1;
    switch (type) {
    case GLA__GGUF_U8:
    case GLA__GGUF_BOOL:
        *integer = p[0];
        break;
    case GLA__GGUF_I8:
        *integer = (int8_t)p[0];
        break;
    case GLA__GGUF_U16:
        *integer = (uint16_t)(p[0] | p[1] << 8);
        break;
    case GLA__GGUF_I16:
        *integer = (int16_t)(uint16_t)(p[0] | p[1] << 8);
        break;
    case GLA__GGUF_U32:
        *integer = gla__load_u32(p);
        break;
    case GLA__GGUF_I32:
        *integer = (int32_t)gla__load_u32(p);
        break;
    case GLA__GGUF_U64: /* above 2^63: no count we could use; negative, so it is refused */
    case GLA__GGUF_I64:
        *integer = (int64_t)gla__load_u64(p);
        break;
    case GLA__GGUF_F32:
        *out = (double)gla__bits_f32(gla__load_u32(p));
        return true;
    case GLA__GGUF_F64:
        bits = gla__load_u64(p);
        memcpy(&d, &bits, sizeof(d));
        *out = d;
        return true;
    default:
        return false;
    }
    *out = (double)*integer;
    return true;
}

bool gla__gguf_part_u64(const gla__gguf_part *part, const char *key, uint64_t *out)
{
    const gla__gguf_pair *p = gla__gguf_pair_find(part, key);
    double d;
    int64_t i;

    if (!p || p->type == GLA__GGUF_BOOL || p->type == GLA__GGUF_F32 || p->type == GLA__GGUF_F64 ||
        !load_number(part->head + p->at, p->type, &d, &i) || i < 0)
        return false;
    *out = (uint64_t)i;
    return true;
}

bool gla__gguf_u64(const gla_weights *w, const char *key, uint64_t *out)
{
    const gla__gguf_part *p = first_part(w);

    return p && gla__gguf_part_u64(p, key, out);
}

bool gla__gguf_f64(const gla_weights *w, const char *key, double *out)
{
    const gla__gguf_pair *p = find_pair(w, key);
    int64_t i;

    return p && p->type != GLA__GGUF_BOOL && load_number(value_of(w, p), p->type, out, &i);
}

bool gla__gguf_bool(const gla_weights *w, const char *key, bool *out)
{
    const gla__gguf_pair *p = find_pair(w, key);

    if (!p || p->type != GLA__GGUF_BOOL)
        return false;
    *out = *value_of(w, p) != 0;
    return true;
}

bool gla__gguf_string(const gla_weights *w, const char *key, gla__gguf_text *out)
{
    const gla__gguf_pair *p = find_pair(w, key);

    if (!p || p->type != GLA__GGUF_STRING)
        return false;
    out->data = (const char *)value_of(w, p);
    out->size = (size_t)p->n;
    return true;
}

bool gla__gguf_length(const gla_weights *w, const char *key, uint64_t *n)
{
    const gla__gguf_pair *p = find_pair(w, key);

    if (!p || p->type != GLA__GGUF_ARRAY || p->element == GLA__GGUF_STRING)
        return false;
    *n = p->n;
    return true;
}

bool gla__gguf_number(const gla_weights *w, const char *key, uint64_t i, double *out)
{
    const gla__gguf_pair *p = find_pair(w, key);
    int64_t integer;

    if (!p || p->type != GLA__GGUF_ARRAY || p->element == GLA__GGUF_STRING || i >= p->n)
        return false;
    return load_number(value_of(w, p) + i * gla__gguf_value_bytes(p->element), p->element, out,
                       &integer);
}

gla_status gla__gguf_strings(const gla_weights *w, const char *key, gla__gguf_text **list,
                             uint64_t *n, gla_diag *diag)
{
    const gla__gguf_pair *p = find_pair(w, key);
    const uint8_t *at;

    *list = NULL;
    *n = 0;
    if (!p || p->type != GLA__GGUF_ARRAY || p->element != GLA__GGUF_STRING)
        return gla__fail(diag, GLA_E_CORRUPT, "no list of strings \"%s\"", key);
    *list = gla__alloc_array(p->n ? (size_t)p->n : 1, sizeof(**list));
    if (!*list)
        return gla__fail_nomem(diag, key);
    at = value_of(w, p);
    for (uint64_t i = 0; i < p->n; i++) { /* the lengths were checked when the file was opened */
        (*list)[i].size = (size_t)gla__load_u64(at);
        (*list)[i].data = (const char *)at + 8;
        at += 8 + (*list)[i].size;
    }
    *n = p->n;
    return GLA_OK;
}

const char *gla__gguf_key(const gla_weights *w, uint32_t i)
{
    const gla__gguf_part *p = first_part(w);

    return p && i < p->n_pairs ? p->pairs[i].key : NULL;
}
