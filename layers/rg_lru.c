/* SPDX-License-Identifier: Apache-2.0
 *
 * rg_lru.c - Griffin's recurrent block (De et al., arXiv 2402.19427)
 *
 *   u = conv(Wx x) ;  r, i = sigmoid(Wr u), sigmoid(Wi u)      block-diagonal maps, one block a
 * head log a = -8 r softplus(Lambda) ;  h = a h + sqrt(1 - a^2) (i * u)      first token: factor 1
 *   y = Wo ( h * act(Wy x) )
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

static const char *const activations[] = {GLA_ACTIVATION_NAMES, NULL};
enum { MAX_HEADS = 1024 };

enum { P_WIDTH, P_HEADS, P_CONV, P_ACTIVATION };
static const gla_param_desc params[] = {
    [P_WIDTH] = GLA_P_INT("width", 0, 0, 1 << 20, "recurrent channels; 0 = d_model"),
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, MAX_HEADS, "blocks of the gates' maps"),
    [P_CONV] = GLA_P_INT("conv", 4, 1, 64, "width of the short convolution"),
    [P_ACTIVATION] =
        GLA_P_ENUM("activation", GLA_ACT_GELU_TANH, activations, "of the gating branch"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, width, heads, block, activation;
    uint32_t w_in[2], b_in[2], w_conv, b_conv, w_gate[2], b_gate[2], w_lambda, w_out, b_out;
    uint32_t s_conv, s_state, t_in, t_gates, t_decay;
    gla_linear *in, *out;
    gla_linear **gates; /* [2 * heads]: input gate, then recurrence gate, of each head */
    gla_conv *conv;
    float *rate; /* [width]: -8 softplus(Lambda) */
};

enum { GATE_INPUT, GATE_RECURRENCE };

static void declare(gla_layer *l, const gla_layer_config *cfg, uint32_t conv_width)
{
    static const char *const w[2] = {"input_gate.weight", "recurrent_gate.weight"};
    static const char *const b[2] = {"input_gate.bias", "recurrent_gate.bias"};
    static const char *const in[2] = {"x_proj.weight", "y_proj.weight"};
    static const char *const in_bias[2] = {"x_proj.bias", "y_proj.bias"};

    for (uint32_t i = 0; i < 2; i++) {
        l->w_in[i] = gla_declare_matrix(cfg, in[i], l->width, l->d);
        l->b_in[i] = gla_declare_vector(cfg, in_bias[i], l->width);
        l->w_gate[i] = gla_declare_weight(cfg, w[i], GLA_WEIGHT_VECTOR, GLA_WEIGHT_SENSITIVE,
                                          l->heads, l->block, l->block);
        l->b_gate[i] = gla_declare_vector(cfg, b[i], l->width);
    }
    l->w_conv = gla_declare_taps(cfg, "conv1d.weight", l->width, conv_width);
    l->b_conv = gla_declare_vector(cfg, "conv1d.bias", l->width);
    l->w_lambda = gla_declare_vector(cfg, "lambda", l->width);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->width);
    l->b_out = gla_declare_vector(cfg, "o_proj.bias", l->d);
    l->s_state = gla_declare_fixed(cfg, "h", l->width, 0, 0, 4.0 * l->width * (l->block + 1.0));
    l->s_conv =
        gla_declare_fixed(cfg, "conv", conv_width - 1, l->width, 0, 2.0 * l->width * conv_width);
    l->t_in = gla_declare_rows(cfg, 2 * (size_t)l->width);
    l->t_gates = gla_declare_rows(cfg, 2 * (size_t)l->width);
    l->t_decay = gla_declare_rows(cfg, l->width);
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
    l->d = cfg->d_in;
    l->width = p[P_WIDTH].i ? (uint32_t)p[P_WIDTH].i : l->d;
    l->heads = (uint32_t)p[P_HEADS].i;
    l->activation = (uint32_t)p[P_ACTIVATION].i;
    if (l->width % l->heads)
        return gla_host_fail(host, GLA_E_INVALID, "width must be a multiple of heads");
    l->block = l->width / l->heads;
    declare(l, cfg, (uint32_t)p[P_CONV].i);
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    for (uint32_t i = 0; l->gates && i < 2 * l->heads; i++)
        l->math->linear_destroy(l->gates[i]);
    gla_host_delete(l->host, l->gates);
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->out);
    l->math->conv_destroy(l->conv);
    gla_host_delete(l->host, l->rate);
    gla_host_delete(l->host, l);
}

/* One map a head and gate; checkpoints store them [in, out]. */
static gla_status bind_gates(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = GLA_OK;

    l->gates = gla_host_new(l->host, 2 * (size_t)l->heads * sizeof(*l->gates));
    if (!l->gates)
        return GLA_E_NOMEM;
    for (uint32_t i = 0; i < 2 * l->heads && !st; i++) {
        const uint32_t gate = i / l->heads, h = i % l->heads;
        const gla_tensor block = {
            .data = gla_weight_f32(weights, l->w_gate[gate]) + (size_t)h * l->block * l->block,
            .dtype = GLA_DTYPE_F32,
            .ndim = 2,
            .dims = {l->block, l->block},
        };
        const gla_tensor *part = &block;
        const float *bias = gla_weight_f32(weights, l->b_gate[gate]) + (size_t)h * l->block;
        const gla_linear_spec spec = {(uint32_t)sizeof(spec), 1, &part, &bias, 1, 1};

        st = l->math->linear_create(l->host, &spec, &l->gates[i]);
    }
    return st;
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    const float *lambda = gla_weight_f32(weights, l->w_lambda);
    gla_status st = gla_make_linear(l->host, weights, 2, l->w_in, l->b_in, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, &l->b_out, &l->out);
    if (!st)
        st = gla_make_conv(l->host, weights, 1, &l->w_conv, &l->b_conv, GLA_ACT_NONE, &l->conv);
    if (!st)
        st = bind_gates(l, weights);
    if (st)
        return st;
    l->rate = gla_host_new(l->host, l->width * sizeof(float));
    if (!l->rate)
        return GLA_E_NOMEM;
    for (uint32_t i = 0; i < l->width; i++)
        l->rate[i] = -8.0f * (lambda[i] > 20 ? lambda[i] : log1pf(expf(lambda[i])));
    return GLA_OK;
}

typedef struct job {
    const gla_layer *l;
    const gla_batch *b;
    float *u, *gates, *decay; /* [rows, u | y], [rows, i | r], [rows, width] */
} job;

static uint32_t is_first_token(const gla_batch *b, uint32_t row)
{
    uint32_t s = 0;

    while (row >= b->row_offset[s + 1])
        s++;
    return row == b->row_offset[s] && b->position[s] == 0;
}

/* decay = log a; u = sqrt(1 - a^2) i u */
static void gate_rows(void *arg, uint32_t first, uint32_t last)
{
    const job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t r = first; r < last; r++) {
        const uint32_t start = is_first_token(j->b, r);
        float *u = j->u + (size_t)r * 2 * l->width, *a = j->decay + (size_t)r * l->width;
        const float *gate = j->gates + (size_t)r * 2 * l->width;

        for (uint32_t c = 0; c < l->width; c++) {
            a[c] = l->rate[c] * gate[l->width + c];
            u[c] *= gate[c] * (start ? 1.0f : sqrtf(-expm1f(2 * a[c])));
        }
    }
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, w = l->width;
    const size_t ld = 2 * (size_t)w;
    job j = {l, b, b->scratch[l->t_in], b->scratch[l->t_gates], b->scratch[l->t_decay]};
    float *y = j.u + w;
    const gla_scan scan = {
        .struct_size = sizeof(scan),
        .state = l->s_state,
        .width = w,
        .log_decay = j.decay,
        .x = j.u,
        .ld_decay = w,
        .ld_x = ld,
        .ld_y = ld,
        .y = j.u,
    };
    gla_status st = m->linear(b, l->in, n, b->x, l->d, j.u, ld);

    if (!st)
        st = m->conv1d(b, l->conv, l->s_conv, j.u, ld, j.u, ld);
    for (uint32_t i = 0; i < 2 * l->heads && !st; i++) {
        const uint32_t column = i % l->heads * l->block;

        st =
            m->linear(b, l->gates[i], n, j.u + column, ld, j.gates + i / l->heads * w + column, ld);
    }
    if (!st)
        st = m->activation(b, GLA_ACT_SIGMOID, n, 2 * w, j.gates, ld, j.gates, ld);
    if (!st)
        st = m->for_rows(b, n, gate_rows, &j);
    if (!st)
        st = m->scan(b, &scan);
    if (!st)
        st = m->glu(b, l->activation, n, w, y, ld, j.u, ld, j.u, ld);
    return st ? st : m->linear(b, l->out, n, j.u, ld, b->y, l->d);
}

GLA_LAYER_DEFINE(rg_lru, "gla.rg_lru/1", 1, "Griffin's recurrent block (arXiv 2402.19427)",
                 GLA_LAYER_MIXER);
