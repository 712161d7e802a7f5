/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/blocks.h - what most layers are made of, inline, on top of gla/plugin.h
 *
 * For C.  Compiled into the layer and no part of the ABI: what stands here may change at any time, and a
 * plugin that was built with an older version runs as before.
 *
 *     struct gla_layer { gla_heads h; gla_in in; gla_out out; uint32_t s, t_o; };
 *
 *     static gla_status make(gla_layer *l, const gla_layer_config *c)
 *     {
 *         const gla_in_part parts[] = {{"q_proj", qc}, {"k_proj", kc}, {"v_proj", vc}};
 *         gla_in_declare(c, &l->in, parts, 3, NULL);
 *         gla_out_declare(c, &l->out, "o_proj", oc, 0, &norm, "g_norm.weight");
 *         ...
 *     }
 *     static gla_status forward(const gla_layer *l, const gla_batch *b)
 *     {
 *         const gla_math *m = b->math;
 *         float *x[3];
 *         const size_t ld = gla_in_run(m, b, &l->in, x);
 *         m->recurrence(b, &r);
 *         return gla_out_run(m, b, &l->out, o, NULL, 0);
 *     }
 *     GLA_LAYER_DEFINE(mine, "org.example.mine/1", 1, "my mixer", .flags = GLA_LAYER_MIXER);
 */
#ifndef GLA_BLOCKS_H
#define GLA_BLOCKS_H

#include <gla/plugin.h>

#include <math.h>

/* ---- descriptors -------------------------------------------------------- */

/* A layer's descriptor from the array params and the functions make_ and forward of this file; then
 * further fields: .flags = GLA_LAYER_MIXER, .bound = bound, GLA_MORE(gla_params_norm). */
#define GLA_LAYER_DESC(id, type_id_, revision_, summary_, make_, ...)                              \
    static const gla_layer_desc id##_desc = {.struct_size = (uint32_t)sizeof(gla_layer_desc),      \
                                             .revision = revision_,                                \
                                             .type_id = type_id_,                                  \
                                             .summary = summary_,                                  \
                                             .params = params,                                     \
                                             .n_params =                                           \
                                                 (uint32_t)(sizeof(params) / sizeof(params[0])),   \
                                             .param_size = (uint32_t)sizeof(gla_param_desc),       \
                                             .value_size = (uint32_t)sizeof(gla_param_value),      \
                                             .tensor_size = (uint32_t)sizeof(gla_tensor),          \
                                             .layer_bytes = sizeof(gla_layer),                     \
                                             .make = make_,                                        \
                                             .forward = forward,                                   \
                                             __VA_ARGS__}

/* One layer, one file: descriptor and plugin entry. */
#define GLA_LAYER_DEFINE(id, type_id_, revision_, summary_, ...)                                   \
    GLA_LAYER_DESC(id, type_id_, revision_, summary_, make, __VA_ARGS__);                          \
    static const gla_layer_desc *const id##_layers[] = {&id##_desc};                               \
    GLA_PLUGIN_DEFINE(id, "1.0", "Apache-2.0", NULL, NULL, id##_layers)

/* NAME: the make_ of one of several layers of a file, make(l, c, WHICH). */
#define GLA_LAYER_MAKE(name_, which_)                                                              \
    static gla_status name_(gla_layer *l, const gla_layer_config *c)                               \
    {                                                                                              \
        return make(l, c, which_);                                                                 \
    }                                                                                              \
    struct gla_layer

/* What a layer says of a file that it cannot make. */
static inline gla_status gla_refuse(const gla_layer_config *c, const char *why)
{
    return gla_host_fail(c->host, GLA_E_INVALID, why);
}

/* ---- parameters that many layers have ----------------------------------- */

#define GLA_MORE(table) .more = table, .n_more = (uint32_t)(sizeof(table) / sizeof((table)[0]))

static const char *const gla_activation_names[] = {GLA_ACTIVATION_NAMES, NULL};
#define GLA_P_ACT(name, def, help) GLA_P_ENUM(name, def, gla_activation_names, help)

/* The values follow those of the layer's own table. */
enum { GLA_N_EPS, GLA_N_WEIGHT };
static const gla_param_desc gla_params_norm[] = {
    GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
    GLA_P_BOOL("norm_weight", 1, "whether the output norm has a weight")};

/* Beside the layer's own `heads`. */
enum {
    GLA_H_KV_HEADS,
    GLA_H_K_DIM,
    GLA_H_V_DIM,
    GLA_H_CONV,
    GLA_H_CONV_BIAS,
    GLA_H_EPS,
    GLA_H_WEIGHT
};
static const gla_param_desc gla_params_heads[] = {
    GLA_P_INT("kv_heads", 0, 0, 1024, "key and value heads; 0 = heads"),
    GLA_P_INT("k_dim", 0, 0, 1 << 20, "all query channels; 0 = d_model (gla: expand_k of it)"),
    GLA_P_INT("v_dim", 0, 0, 1 << 20,
              "all output channels; 0 = d_model (gla: expand_v of it, retention: twice)"),
    GLA_P_INT("conv", 0, 0, 64, "width of the short convolution of q, k, v; 0 = none"),
    GLA_P_BOOL("conv_bias", 0, "biases of the convolution"),
    GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
    GLA_P_BOOL("norm_weight", 1, "whether the output norm has a weight")};

static inline uint32_t gla_u32(const gla_param_value *v)
{
    return (uint32_t)v->i;
}

/* The value, or what 0 stands for. */
static inline uint32_t gla_u32_or(const gla_param_value *v, uint32_t otherwise)
{
    return v->i ? (uint32_t)v->i : otherwise;
}

/* An epsilon that is the model's unless the file gives it. */
static inline float gla_eps(const gla_layer_config *c, const gla_param_value *v)
{
    return (float)(v->is_set ? v->f : c->norm_eps);
}

/* ---- states and scratch ------------------------------------------------- */

/* A recurrent state [d0, d1, d2] (0 = dimension absent), flops per token. */
static inline uint32_t gla_declare_fixed(const gla_layer_config *c, const char *name, int64_t d0,
                                         int64_t d1, int64_t d2, double flops)
{
    gla_state_desc s = {.name = name, .kind = GLA_STATE_FIXED, .dims = {d0, d1, d2}};

    s.ndim = d2 ? 3 : d1 ? 2 : 1;
    s.flops = flops;
    return c->declare->state(c->declare, &s);
}

/* A KV cache that q_heads query heads read. */
static inline uint32_t gla_declare_kv(const gla_layer_config *c, const char *name, uint32_t q_heads,
                                      uint32_t kv_heads, uint32_t k_dim, uint32_t v_dim,
                                      uint32_t window)
{
    gla_state_desc s = {.name = name, .kind = GLA_STATE_PER_TOKEN};

    s.kv_heads = kv_heads;
    s.k_dim = k_dim;
    s.v_dim = v_dim;
    s.window = window;
    s.q_heads = q_heads;
    s.flops = 2.0 * q_heads * (k_dim + (v_dim ? v_dim : k_dim));
    return c->declare->state(c->declare, &s);
}

static inline uint32_t gla_declare_rows(const gla_layer_config *c, size_t per_row)
{
    return c->declare->scratch(c->declare, per_row, 0, 0);
}

/* Scratch that holds whole numbers (route()). */
static inline uint32_t *gla_scratch_u32(const gla_batch *b, uint32_t i)
{
    return (uint32_t *)(void *)b->scratch[i];
}

/* ---- weights ------------------------------------------------------------ */

static inline gla_init gla_init_of(uint32_t kind, double a, double b, double c)
{
    const gla_init init = {(uint32_t)sizeof(init), kind, a, b, c};

    return init;
}

static inline gla_init gla_constant(double a)
{
    return gla_init_of(GLA_INIT_CONSTANT, a, 0, 0);
}

static inline void gla_declare_parts(const gla_layer_config *c, const gla_part *parts, uint32_t n,
                                     uint32_t in, gla_linear **to)
{
    const gla_map map = {.struct_size = (uint32_t)sizeof(map),
                         .part_size = (uint32_t)sizeof(gla_part),
                         .parts = parts,
                         .n_parts = n,
                         .in = in};

    c->declare->linear(c->declare, &map, to);
}

/* y = W x: NAME.weight [out, in], with GLA_PART_BIAS NAME.bias [out]; nothing where out is 0. */
static inline void gla_declare_linear(const gla_layer_config *c, const char *name, uint32_t out,
                                      uint32_t in, uint32_t flags, gla_linear **to)
{
    const gla_part part = {.name = name, .out = out, .flags = flags};

    gla_declare_parts(c, &part, 1, in, to);
}

/* The same, with how the weight and the bias start. */
static inline void gla_declare_linear_from(const gla_layer_config *c, const char *name,
                                           uint32_t out, uint32_t in, uint32_t flags,
                                           const gla_init *init, const gla_init *bias_init,
                                           gla_linear **to)
{
    const gla_part part = {
        .name = name, .out = out, .flags = flags, .init = init, .bias_init = bias_init};

    gla_declare_parts(c, &part, 1, in, to);
}

/* A causal convolution of `width` taps of each channel: NAME.weight [channels, width]. */
static inline void gla_declare_conv(const gla_layer_config *c, const char *name, uint32_t channels,
                                    uint32_t width, uint32_t flags, uint32_t activation,
                                    gla_conv **to)
{
    const gla_part part = {.name = name, .out = channels, .flags = flags};
    const gla_conv_map map = {.struct_size = (uint32_t)sizeof(map),
                              .part_size = (uint32_t)sizeof(part),
                              .parts = &part,
                              .n_parts = 1,
                              .width = width,
                              .activation = activation};

    c->declare->conv(c->declare, &map, to);
}

/* The state of a convolution; none for a width of 1.  A layer has one of this name. */
static inline uint32_t gla_declare_conv_state(const gla_layer_config *c, uint32_t channels,
                                              uint32_t width)
{
    return width > 1 ? gla_declare_fixed(c, "conv", (int64_t)width - 1, channels, 0,
                                         2.0 * channels * width)
                     : UINT32_MAX;
}

/* A weight [d0, d1] (d1 0: [d0]) as it is, whatever the file's type.  Writes *to when it is there.
 */
static inline void gla_declare_numbers(const gla_layer_config *c, const char *name, int64_t d0,
                                       int64_t d1, const gla_init *init, const float **to)
{
    const gla_expr e = {.struct_size = (uint32_t)sizeof(e),
                        .name = name,
                        .ndim = d1 ? 2 : 1,
                        .dims = {d0, d1},
                        .init = init};

    c->declare->numbers(c->declare, &e, to);
}

/* shift + scale act(w) of a weight [n]. */
static inline void gla_declare_affine(const gla_layer_config *c, const char *name, int64_t n,
                                      uint32_t act, float scale, float shift, const gla_init *init,
                                      const float **to)
{
    const gla_expr e = {.struct_size = (uint32_t)sizeof(e),
                        .act = act,
                        .name = name,
                        .ndim = 1,
                        .dims = {n},
                        .scale = scale,
                        .shift = shift,
                        .init = init};

    c->declare->numbers(c->declare, &e, to);
}

/* scale act(w) of a weight [n]. */
static inline void gla_declare_derived(const gla_layer_config *c, const char *name, int64_t n,
                                       uint32_t act, float scale, const gla_init *init,
                                       const float **to)
{
    gla_declare_affine(c, name, n, act, scale, 0, init, to);
}

/* ---- norms -------------------------------------------------------------- */

static inline gla_norm gla_norm_of(uint32_t kind, uint32_t groups, uint32_t width, float eps)
{
    gla_norm n = {.struct_size = (uint32_t)sizeof(n), .kind = kind, .groups = groups};

    n.width = width;
    n.eps = eps;
    return n;
}

/* Its weight, 1 at first, and with bias its bias. */
static inline void gla_norm_declare(const gla_layer_config *c, gla_norm *n, const char *weight,
                                    const char *bias)
{
    const int64_t size = (int64_t)n->width * (n->weight_per_group ? n->groups : 1);
    const gla_init one = gla_constant(1.0 - (double)n->weight_offset), zero = gla_constant(0);

    if (weight)
        gla_declare_numbers(c, weight, size, 0, &one, &n->weight);
    if (bias)
        gla_declare_numbers(c, bias, size, 0, &zero, &n->bias);
}

/* ---- row work ----------------------------------------------------------- */

/* x [r, g, i] *= f [r, g] for i < width, in place. */
static inline gla_status gla_mul_groups(const gla_batch *b, uint32_t groups, uint32_t width,
                                        float *x, size_t ld_x, const float *f, size_t ld_f)
{
    const gla_factor factor = {
        (uint32_t)sizeof(factor), b->n_rows, groups, width, x, f, x, ld_x, ld_f, ld_x};

    return b->math->mul(b, &factor);
}

/* y [r, g, i] += f [r, g] x [r, g, i] for i < width; f NULL: 1; a distance of 0: the same for all
 * rows. */
static inline gla_status gla_add_groups(const gla_batch *b, uint32_t groups, uint32_t width,
                                        const float *x, size_t ld_x, const float *f, size_t ld_f,
                                        float *y, size_t ld_y)
{
    const gla_factor factor = {
        (uint32_t)sizeof(factor), b->n_rows, groups, width, x, f, y, ld_x, ld_f, ld_y};

    return b->math->add(b, &factor);
}

/* y [r, g, i] = x [r, g, i] for i < width, groups at their own distances in x and y. */
static inline gla_status gla_copy_groups(const gla_batch *b, uint32_t groups, uint32_t width,
                                         const float *x, size_t ld_x, size_t stride_x, float *y,
                                         size_t ld_y, size_t stride_y)
{
    const gla_copy copy = {(uint32_t)sizeof(copy),
                           b->n_rows,
                           groups,
                           width,
                           x,
                           y,
                           ld_x,
                           ld_y,
                           stride_x,
                           stride_y,
                           1,
                           0};

    return b->math->copy(b, &copy);
}

static inline float gla_sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* fn and its vjp over the rows of a batch; arg is a struct of the layer's. */
#define GLA_ROWS(b, arg_, fn_, vjp_, ...)                                                          \
    GLA_ROW_WORK(b, (b)->n_rows, 0, arg_, fn_, vjp_, __VA_ARGS__)

/* The same over so many pieces of work of any kind, which get the operands whole. */
#define GLA_PIECES(b, pieces_, arg_, fn_, vjp_, ...)                                               \
    GLA_ROW_WORK(b, pieces_, 1, arg_, fn_, vjp_, __VA_ARGS__)

#define GLA_ROW_WORK(b, rows_, whole_, arg_, fn_, vjp_, ...)                                       \
    ((b)->math->rows((b),                                                                          \
                     &(gla_rows){.struct_size = (uint32_t)sizeof(gla_rows),                        \
                                 .operand_size = (uint32_t)sizeof(gla_operand),                    \
                                 .operands = (gla_operand[]){__VA_ARGS__},                         \
                                 .n_operands = (uint32_t)(sizeof((gla_operand[]){__VA_ARGS__}) /   \
                                                          sizeof(gla_operand)),                    \
                                 .rows = (rows_),                                                  \
                                 .whole = (whole_),                                                \
                                 .arg = &(arg_),                                                   \
                                 .arg_bytes = (uint32_t)sizeof(arg_),                              \
                                 .fn = (fn_),                                                      \
                                 .vjp = (vjp_)}))

/* ---- in: what reads x --------------------------------------------------- */

typedef struct gla_in_part {
    const char *name; /* NAME.weight [out, D] */
    uint32_t out;     /* 0: absent */
    uint32_t act;     /* gla_activation, after the convolution */
    uint32_t flags;   /* GLA_PART_*, GLA_IN_CONV */
    const char *bias; /* where it is not NAME.bias */
    const gla_init *bias_init;
} gla_in_part;
#define GLA_IN_CONV 0x10000u /* taps q_conv1d.weight of "q_proj"; those that have it come first */

typedef struct gla_in_conv {
    uint32_t width, bias, act; /* width 0: none; act: before those of the parts */
} gla_in_conv;

/* One stacked map, a short convolution of the first parts, an activation each. */
typedef struct gla_in {
    uint32_t n, d, s_conv, t_in;
    uint32_t at[GLA_MAX_PARTS + 1]; /* part i is columns at[i] .. at[i + 1] */
    uint32_t act[GLA_MAX_PARTS];
    gla_linear *map;
    gla_conv *conv;
} gla_in;

static inline void gla_in_declare(const gla_layer_config *c, gla_in *in, const gla_in_part *parts,
                                  uint32_t n, const gla_in_conv *conv)
{
    gla_part maps[GLA_MAX_PARTS] = {{0}}, taps[GLA_MAX_PARTS] = {{0}};
    char names[GLA_MAX_PARTS][16] = {"x_conv1d"};
    const uint32_t width = conv ? conv->width : 0;
    uint32_t channels = 0;

    if (n > GLA_MAX_PARTS) { /* the host says so */
        gla_declare_parts(c, NULL, n, c->d_in, &in->map);
        return;
    }
    in->n = n;
    in->d = c->d_in;
    for (uint32_t i = 0; i < n; i++) {
        const gla_in_part *p = &parts[i];

        in->at[i + 1] = in->at[i] + p->out;
        in->act[i] = p->act;
        maps[i] = (gla_part){.name = p->name,
                             .out = p->out,
                             .flags = p->flags & ~GLA_IN_CONV,
                             .bias = p->bias,
                             .bias_init = p->bias_init};
        for (uint32_t k = 0; k < sizeof(names[0]); k++)
            names[i][k] = "x_conv1d\0\0\0\0\0\0\0"[k];
        names[i][0] = p->name[0];
        if (!width || !(p->flags & GLA_IN_CONV))
            continue;
        taps[i] =
            (gla_part){.name = names[i], .out = p->out, .flags = conv->bias ? GLA_PART_BIAS : 0};
        channels += p->out;
    }
    gla_declare_parts(c, maps, n, c->d_in, &in->map);
    if (channels) {
        const gla_conv_map map = {.struct_size = (uint32_t)sizeof(map),
                                  .part_size = (uint32_t)sizeof(gla_part),
                                  .parts = taps,
                                  .n_parts = n,
                                  .width = width,
                                  .activation = conv->act};

        c->declare->conv(c->declare, &map, &in->conv);
        in->s_conv = gla_declare_conv_state(c, channels, width);
    }
    in->t_in = gla_declare_rows(c, in->at[n]);
}

/* Of the batch's x.  x[i] is part i, [rows, out], NULL if it is absent; returns the distance
 * between rows. */
static inline size_t gla_in_run(const gla_math *m, const gla_batch *b, const gla_in *in, float **x)
{
    float *rows = b->scratch[in->t_in];
    const size_t ld = in->at[in->n];

    m->linear(b, in->map, b->n_rows, b->x, in->d, rows, ld);
    if (in->conv)
        m->conv1d(b, in->conv, in->s_conv, rows, ld, rows, ld);
    for (uint32_t i = 0, next; i < in->n; i = next) {
        float *part = rows + in->at[i];

        for (next = i; next < in->n && in->act[next] == in->act[i]; next++)
            x[next] = in->at[next + 1] > in->at[next] ? rows + in->at[next] : NULL;
        if (in->act[i] && in->at[next] > in->at[i])
            m->activation(b, in->act[i], b->n_rows, in->at[next] - in->at[i], part, ld, part, ld);
    }
    return ld;
}

/* ---- out: norm, gate, projection ---------------------------------------- */

typedef struct gla_out {
    uint32_t width, d, has_norm;
    gla_norm norm; /* gate_activation also without a norm */
    gla_linear *map;
} gla_out;

/* norm NULL: none; its weight is norm_name (NULL: it has none).  Set out->norm.gate_activation
 * after. */
static inline void gla_out_declare(const gla_layer_config *c, gla_out *out, const char *name,
                                   uint32_t width, uint32_t flags, const gla_norm *norm,
                                   const char *norm_name)
{
    out->width = width;
    out->d = c->d_out;
    if (norm) {
        out->has_norm = 1;
        out->norm = *norm;
        gla_norm_declare(c, &out->norm, norm_name, NULL);
    }
    gla_declare_linear(c, name, c->d_out, width, flags, &out->map);
}

/* y = W (norm(o) * act(gate)); gate [rows, width] or NULL; o is overwritten. */
static inline gla_status gla_out_run(const gla_math *m, const gla_batch *b, const gla_out *out,
                                     float *o, const float *gate, size_t ld_gate)
{
    const uint32_t n = b->n_rows, w = out->width;
    gla_norm norm = out->norm;

    norm.gate = gate;
    norm.ld_gate = ld_gate;
    if (out->has_norm)
        m->norm(b, &norm, n, o, w, o, w);
    else if (gate)
        m->glu(b, norm.gate_activation, n, w, gate, ld_gate, o, w, o, w);
    return m->linear(b, out->map, n, o, w, b->y, out->d);
}

/* ---- heads -------------------------------------------------------------- */

/* Query heads, and key and value heads that groups of them share. */
typedef struct gla_heads {
    uint32_t heads, kv_heads, k, v; /* K and V of a head */
    uint32_t qc, kc, vc, oc;        /* channels of all q, k, v and of the output */
} gla_heads;

static inline gla_status gla_heads_of(const gla_layer_config *c, uint32_t heads, uint32_t kv_heads,
                                      uint32_t qc, uint32_t oc, gla_heads *h)
{
    h->heads = heads;
    h->kv_heads = kv_heads ? kv_heads : heads;
    if (!qc || qc % heads || oc % heads || heads % h->kv_heads)
        return gla_refuse(c, "k_dim and v_dim must be multiples of heads, and heads of kv_heads");
    h->k = qc / heads;
    h->v = oc / heads;
    h->qc = qc;
    h->oc = oc;
    h->kc = h->kv_heads * h->k;
    h->vc = h->kv_heads * h->v;
    return GLA_OK;
}

/* From values of gla_params_heads; k_dim and v_dim are so many times D where the file says nothing. */
static inline gla_status gla_heads_read(const gla_layer_config *c, uint32_t heads,
                                        const gla_param_value *p, double expand_k, double expand_v,
                                        gla_heads *h)
{
    return gla_heads_of(c, heads, gla_u32(&p[GLA_H_KV_HEADS]),
                        gla_u32_or(&p[GLA_H_K_DIM], (uint32_t)(expand_k * c->d_in)),
                        gla_u32_or(&p[GLA_H_V_DIM], (uint32_t)(expand_v * c->d_in)), h);
}

/* The state [H, K, V], flops per number of it and token. */
static inline uint32_t gla_heads_state(const gla_layer_config *c, const gla_heads *h, double flops)
{
    return gla_declare_fixed(c, "S", h->heads, h->k, h->v, flops * h->heads * h->k * h->v);
}

/* A recurrence over that state.  Rows of q, k, v and of what else it may read, which is still to be
 * filled in, are at a distance of ld. */
static inline gla_recurrence gla_heads_recurrence(const gla_heads *h, uint32_t state,
                                                  uint32_t decay, const float *q, const float *k,
                                                  const float *v, size_t ld, float *o)
{
    gla_recurrence r = {.struct_size = (uint32_t)sizeof(r), .heads = h->heads, .k_dim = h->k};

    r.decay = decay;
    r.v_dim = h->v;
    r.q = q;
    r.k = k;
    r.v = v;
    r.o = o;
    r.ld_q = r.ld_k = r.ld_v = r.ld_decay = r.ld_beta = r.ld_a = r.ld_b = ld;
    r.k_heads = r.v_heads = r.decay_heads = h->kv_heads;
    r.state = state;
    r.ld_o = h->oc;
    return r;
}

/* Softmax attention over the KV cache `state`; q [rows, ld_q], k and v at a distance of ld. */
static inline gla_attention gla_attention_of(uint32_t state, uint32_t heads, float scale,
                                             const float *q, size_t ld_q, const float *k,
                                             const float *v, size_t ld, float *o, size_t ld_o)
{
    gla_attention a = {.struct_size = (uint32_t)sizeof(a), .state = state, .heads = heads};

    a.scale = scale;
    a.q = q;
    a.k = k;
    a.v = v;
    a.o = o;
    a.ld_q = ld_q;
    a.ld_k = a.ld_v = ld;
    a.ld_o = ld_o;
    return a;
}

/* ---- feed-forward ------------------------------------------------------- */

/* out(act(in x)), or out(act(gate) * up) of [gate | up] = in x. */
typedef struct gla_mlp {
    gla_linear *in, *out;
    uint32_t d_in, d_out, d_ff, activation, gated;
    float gate_multiplier; /* of gate before act; 1 = none */
} gla_mlp;

/* With its dimensions filled in; names of gate, up and down. */
static inline void gla_mlp_declare(const gla_layer_config *c, gla_mlp *f,
                                   const char *const names[3], uint32_t flags)
{
    const gla_part in[] = {
        {.name = names[0], .out = f->gated ? f->d_ff : 0, .flags = flags},
        {.name = names[1], .out = f->d_ff, .flags = flags},
    };

    gla_declare_parts(c, in, 2, f->d_in, &f->in);
    gla_declare_linear(c, names[2], f->d_out, f->d_ff, flags, &f->out);
}

/* y [rows, d_out] of the batch's x; inner: scratch [rows, d_ff, twice that if gated]. */
static inline gla_status gla_mlp_run(const gla_math *m, const gla_batch *b, const gla_mlp *f,
                                     float *inner, float *y)
{
    const uint32_t n = b->n_rows, w = f->d_ff;
    const size_t ld = (f->gated ? 2u : 1u) * (size_t)w;

    m->linear(b, f->in, n, b->x, f->d_in, inner, ld);
    if (f->gate_multiplier != 1.0f)
        m->scale(b, f->gate_multiplier, n, w, inner, ld);
    if (f->gated)
        m->glu(b, f->activation, n, w, inner, ld, inner + w, ld, inner, ld);
    else
        m->activation(b, f->activation, n, w, inner, ld, inner, ld);
    return m->linear(b, f->out, n, inner, ld, y, f->d_out);
}

#endif
