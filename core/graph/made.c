/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/made.h"

#include <gla/weights.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/tensor.h"
#include "graph/explain.h"
#include "graph/host.h"

static const gla_math *math_table(void)
{
    return gla__host()->get_extension(gla__host(), GLA_HOST_MATH_ID);
}

/* ---- linear maps ---- */

/* A part of a larger weight as a matrix of its own: a view where its rows (or the columns of a map's
 * only part) are dense, which linear_create() copies; otherwise gathered into memory that the caller
 * frees. */
static gla_status view_part(const gla__made_part *p, uint32_t in, bool alone,
                            const gla_weight_desc *w, const gla_tensor *whole, gla_tensor *part,
                            uint32_t *transposed, void **gathered)
{
    const gla_view *v = &p->view;
    const size_t size = gla__dtype_width(whole->dtype);
    const char *from = (const char *)whole->data + v->offset * size;
    size_t bytes;
    char *to;

    if (!gla__is_float(whole->dtype) || whole->dtype == GLA_DTYPE_F64) {
        gla__host_explain("%s is %s: parts of it are used one by one, which needs f32, bf16 or f16",
                          w->name, gla_dtype_name(whole->dtype));
        return GLA_E_UNSUPPORTED;
    }
    *part = (gla_tensor){.data = from, .dtype = whole->dtype, .ndim = 2, .dims = {p->out, in}};
    if (v->in_stride == 1 && v->out_stride == in)
        return GLA_OK;
    if (v->out_stride == 1 && v->in_stride == p->out && alone) {
        *transposed = 1;
        part->dims[0] = in;
        part->dims[1] = p->out;
        return GLA_OK;
    }
    if (!gla__mul_size((size_t)p->out * in, size, &bytes))
        return GLA_E_LIMIT;
    part->data = *gathered = to = gla__alloc(bytes);
    if (!to)
        return GLA_E_NOMEM;
    for (uint32_t o = 0; o < p->out; o++)
        for (uint32_t i = 0; i < in; i++, to += size)
            memcpy(to, from + (o * v->out_stride + i * v->in_stride) * size, size);
    return GLA_OK;
}

static const float *bias_of(const gla__made_part *p, const gla_tensor *tensors)
{
    return p->bias == UINT32_MAX ? NULL : (const float *)tensors[p->bias].data + p->bias_offset;
}

static gla_status bind_linear(gla__made *m, const gla_weight_desc *weights,
                              const gla_tensor *tensors)
{
    gla_tensor views[GLA_MAX_PARTS];
    const gla_tensor *parts[GLA_MAX_PARTS];
    const float *biases[GLA_MAX_PARTS];
    void *gathered[GLA_MAX_PARTS] = {NULL};
    gla_linear_spec spec = {.struct_size = (uint32_t)sizeof(spec),
                            .n_parts = m->n_parts,
                            .weights = parts,
                            .biases = biases,
                            .groups = m->groups};
    gla_linear *made = NULL;
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < m->n_parts && !st; i++) {
        const gla__made_part *p = &m->parts[i];

        parts[i] = &tensors[p->weight];
        biases[i] = bias_of(p, tensors);
        if (p->flags & GLA_PART_TRANSPOSED)
            spec.transpose = 1;
        if (p->view.struct_size) {
            st = view_part(p, m->in, m->n_parts == 1, &weights[p->weight], parts[i], &views[i],
                           &spec.transpose, &gathered[i]);
            parts[i] = &views[i];
        }
    }
    if (!st)
        st = math_table()->linear_create(gla__host(), &spec, &made);
    for (uint32_t i = 0; i < m->n_parts; i++)
        gla__free(gathered[i]);
    if (st)
        return st;
    math_table()->linear_destroy(m->object);
    m->object = *(gla_linear **)m->out = made;
    return GLA_OK;
}

static gla_status bind_conv(gla__made *m, const gla_tensor *tensors)
{
    const float *parts[GLA_MAX_PARTS], *biases[GLA_MAX_PARTS];
    uint32_t channels[GLA_MAX_PARTS];
    const gla_conv_spec spec = {.struct_size = (uint32_t)sizeof(spec),
                                .n_parts = m->n_parts,
                                .width = m->width,
                                .activation = m->activation,
                                .weights = parts,
                                .biases = biases,
                                .channels = channels};
    gla_conv *made = NULL;
    gla_status st;

    for (uint32_t i = 0; i < m->n_parts; i++) {
        parts[i] = tensors[m->parts[i].weight].data;
        biases[i] = bias_of(&m->parts[i], tensors);
        channels[i] = m->parts[i].out;
    }
    st = math_table()->conv_create(gla__host(), &spec, &made);
    if (st)
        return st;
    math_table()->conv_destroy(m->object);
    m->object = *(gla_conv **)m->out = made;
    return GLA_OK;
}

/* ---- numbers ---- */

static gla_status bind_numbers(gla__made *m, const gla_tensor *tensors)
{
    const gla_batch nothing = {.struct_size = (uint32_t)sizeof(nothing), .host = gla__host()};
    const gla_expr *e = &m->expr;
    const float *w = tensors[m->weight].data;
    const int64_t *n = e->out_dims, *s = e->stride;
    const uint32_t count = (uint32_t)m->n_numbers;
    float *at = m->numbers;
    gla_status st;

    *(const float **)m->out = m->numbers ? m->numbers : w;
    if (!m->numbers)
        return GLA_OK;
    for (int64_t i = 0; i < n[0]; i++)
        for (int64_t j = 0; j < n[1]; j++)
            for (int64_t k = 0; k < n[2]; k++)
                *at++ = w[e->offset + (uint64_t)(i * s[0] + j * s[1] + k * s[2])];
    st = math_table()->activation(&nothing, e->act, 1, count, m->numbers, count, m->numbers, count);
    for (uint32_t i = 0; i < count; i++)
        m->numbers[i] = e->shift + e->scale * m->numbers[i];
    return st;
}

gla_status gla__made_bind(gla__made *m, const gla_weight_desc *weights, const gla_tensor *tensors)
{
    switch ((gla__made_kind)m->kind) {
    case GLA__MADE_LINEAR:
        return bind_linear(m, weights, tensors);
    case GLA__MADE_CONV:
        return bind_conv(m, tensors);
    case GLA__MADE_NUMBERS:
        return bind_numbers(m, tensors);
    case GLA__MADE_ROPE:
    case GLA__MADE_TABLE:
        break; /* made when they were declared */
    }
    return GLA_OK;
}

void gla__made_release(gla__made *m)
{
    if (m->kind == GLA__MADE_LINEAR)
        math_table()->linear_destroy(m->object);
    else if (m->kind == GLA__MADE_CONV)
        math_table()->conv_destroy(m->object);
    else if (m->kind == GLA__MADE_ROPE)
        math_table()->rope_destroy(m->object);
    gla__free(m->numbers);
    gla__free(m->parts);
}
