/* SPDX-License-Identifier: Apache-2.0
 *
 * blocks_v1_0.h - the conveniences that came with version 1.0 of the ABI, for the tests' layers
 * that own their object
 */
#ifndef SUPPORT_BLOCKS_V1_0_H
#define SUPPORT_BLOCKS_V1_0_H

#include <gla/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A layer's descriptor from the functions bind, forward, destroy and the array params of this file.
 */
#define GLA_LAYER_DESC(id, type_id_, revision_, summary_, flags_, create_)                         \
    static const gla_layer_desc id##_desc = {.struct_size = (uint32_t)sizeof(gla_layer_desc),      \
                                             .revision = revision_,                                \
                                             .type_id = type_id_,                                  \
                                             .summary = summary_,                                  \
                                             .flags = flags_,                                      \
                                             .params = params,                                     \
                                             .n_params =                                           \
                                                 (uint32_t)(sizeof(params) / sizeof(params[0])),   \
                                             .param_size = (uint32_t)sizeof(gla_param_desc),       \
                                             .create = create_,                                    \
                                             .destroy = destroy,                                   \
                                             .bind = bind,                                         \
                                             .forward = forward,                                   \
                                             .value_size = (uint32_t)sizeof(gla_param_value),      \
                                             .tensor_size = (uint32_t)sizeof(gla_tensor)}

/* One layer, one file: descriptor and plugin entry. */
#define GLA_LAYER_DEFINE(id, type_id_, revision_, summary_, flags_)                                \
    GLA_LAYER_DESC(id, type_id_, revision_, summary_, flags_, create);                             \
    static const gla_layer_desc *const id##_layers[] = {&id##_desc};                               \
    GLA_PLUGIN_DEFINE(id, "1.0", "Apache-2.0", NULL, NULL, id##_layers)

/* ---- conveniences, all inline ------------------------------------------ */

static inline const gla_math *gla_host_math(const gla_host *h)
{
    return (const gla_math *)h->get_extension(h, GLA_HOST_MATH_ID);
}

/* Zeroed memory for the layer object and for tables made in bind(). */
static inline void *gla_host_new(const gla_host *h, size_t bytes)
{
    const gla_host_alloc *a = (const gla_host_alloc *)h->get_extension(h, GLA_HOST_ALLOC_ID);
    return a ? a->alloc(h, bytes) : NULL;
}

static inline void gla_host_delete(const gla_host *h, void *p)
{
    const gla_host_alloc *a = (const gla_host_alloc *)h->get_extension(h, GLA_HOST_ALLOC_ID);
    if (a)
        a->free(h, p);
}

/* An optional weight or part: declared nowhere. */
#define GLA_ABSENT UINT32_MAX

static inline uint32_t gla_declare_weight(const gla_layer_config *c, const char *name,
                                          uint32_t role, uint32_t flags, int64_t d0, int64_t d1,
                                          int64_t d2)
{
    gla_weight_desc w = {name, role, 1, {d0, d1, d2, 0, 0, 0, 0, 0}, 1.0, flags, 0, NULL};
    w.ndim = d2 ? 3 : d1 ? 2 : 1;
    return c->declare->weight(c->declare, &w);
}

/* W [out, in] of a linear map. */
static inline uint32_t gla_declare_matrix(const gla_layer_config *c, const char *name, int64_t out,
                                          int64_t in)
{
    return gla_declare_weight(c, name, GLA_WEIGHT_MATRIX, 0, out, in, 0);
}

/* The same, kept in high precision when a model is quantised: gates, decays, routers. */
static inline uint32_t gla_declare_gate(const gla_layer_config *c, const char *name, int64_t out,
                                        int64_t in)
{
    return gla_declare_weight(c, name, GLA_WEIGHT_MATRIX, GLA_WEIGHT_SENSITIVE, out, in, 0);
}

/* A short convolution's taps [C, W]. */
static inline uint32_t gla_declare_taps(const gla_layer_config *c, const char *name,
                                        int64_t channels, int64_t width)
{
    return gla_declare_weight(c, name, GLA_WEIGHT_VECTOR, 0, channels, width, 0);
}

/* n numbers, given to bind() as f32. */
static inline uint32_t gla_declare_vector(const gla_layer_config *c, const char *name, int64_t n)
{
    return gla_declare_weight(c, name, GLA_WEIGHT_VECTOR, 0, n, 0, 0);
}

/* A recurrent state [d0, d1, d2] (0 = dimension absent), flops per token. */
static inline uint32_t gla_declare_fixed(const gla_layer_config *c, const char *name, int64_t d0,
                                         int64_t d1, int64_t d2, double flops)
{
    gla_state_desc s = {name, GLA_STATE_FIXED, 1, {d0, d1, d2, 0, 0, 0, 0, 0}, 0, 0, 0, 0, 0, 0,
                        flops};
    s.ndim = d2 ? 3 : d1 ? 2 : 1;
    return c->declare->state(c->declare, &s);
}

/* A KV cache that q_heads query heads read. */
static inline uint32_t gla_declare_kv(const gla_layer_config *c, const char *name, uint32_t q_heads,
                                      uint32_t kv_heads, uint32_t k_dim, uint32_t v_dim,
                                      uint32_t window)
{
    gla_state_desc s = {name,
                        GLA_STATE_PER_TOKEN,
                        0,
                        {0, 0, 0, 0, 0, 0, 0, 0},
                        kv_heads,
                        k_dim,
                        v_dim,
                        window,
                        q_heads,
                        0,
                        2.0 * q_heads * (k_dim + (v_dim ? v_dim : k_dim))};
    return c->declare->state(c->declare, &s);
}

/* Short convolutions over the parts of an input projection, one for each letter of `parts` ("qkv"):
 * taps "q_conv1d.weight" [channels[i], width] and, if asked, "q_conv1d.bias"; GLA_ABSENT where a
 * part has no channels.  For gla_make_conv(); returns the state that math->conv1d() wants.  Nothing
 * is declared when width is 0. */
static inline uint32_t gla_declare_convs(const gla_layer_config *c, const char *parts,
                                         const uint32_t *channels, uint32_t width, int has_bias,
                                         uint32_t *taps, uint32_t *biases)
{
    char weight[] = "x_conv1d.weight", bias[] = "x_conv1d.bias";
    uint32_t all = 0;

    for (uint32_t i = 0; parts[i]; i++) {
        weight[0] = bias[0] = parts[i];
        taps[i] = biases[i] = GLA_ABSENT;
        all += channels[i];
        if (!width || !channels[i])
            continue;
        taps[i] = gla_declare_taps(c, weight, channels[i], width);
        if (has_bias)
            biases[i] = gla_declare_vector(c, bias, channels[i]);
    }
    return width ? gla_declare_fixed(c, "conv", width - 1, all, 0, 2.0 * all * width) : GLA_ABSENT;
}

static inline uint32_t gla_declare_rows(const gla_layer_config *c, size_t per_row)
{
    return c->declare->scratch(c->declare, per_row, 0, 0);
}

/* One linear map over the declared weights parts[i] (outputs stacked in this order, absent ones
 * skipped), with biases[i] (or biases NULL).  For bind(). */
static inline gla_status gla_make_linear(const gla_host *h, const gla_tensor *weights, uint32_t n,
                                         const uint32_t *parts, const uint32_t *biases,
                                         gla_linear **out)
{
    const gla_tensor *w[GLA_MAX_PARTS];
    const float *b[GLA_MAX_PARTS];
    gla_linear_spec spec = {(uint32_t)sizeof(gla_linear_spec), 0, w, b, 1, 0};

    for (uint32_t i = 0; i < n && i < GLA_MAX_PARTS; i++) {
        const uint32_t bias = biases ? biases[i] : GLA_ABSENT;

        if (parts[i] == GLA_ABSENT)
            continue;
        w[spec.n_parts] = &weights[parts[i]];
        b[spec.n_parts] = bias == GLA_ABSENT ? NULL : (const float *)weights[bias].data;
        spec.n_parts++;
    }
    return gla_host_math(h)->linear_create(h, &spec, out);
}

/* One short convolution over the declared weights parts[i] [C_i, W] (absent ones skipped). */
static inline gla_status gla_make_conv(const gla_host *h, const gla_tensor *weights, uint32_t n,
                                       const uint32_t *parts, const uint32_t *biases,
                                       uint32_t activation, gla_conv **out)
{
    const float *w[GLA_MAX_PARTS], *b[GLA_MAX_PARTS];
    uint32_t channels[GLA_MAX_PARTS];
    gla_conv_spec spec = {(uint32_t)sizeof(gla_conv_spec), 0, 0, activation, w, b, channels};

    for (uint32_t i = 0; i < n && i < GLA_MAX_PARTS; i++) {
        const uint32_t bias = biases ? biases[i] : GLA_ABSENT;

        if (parts[i] == GLA_ABSENT)
            continue;
        w[spec.n_parts] = (const float *)weights[parts[i]].data;
        b[spec.n_parts] = bias == GLA_ABSENT ? NULL : (const float *)weights[bias].data;
        channels[spec.n_parts] = (uint32_t)weights[parts[i]].dims[0];
        spec.width = (uint32_t)weights[parts[i]].dims[1];
        spec.n_parts++;
    }
    return gla_host_math(h)->conv_create(h, &spec, out);
}

/* A feed-forward network: out(act(in x)), or out(act(gate) * up) of [gate | up] = in x. */
typedef struct gla_mlp {
    gla_linear *in, *out;
    uint32_t d_in, d_out, d_ff, activation, gated;
    float gate_multiplier; /* of gate before act; 1 = none */
} gla_mlp;

/* y [rows, d_out] of the batch's x; inner: scratch [rows, d_ff, twice that if gated]. */
static inline gla_status gla_run_mlp(const gla_math *m, const gla_batch *b, const gla_mlp *f,
                                     float *inner, float *y)
{
    const uint32_t n = b->n_rows, w = f->d_ff;
    const size_t ld = (f->gated ? 2u : 1u) * (size_t)w;
    gla_status st = m->linear(b, f->in, n, b->x, f->d_in, inner, ld);

    if (!st && f->gate_multiplier != 1.0f)
        st = m->scale(b, f->gate_multiplier, n, w, inner, ld);
    if (!st)
        st = f->gated ? m->glu(b, f->activation, n, w, inner, ld, inner + w, ld, inner, ld)
                      : m->activation(b, f->activation, n, w, inner, ld, inner, ld);
    return st ? st : m->linear(b, f->out, n, inner, ld, y, f->d_out);
}

/* The floats of a declared VECTOR weight; NULL if absent. */
static inline const float *gla_weight_f32(const gla_tensor *weights, uint32_t i)
{
    return i == GLA_ABSENT ? NULL : (const float *)weights[i].data;
}

#ifdef __cplusplus
}
#endif
#endif
