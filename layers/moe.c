/* SPDX-License-Identifier: Apache-2.0
 *
 * moe.c - mixture of experts (Shazeer et al., arXiv 1701.06538; Fedus et al., arXiv 2101.03961)
 *
 *   s = score(Wr x), softmax over the experts or sigmoid
 *   T = the top_k of s + selection bias, within the best groups if there are groups
 *   y = scaling * sum_{e in T} w_e E_e(x)  [+ shared(x), times sigmoid(ws x) if gated]
 *   w = s[T], renormalised to sum 1 if asked; or softmax over the chosen logits alone
 *
 * Tokens are sorted by expert, so that each expert's weights are read once per batch.
 */
#include <gla/blocks.h>

static const char *const scores[] = {"softmax", "sigmoid", "softmax_top_k", NULL};
enum { MAX_TOP_K = 64, MAX_GROUPS = 64 };

/* clang-format off */
enum {
    P_EXPERTS, P_TOP_K, P_D_FF, P_ACTIVATION, P_GATED, P_SCORE, P_RENORMALISE, P_SELECTION_BIAS,
    P_GROUPS, P_TOP_GROUPS, P_SCALING, P_SHARED_D_FF, P_SHARED_GATE
};
/* clang-format on */
static const gla_param_desc params[] = {
    [P_EXPERTS] = GLA_P_INT_REQ("experts", 1, 1024, "routed experts"),
    [P_TOP_K] = GLA_P_INT_REQ("top_k", 1, MAX_TOP_K, "experts a token uses"),
    [P_D_FF] = GLA_P_INT_REQ("d_ff", 1, 1 << 24, "inner width of an expert"),
    [P_ACTIVATION] = GLA_P_ACT("activation", GLA_ACT_SILU, "of the experts"),
    [P_GATED] = GLA_P_BOOL("gated", 1, "experts are Wd (act(Wg x) * Wu x), else Wd act(Wu x)"),
    [P_SCORE] = GLA_P_ENUM("score", GLA_SCORE_SOFTMAX, scores, "of the router's logits"),
    [P_RENORMALISE] = GLA_P_BOOL("renormalise", 0, "the chosen scores sum to 1"),
    [P_SELECTION_BIAS] = GLA_P_BOOL("selection_bias", 0, "learned bias for choosing only"),
    [P_GROUPS] = GLA_P_INT("groups", 1, 1, MAX_GROUPS, "groups of experts"),
    [P_TOP_GROUPS] = GLA_P_INT("top_groups", 1, 1, MAX_GROUPS, "groups a token may choose from"),
    [P_SCALING] = GLA_P_FLOAT("scaling", 1, -1e6, 1e6, "multiplies the routed experts' sum"),
    [P_SHARED_D_FF] = GLA_P_INT("shared.d_ff", 0, 0, 1 << 24, "its inner width; 0 = none"),
    [P_SHARED_GATE] = GLA_P_BOOL("shared.gate", 0, "times sigmoid(ws x)")};

struct gla_layer {
    uint32_t d_in, d_out, d_ff, activation;
    uint32_t t_logits, t_slot, t_offset, t_weight, t_x, t_gate, t_up, t_y, t_shared;
    gla_route route; /* but for the batch's rows and scratch */
    const float *bias;
    gla_linear *router, *gate, *up, *down, *shared_gate; /* gate, shared_gate: NULL = none */
    gla_mlp shared;                                      /* d_ff 0: none */
};

/* A map of each expert: NAME.weight [experts, out, in]. */
static void declare_experts(const gla_layer *l, const gla_layer_config *c, const char *name,
                            uint32_t out, uint32_t in, gla_linear **to)
{
    const gla_part part = {.name = name, .out = out};
    const gla_map map = {.struct_size = (uint32_t)sizeof(map),
                         .part_size = (uint32_t)sizeof(part),
                         .parts = &part,
                         .n_parts = 1,
                         .in = in,
                         .groups = l->route.experts,
                         .active = (double)l->route.top_k / l->route.experts};

    c->declare->linear(c->declare, &map, to);
}

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    static const char *const shared[] = {"shared.gate_proj", "shared.up_proj", "shared.down_proj"};
    const gla_param_value *p = c->params;
    const uint32_t experts = gla_u32(&p[P_EXPERTS]), k = gla_u32(&p[P_TOP_K]);
    const uint32_t groups = gla_u32(&p[P_GROUPS]), top_groups = gla_u32(&p[P_TOP_GROUPS]);
    const uint32_t d_in = c->d_in, d_out = c->d_out, d_ff = gla_u32(&p[P_D_FF]);

    if (experts % groups || top_groups > groups || k > experts / groups * top_groups)
        return gla_refuse(
            c, "experts must be a multiple of groups, and top_k at most what top_groups hold");
    l->d_in = d_in;
    l->d_out = d_out;
    l->d_ff = d_ff;
    l->activation = gla_u32(&p[P_ACTIVATION]);
    l->route = (gla_route){.struct_size = (uint32_t)sizeof(l->route),
                           .experts = experts,
                           .top_k = k,
                           .score = gla_u32(&p[P_SCORE]),
                           .groups = groups,
                           .top_groups = top_groups,
                           .renormalise = gla_u32(&p[P_RENORMALISE]),
                           .scaling = (float)p[P_SCALING].f,
                           .ld_logits = experts};
    l->shared = (gla_mlp){.d_in = d_in,
                          .d_out = d_out,
                          .d_ff = gla_u32(&p[P_SHARED_D_FF]),
                          .activation = l->activation,
                          .gated = gla_u32(&p[P_GATED]),
                          .gate_multiplier = 1};
    gla_declare_linear(c, "router", experts, d_in, GLA_PART_SENSITIVE, &l->router);
    if (p[P_SELECTION_BIAS].i)
        gla_declare_numbers(c, "router.bias", experts, 0, NULL, &l->bias);
    declare_experts(l, c, "experts.gate_proj", p[P_GATED].i ? d_ff : 0, d_in, &l->gate);
    declare_experts(l, c, "experts.up_proj", d_ff, d_in, &l->up);
    declare_experts(l, c, "experts.down_proj", d_out, d_ff, &l->down);
    if (l->shared.d_ff) {
        gla_mlp_declare(c, &l->shared, shared, 0);
        gla_declare_linear(c, "shared.gate", p[P_SHARED_GATE].i ? 1 : 0, d_in, GLA_PART_SENSITIVE,
                           &l->shared_gate);
        l->t_shared = gla_declare_rows(c, 2 * (size_t)l->shared.d_ff + d_out + 1);
    }
    l->t_logits = gla_declare_rows(c, experts);
    l->t_slot = gla_declare_rows(c, k);
    l->t_weight = gla_declare_rows(c, k);
    l->t_offset = c->declare->scratch(c->declare, 0, 0, 2 * (size_t)experts + 2);
    l->t_x = gla_declare_rows(c, (size_t)k * d_in);
    l->t_gate = gla_declare_rows(c, p[P_GATED].i ? (size_t)k * d_ff : 0);
    l->t_up = gla_declare_rows(c, (size_t)k * d_ff);
    l->t_y = gla_declare_rows(c, (size_t)k * d_out);
    return GLA_OK;
}

/* Wd (act(Wg x) * Wu x) of each row by its expert. */
static void run_experts(const gla_layer *l, const gla_batch *b, const uint32_t *offset,
                        const float *x, float *y)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows * l->route.top_k, f = l->d_ff;
    float *up = b->scratch[l->t_up], *gate = b->scratch[l->t_gate];

    m->linear_grouped(b, l->up, offset, x, l->d_in, up, f);
    if (l->gate) {
        m->linear_grouped(b, l->gate, offset, x, l->d_in, gate, f);
        m->glu(b, l->activation, n, f, gate, f, up, f, up, f);
    } else {
        m->activation(b, l->activation, n, f, up, f, up, f);
    }
    m->linear_grouped(b, l->down, offset, up, f, y, l->d_out);
}

/* y += shared(x), times sigmoid(ws x) */
static gla_status add_shared(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, d = l->d_out;
    float *inner = b->scratch[l->t_shared]; /* [rows, gate | up], then [rows, d_out], then [rows] */
    float *y = inner + (size_t)n * 2 * l->shared.d_ff,
          *gate = l->shared_gate ? y + (size_t)n * d : NULL;

    gla_mlp_run(m, b, &l->shared, inner, y);
    if (gate) {
        m->linear(b, l->shared_gate, n, b->x, l->d_in, gate, 1);
        m->activation(b, GLA_ACT_SIGMOID, n, 1, gate, 1, gate, 1);
    }
    return gla_add_groups(b, 1, d, y, d, gate, 1, b->y, d);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, k = l->route.top_k, d_in = l->d_in, d_out = l->d_out;
    float *x = b->scratch[l->t_x], *y = b->scratch[l->t_y]; /* [rows * top_k, ..] by expert */
    gla_route r = l->route;
    gla_status st;

    r.rows = n;
    r.bias = l->bias;
    r.logits = b->scratch[l->t_logits];
    r.weight = b->scratch[l->t_weight];
    r.slot = gla_scratch_u32(b, l->t_slot);
    r.offset = gla_scratch_u32(b, l->t_offset);
    m->linear(b, l->router, n, b->x, d_in, r.logits, r.experts);
    m->route(b, &r);
    m->permute(b, n, k, d_in, r.slot, b->x, d_in, x, d_in);
    run_experts(l, b, r.offset, x, y);
    st = m->combine_rows(b, n, k, d_out, r.slot, r.weight, y, d_out, b->y, d_out);
    return l->shared.d_ff ? add_shared(l, b) : st;
}

GLA_LAYER_DEFINE(moe, "gla.moe/1", 1, "mixture of experts (arXiv 1701.06538)",
                 .flags = GLA_LAYER_FFN);
