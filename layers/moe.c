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
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

static const char *const activations[] = {GLA_ACTIVATION_NAMES, NULL};
static const char *const scores[] = {"softmax", "sigmoid", "softmax_top_k", NULL};
enum { SCORE_SOFTMAX, SCORE_SIGMOID, SCORE_SOFTMAX_TOP_K };
enum { MAX_TOP_K = 64, MAX_GROUPS = 64 };

enum {
    P_EXPERTS,
    P_TOP_K,
    P_D_FF,
    P_ACTIVATION,
    P_GATED,
    P_SCORE,
    P_RENORMALISE,
    P_SELECTION_BIAS,
    P_GROUPS,
    P_TOP_GROUPS,
    P_SCALING,
    P_SHARED_D_FF,
    P_SHARED_GATE,
};
static const gla_param_desc params[] = {
    [P_EXPERTS] = GLA_P_INT_REQ("experts", 1, 1024, "routed experts"),
    [P_TOP_K] = GLA_P_INT_REQ("top_k", 1, MAX_TOP_K, "experts a token uses"),
    [P_D_FF] = GLA_P_INT_REQ("d_ff", 1, 1 << 24, "inner width of an expert"),
    [P_ACTIVATION] = GLA_P_ENUM("activation", GLA_ACT_SILU, activations, "of the experts"),
    [P_GATED] = GLA_P_BOOL("gated", 1, "experts are Wd (act(Wg x) * Wu x), else Wd act(Wu x)"),
    [P_SCORE] = GLA_P_ENUM("score", SCORE_SOFTMAX, scores, "of the router's logits"),
    [P_RENORMALISE] = GLA_P_BOOL("renormalise", 0, "the chosen scores sum to 1"),
    [P_SELECTION_BIAS] = GLA_P_BOOL("selection_bias", 0, "learned bias for choosing only"),
    [P_GROUPS] = GLA_P_INT("groups", 1, 1, MAX_GROUPS, "groups of experts"),
    [P_TOP_GROUPS] = GLA_P_INT("top_groups", 1, 1, MAX_GROUPS, "groups a token may choose from"),
    [P_SCALING] = GLA_P_FLOAT("scaling", 1, -1e6, 1e6, "multiplies the routed experts' sum"),
    [P_SHARED_D_FF] =
        GLA_P_INT("shared.d_ff", 0, 0, 1 << 24, "inner width of the shared expert; 0 = none"),
    [P_SHARED_GATE] = GLA_P_BOOL("shared.gate", 0, "times sigmoid(ws x)"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d_in, d_out, experts, top_k, d_ff, activation, gated, score, renormalise, groups,
        top_groups;
    uint32_t shared_gate;
    float scaling;
    uint32_t w_router, w_bias, w_gate, w_up, w_down, w_shared[2], w_shared_down, w_shared_gate;
    uint32_t t_logits, t_slots, t_offsets, t_x, t_gate, t_up, t_y, t_shared;
    gla_linear *router, *gate, *up, *down, *shared_sigmoid;
    gla_mlp shared; /* d_ff 0: none */
    const float *bias;
};

static uint32_t declare_experts(const gla_layer *l, const gla_layer_config *cfg, const char *name,
                                uint32_t out, uint32_t in)
{
    const gla_weight_desc w = {
        name, GLA_WEIGHT_MATRIX, 3, {l->experts, out, in}, (double)l->top_k / l->experts, 0, 0,
        NULL};

    return cfg->declare->weight(cfg->declare, &w);
}

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    const size_t k = l->top_k;

    l->w_router = gla_declare_gate(cfg, "router.weight", l->experts, l->d_in);
    l->w_bias = cfg->params[P_SELECTION_BIAS].i ? gla_declare_vector(cfg, "router.bias", l->experts)
                                                : GLA_ABSENT;
    l->w_gate = l->gated ? declare_experts(l, cfg, "experts.gate_proj.weight", l->d_ff, l->d_in)
                         : GLA_ABSENT;
    l->w_up = declare_experts(l, cfg, "experts.up_proj.weight", l->d_ff, l->d_in);
    l->w_down = declare_experts(l, cfg, "experts.down_proj.weight", l->d_out, l->d_ff);
    l->w_shared[0] = l->w_shared_gate = GLA_ABSENT;
    if (l->shared.d_ff) {
        if (l->gated)
            l->w_shared[0] =
                gla_declare_matrix(cfg, "shared.gate_proj.weight", l->shared.d_ff, l->d_in);
        l->w_shared[1] = gla_declare_matrix(cfg, "shared.up_proj.weight", l->shared.d_ff, l->d_in);
        l->w_shared_down =
            gla_declare_matrix(cfg, "shared.down_proj.weight", l->d_out, l->shared.d_ff);
        if (l->shared_gate)
            l->w_shared_gate = gla_declare_gate(cfg, "shared.gate.weight", 1, l->d_in);
        l->t_shared = gla_declare_rows(cfg, 2 * (size_t)l->shared.d_ff + l->d_out + 1);
    }
    l->t_logits = gla_declare_rows(cfg, l->experts);
    l->t_slots = gla_declare_rows(cfg, 3 * k); /* expert, slot, weight of each choice */
    l->t_offsets = cfg->declare->scratch(cfg->declare, 0, 0, 2 * (size_t)l->experts + 2);
    l->t_x = gla_declare_rows(cfg, k * l->d_in);
    l->t_gate = l->gated ? gla_declare_rows(cfg, k * l->d_ff) : GLA_ABSENT;
    l->t_up = gla_declare_rows(cfg, k * l->d_ff);
    l->t_y = gla_declare_rows(cfg, k * l->d_out);
}

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    gla_layer *l = gla_host_new(host, sizeof(*l));

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d_in = cfg->d_in;
    l->d_out = cfg->d_out;
    l->experts = (uint32_t)p[P_EXPERTS].i;
    l->top_k = (uint32_t)p[P_TOP_K].i;
    l->d_ff = (uint32_t)p[P_D_FF].i;
    l->activation = (uint32_t)p[P_ACTIVATION].i;
    l->gated = (uint32_t)p[P_GATED].i;
    l->score = (uint32_t)p[P_SCORE].i;
    l->renormalise = (uint32_t)p[P_RENORMALISE].i;
    l->groups = (uint32_t)p[P_GROUPS].i;
    l->top_groups = (uint32_t)p[P_TOP_GROUPS].i;
    l->scaling = (float)p[P_SCALING].f;
    l->shared = (gla_mlp){
        .d_in = cfg->d_in,
        .d_out = cfg->d_out,
        .d_ff = (uint32_t)p[P_SHARED_D_FF].i,
        .activation = l->activation,
        .gated = l->gated,
        .gate_multiplier = 1,
    };
    l->shared_gate = (uint32_t)p[P_SHARED_GATE].i;
    if (l->experts % l->groups || l->top_groups > l->groups ||
        l->top_k > l->experts / l->groups * l->top_groups)
        return gla_host_fail(
            host, GLA_E_INVALID,
            "experts must be a multiple of groups, and top_k at most what top_groups hold");
    declare(l, cfg);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    gla_linear *linears[7];

    if (!l)
        return;
    linears[0] = l->router, linears[1] = l->gate, linears[2] = l->up, linears[3] = l->down;
    linears[4] = l->shared.in, linears[5] = l->shared.out, linears[6] = l->shared_sigmoid;
    for (uint32_t i = 0; i < 7; i++)
        l->math->linear_destroy(linears[i]);
    gla_host_delete(l->host, l);
}

static gla_status bind_experts(gla_layer *l, const gla_tensor *weights, uint32_t i,
                               gla_linear **out)
{
    const gla_tensor *part = &weights[i];
    const gla_linear_spec spec = {(uint32_t)sizeof(spec), 1, &part, NULL, l->experts, 0};

    return l->math->linear_create(l->host, &spec, out);
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, 1, &l->w_router, NULL, &l->router);

    if (!st && l->gated)
        st = bind_experts(l, weights, l->w_gate, &l->gate);
    if (!st)
        st = bind_experts(l, weights, l->w_up, &l->up);
    if (!st)
        st = bind_experts(l, weights, l->w_down, &l->down);
    if (!st && l->shared.d_ff)
        st = gla_make_linear(l->host, weights, 2, l->w_shared, NULL, &l->shared.in);
    if (!st && l->shared.d_ff)
        st = gla_make_linear(l->host, weights, 1, &l->w_shared_down, NULL, &l->shared.out);
    if (!st && l->w_shared_gate != GLA_ABSENT)
        st = gla_make_linear(l->host, weights, 1, &l->w_shared_gate, NULL, &l->shared_sigmoid);
    l->bias = gla_weight_f32(weights, l->w_bias);
    return st;
}

typedef struct job {
    const gla_layer *l;
    const gla_batch *b;
    float *score;     /* [rows, experts] */
    uint32_t *expert; /* [rows, top_k] */
    uint32_t *slot;   /* [rows, top_k] row of the sorted batch */
    float *weight;    /* [rows, top_k] */
    uint32_t *offset; /* [experts + 1] */
    float *x, *y;     /* sorted rows [rows * top_k, d_in], [.., d_out] */
} job;

static float choice_score(const gla_layer *l, const float *score, uint32_t e)
{
    return l->bias ? score[e] + l->bias[e] : score[e];
}

/* A group counts as much as its two best experts together. */
static uint64_t allowed_groups(const gla_layer *l, const float *score)
{
    const uint32_t size = l->experts / l->groups;
    float value[MAX_GROUPS];
    uint64_t allowed = 0;

    for (uint32_t g = 0; g < l->groups; g++) {
        float first = -INFINITY, second = -INFINITY;

        for (uint32_t e = g * size; e < (g + 1) * size; e++) {
            const float s = choice_score(l, score, e);

            if (s > first) {
                second = first;
                first = s;
            } else if (s > second) {
                second = s;
            }
        }
        value[g] = size > 1 ? first + second : first;
    }
    for (uint32_t i = 0; i < l->top_groups; i++) {
        uint32_t best = MAX_GROUPS;

        for (uint32_t g = 0; g < l->groups; g++)
            if (!(allowed >> g & 1) && (best == MAX_GROUPS || value[g] > value[best]))
                best = g;
        allowed |= UINT64_C(1) << best;
    }
    return allowed;
}

/* Chooses top_k experts of one row, the first of equals; writes their weights. */
static void choose(const gla_layer *l, const float *score, uint32_t *expert, float *weight)
{
    const uint32_t size = l->experts / l->groups;
    const uint64_t allowed = l->groups > 1 ? allowed_groups(l, score) : 1;
    float sum = 0;

    for (uint32_t i = 0; i < l->top_k; i++) {
        uint32_t best = UINT32_MAX;
        float best_score = 0;

        for (uint32_t e = 0; e < l->experts; e++) {
            const float s = choice_score(l, score, e);
            uint32_t taken = !(allowed >> (l->groups > 1 ? e / size : 0) & 1);

            for (uint32_t j = 0; j < i && !taken; j++)
                taken = expert[j] == e;
            if (!taken && (best == UINT32_MAX || s > best_score)) {
                best = e;
                best_score = s;
            }
        }
        expert[i] = best;
        weight[i] = score[best];
    }
    if (l->score == SCORE_SOFTMAX_TOP_K)
        for (uint32_t i = l->top_k; i-- > 0;)
            weight[i] = expf(weight[i] - weight[0]);
    for (uint32_t i = 0; i < l->top_k; i++)
        sum += weight[i];
    for (uint32_t i = 0; i < l->top_k; i++) {
        if (l->renormalise || l->score == SCORE_SOFTMAX_TOP_K)
            weight[i] /= sum + (l->score == SCORE_SIGMOID ? 1e-20f : 0);
        weight[i] *= l->scaling;
    }
}

static void choose_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t r = first; r < last; r++)
        choose(l, j->score + (size_t)r * l->experts, j->expert + (size_t)r * l->top_k,
               j->weight + (size_t)r * l->top_k);
}

/* Counting sort of the choices by expert. */
static void sort_choices(const job *j, uint32_t rows)
{
    const gla_layer *l = j->l;
    uint32_t *next = j->offset + l->experts + 1;

    for (uint32_t e = 0; e <= l->experts; e++)
        j->offset[e] = 0;
    for (size_t i = 0; i < (size_t)rows * l->top_k; i++)
        j->offset[j->expert[i] + 1]++;
    for (uint32_t e = 0; e < l->experts; e++) {
        j->offset[e + 1] += j->offset[e];
        next[e] = j->offset[e];
    }
    for (size_t i = 0; i < (size_t)rows * l->top_k; i++)
        j->slot[i] = next[j->expert[i]]++;
}

static void spread_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t r = first; r < last; r++)
        for (uint32_t i = 0; i < l->top_k; i++) {
            const float *from = j->b->x + (size_t)r * l->d_in;
            float *to = j->x + (size_t)j->slot[(size_t)r * l->top_k + i] * l->d_in;

            for (uint32_t c = 0; c < l->d_in; c++)
                to[c] = from[c];
        }
}

static void collect_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t r = first; r < last; r++) {
        float *y = j->b->y + (size_t)r * l->d_out;

        for (uint32_t c = 0; c < l->d_out; c++)
            y[c] = 0;
        for (uint32_t i = 0; i < l->top_k; i++) {
            const size_t choice = (size_t)r * l->top_k + i;
            const float *from = j->y + (size_t)j->slot[choice] * l->d_out;

            for (uint32_t c = 0; c < l->d_out; c++)
                y[c] += j->weight[choice] * from[c];
        }
    }
}

static gla_status route(const gla_layer *l, const gla_batch *b, job *j)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, e = l->experts;
    const gla_norm softmax = {
        .struct_size = sizeof(softmax), .kind = GLA_NORM_SOFTMAX, .groups = 1, .width = e};
    gla_status st = m->linear(b, l->router, n, b->x, l->d_in, j->score, e);

    if (!st && l->score == SCORE_SOFTMAX)
        st = m->norm(b, &softmax, n, j->score, e, j->score, e);
    else if (!st && l->score == SCORE_SIGMOID)
        st = m->activation(b, GLA_ACT_SIGMOID, n, e, j->score, e, j->score, e);
    if (!st)
        st = m->for_rows(b, n, choose_rows, j);
    if (!st)
        sort_choices(j, n);
    return st ? st : m->for_rows(b, n, spread_rows, j);
}

static gla_status run_experts(const gla_layer *l, const gla_batch *b, const job *j)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows * l->top_k, f = l->d_ff;
    float *up = b->scratch[l->t_up], *gate = l->gated ? b->scratch[l->t_gate] : NULL;
    gla_status st = m->linear_grouped(b, l->up, j->offset, j->x, l->d_in, up, f);

    if (!st && gate)
        st = m->linear_grouped(b, l->gate, j->offset, j->x, l->d_in, gate, f);
    if (!st)
        st = gate ? m->glu(b, l->activation, n, f, gate, f, up, f, up, f)
                  : m->activation(b, l->activation, n, f, up, f, up, f);
    return st ? st : m->linear_grouped(b, l->down, j->offset, up, f, j->y, l->d_out);
}

typedef struct add_job {
    const float *from, *factor; /* [rows, d], [rows] or NULL */
    float *to;
    uint32_t d;
} add_job;

static void add_rows(void *arg, uint32_t first, uint32_t last)
{
    const add_job *j = arg;

    for (uint32_t r = first; r < last; r++)
        for (uint32_t c = 0; c < j->d; c++)
            j->to[(size_t)r * j->d + c] +=
                (j->factor ? j->factor[r] : 1.0f) * j->from[(size_t)r * j->d + c];
}

static gla_status add_shared(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows;
    float *inner = b->scratch[l->t_shared]; /* [rows, gate | up], then [rows, d_out], then [rows] */
    float *y = inner + (size_t)n * 2 * l->shared.d_ff, *gate = y + (size_t)n * l->d_out;
    add_job add = {y, l->shared_sigmoid ? gate : NULL, b->y, l->d_out};
    gla_status st = gla_run_mlp(m, b, &l->shared, inner, y);

    if (!st && l->shared_sigmoid) {
        st = m->linear(b, l->shared_sigmoid, n, b->x, l->d_in, gate, 1);
        if (!st)
            st = m->activation(b, GLA_ACT_SIGMOID, n, 1, gate, 1, gate, 1);
    }
    return st ? st : m->for_rows(b, n, add_rows, &add);
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const size_t choices = (size_t)b->n_rows * l->top_k;
    void *slots = b->scratch[l->t_slots], *offsets = b->scratch[l->t_offsets];
    job j = {.l = l,
             .b = b,
             .score = b->scratch[l->t_logits],
             .x = b->scratch[l->t_x],
             .y = b->scratch[l->t_y]};
    gla_status st;

    j.offset = offsets;
    j.expert = slots;
    j.slot = j.expert + choices;
    j.weight = b->scratch[l->t_slots] + 2 * choices;
    st = route(l, b, &j);
    if (!st)
        st = run_experts(l, b, &j);
    if (!st)
        st = l->math->for_rows(b, b->n_rows, collect_rows, &j);
    return st || !l->shared.d_ff ? st : add_shared(l, b);
}

GLA_LAYER_DEFINE(moe, "gla.moe/1", 1, "mixture of experts (arXiv 1701.06538)", GLA_LAYER_FFN);
