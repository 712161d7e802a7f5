/* SPDX-License-Identifier: Apache-2.0 */
#include "math/linear.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/blob.h"
#include "base/checked.h"
#include "base/tensor.h"
#include "math/linear_parts.h"
#include "math/ops.h"

/* ---- creation ---- */

/* Explains through the host, where the layer's author and user will see it. */
static gla_status refuse(const gla_host *h, gla_status st, const char *what, uint32_t i,
                         int64_t given, int64_t wanted)
{
    char text[256];

    snprintf(text, sizeof(text), "linear: weight %u: %s (%lld, expected %lld)", i, what,
             (long long)given, (long long)wanted);
    if (h && h->explain)
        h->explain(h, text);
    return st;
}

static gla_status check_weight(const gla_host *h, const gla_linear_spec *spec, uint32_t i)
{
    const gla_tensor *w = spec->weights[i];
    const uint32_t ndim = spec->groups > 1 ? 3 : 2;
    const uint32_t lead = w && w->ndim == 3 ? 1 : 0; /* one expert may come as [1, out, in] */

    if (!w || !w->data)
        return refuse(h, GLA_E_INVALID, "no data", i, 0, 1);
    if (w->dtype < GLA_DTYPE_F32 || w->dtype > GLA_DTYPE_I4)
        return refuse(h, GLA_E_UNSUPPORTED, "dtype is none of f32, bf16, f16, i8, i4", i, w->dtype,
                      GLA_DTYPE_F32);
    if (w->ndim != ndim && !(w->ndim == 3 && ndim == 2 && w->dims[0] == 1))
        return refuse(h, GLA_E_SHAPE, "number of dimensions", i, w->ndim, ndim);
    if (ndim == 3 && w->dims[0] != spec->groups)
        return refuse(h, GLA_E_SHAPE, "number of groups", i, w->dims[0], spec->groups);
    if (w->dims[lead] < 1 || w->dims[lead] > INT32_MAX)
        return refuse(h, GLA_E_SHAPE, "outputs", i, w->dims[lead], 1);
    if (w->dims[lead + 1] < 1 || w->dims[lead + 1] > INT32_MAX)
        return refuse(h, GLA_E_SHAPE, "inputs", i, w->dims[lead + 1], 1);
    if (w->dtype >= GLA_DTYPE_I8 && !w->aux)
        return refuse(h, GLA_E_INVALID, "quantised without scales", i, 0, 1);
    if (w->dtype >= GLA_DTYPE_I8 && spec->transpose)
        return refuse(h, GLA_E_UNSUPPORTED, "quantised and transposed", i, w->dtype, GLA_DTYPE_F32);
    if (w->dtype == GLA_DTYPE_I4 && w->dims[lead + 1] % GLA__I4_GROUP)
        return refuse(h, GLA_E_SHAPE, "int4 inputs past a multiple of 32", i,
                      w->dims[lead + 1] % GLA__I4_GROUP, 0);
    return GLA_OK;
}

static void transpose(const gla_tensor *w, size_t groups, size_t out, size_t in, void *to)
{
    for (size_t g = 0; g < groups; g++) {
        for (size_t o = 0; o < out; o++) {
            for (size_t i = 0; i < in; i++) {
                const size_t from = (g * in + i) * out + o, at = (g * out + o) * in + i;

                if (w->dtype == GLA_DTYPE_F32)
                    ((float *)to)[at] = ((const float *)w->data)[from];
                else
                    ((uint16_t *)to)[at] = ((const uint16_t *)w->data)[from];
            }
        }
    }
}

static gla_status make_transposed(gla_linear *l, const gla_tensor *w)
{
    gla__linear_part *p = &l->parts[0];
    size_t bytes;

    if (!gla__mul_size(l->groups * p->out, p->rows.stride, &bytes))
        return GLA_E_LIMIT;
    l->transposed = gla__alloc(bytes);
    if (!l->transposed)
        return GLA_E_NOMEM;
    l->bytes += bytes;
    transpose(w, l->groups, p->out, l->in, l->transposed);
    p->rows.data = l->transposed;
    return GLA_OK;
}

static void set_part(gla_linear *l, gla__linear_part *p, const gla_tensor *w, uint32_t transposed)
{
    const uint32_t lead = w->ndim == 3 ? 1 : 0;

    p->dtype = w->dtype;
    p->out = (size_t)w->dims[lead + (transposed ? 1 : 0)];
    p->first_out = l->out;
    p->rows.data = w->data;
    p->rows.aux = w->aux;
    p->rows.stride = gla__row_bytes(w->dtype, l->in);
    p->rows.aux_stride = gla__row_scales(w->dtype, l->in);
    l->out += p->out;
    l->has[w->dtype] = true;
}

/* Whole blobs are kept; anything else, such as a part of one, may go away and is copied. */
static gla_status keep_weights(gla_linear *l, gla__linear_part *p, const gla_tensor *w)
{
    uint64_t data, aux;
    gla_status st;
    size_t bytes;

    if (gla__blob_ref(w->data)) {
        p->blob = w->data;
        l->bytes += gla__blob_bytes(w->data);
        return GLA_OK;
    }
    st = gla__tensor_bytes(w->dtype, w->ndim, w->dims, &data, &aux);
    if (st)
        return st;
    if (!gla__add_u64(data, aux, &data) || !gla__to_size(data, &bytes))
        return GLA_E_LIMIT;
    p->copy = gla__alloc(bytes);
    if (!p->copy)
        return GLA_E_NOMEM;
    l->bytes += bytes;
    memcpy(p->copy, w->data, bytes - (size_t)aux);
    p->rows.data = p->copy;
    if (aux) {
        p->rows.aux = p->rows.data + (bytes - (size_t)aux);
        memcpy((char *)p->copy + (bytes - (size_t)aux), w->aux, (size_t)aux);
    }
    return GLA_OK;
}

/* In a file the scales of an int8 tensor follow its values: after an odd number of those they lie
 * where no float may. */
static gla_status align_scales(gla_linear *l, gla__linear_part *p)
{
    const size_t bytes = l->groups * p->out * sizeof(float);

    if (p->dtype != GLA_DTYPE_I8 || (uintptr_t)p->rows.aux % sizeof(float) == 0)
        return GLA_OK;
    p->scales = gla__alloc(bytes);
    if (!p->scales)
        return GLA_E_NOMEM;
    l->bytes += bytes;
    memcpy(p->scales, p->rows.aux, bytes);
    p->rows.aux = p->scales;
    return GLA_OK;
}

static gla_status copy_biases(gla_linear *l, const gla_linear_spec *spec)
{
    size_t bytes;

    if (!spec->biases)
        return GLA_OK;
    if (!gla__mul_size(l->out, l->groups * sizeof(float), &bytes))
        return GLA_E_LIMIT;
    l->biases = gla__alloc(bytes);
    if (!l->biases)
        return GLA_E_NOMEM;
    l->bytes += bytes;
    for (uint32_t i = 0; i < l->n_parts; i++) {
        gla__linear_part *p = &l->parts[i];
        float *to = l->biases + l->groups * p->first_out;

        if (!spec->biases[i])
            continue;
        memcpy(to, spec->biases[i], l->groups * p->out * sizeof(float));
        p->bias = to;
    }
    return GLA_OK;
}

gla_status gla__linear_create(const gla_host *h, const gla_linear_spec *given, gla_linear **out)
{
    gla_linear_spec s;
    const gla_linear_spec *spec = &s;
    gla_status st = GLA__TAKE(h, gla_linear_spec, given, &s);
    gla_linear *l;

    *out = NULL;
    if (st)
        return st;
    if (!spec->n_parts || ((spec->groups > 1 || spec->transpose) && spec->n_parts > 1))
        return refuse(h, GLA_E_UNSUPPORTED, "number of parts with groups or transpose", 0,
                      spec->n_parts, 1);
    for (uint32_t i = 0; i < spec->n_parts && !st; i++)
        st = check_weight(h, spec, i);
    if (st)
        return st;
    l = gla__alloc_zero(sizeof(*l) + spec->n_parts * sizeof(gla__linear_part));
    if (!l)
        return GLA_E_NOMEM;
    l->bytes = sizeof(*l) + spec->n_parts * sizeof(gla__linear_part);
    l->kernels = gla__linear_kernels_for(gla__cpu_get());
    l->n_parts = spec->n_parts;
    l->groups = spec->groups ? spec->groups : 1;
    for (uint32_t i = 0; i < spec->n_parts; i++) {
        const gla_tensor *w = spec->weights[i];
        const int64_t in = w->dims[w->ndim - (spec->transpose ? 2 : 1)];

        if (i && (size_t)in != l->in) {
            st = refuse(h, GLA_E_SHAPE, "inputs differ from the first part's", i, in,
                        (int64_t)l->in);
            goto fail;
        }
        l->in = (size_t)in;
        set_part(l, &l->parts[i], w, spec->transpose);
        if (!spec->transpose)
            st = keep_weights(l, &l->parts[i], w);
        if (!st)
            st = align_scales(l, &l->parts[i]);
        if (st)
            goto fail;
    }
    st = copy_biases(l, spec);
    if (!st && spec->transpose)
        st = make_transposed(l, spec->weights[0]);
    if (st)
        goto fail;
    *out = l;
    return GLA_OK;

fail:
    gla__linear_destroy(l);
    return st;
}

gla_linear *gla__linear_ref(gla_linear *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void gla__linear_destroy(gla_linear *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) > 0)
        return;
    for (uint32_t i = 0; i < l->n_parts; i++) {
        gla__free(l->parts[i].scales);
        gla__blob_unref(l->parts[i].blob);
        gla__free(l->parts[i].copy);
    }
    gla__free(l->biases);
    gla__free(l->transposed);
    gla__free(l);
}

uint64_t gla__linear_bytes(const gla_linear *l)
{
    return l ? l->bytes : 0;
}

/* ---- rows of a matrix ---- */

typedef struct gather_call {
    const gla_linear *l;
    const int32_t *ids;
    float *y;
    size_t ld_y;
} gather_call;

static void gather_rows(void *arg, uint32_t first, uint32_t last)
{
    const gather_call *c = arg;
    const gla__linear_part *p = &c->l->parts[0];

    for (uint32_t r = first; r < last; r++) {
        const gla__weight_rows w = gla__linear_rows(p, 0, (size_t)c->ids[r]);

        c->l->kernels->row[p->dtype](&w, c->l->in, c->y + r * c->ld_y);
    }
}

gla_status gla__gather(const gla_batch *b, const gla_linear *l, uint32_t rows, const int32_t *ids,
                       float *y, size_t ld_y)
{
    gather_call c = {l, ids, y, ld_y};
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_LINEAR, &work);

    if (!st && l->n_parts != 1)
        st = GLA_E_INVALID;
    for (uint32_t r = 0; r < rows && !st; r++) {
        if (ids[r] < 0 || (size_t)ids[r] >= l->groups * l->parts[0].out)
            st = GLA_E_INVALID;
    }
    if (!st)
        st = gla__for_rows(b, rows, gather_rows, &c);
    return gla__work_end(&work, st);
}

const gla__linear_kernels *gla__linear_kernels_for(const gla__cpu *cpu)
{
    const gla__isa isa =
        cpu->isa == GLA__ISA_AVX512 && !cpu->avx512_vnni ? GLA__ISA_AVX2 : cpu->isa;

    return GLA__FOR_ISA(isa, &gla_k_linear__c, &gla_k_linear__avx2, &gla_k_linear__avx512);
}
