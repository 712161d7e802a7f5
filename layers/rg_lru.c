/* SPDX-License-Identifier: Apache-2.0
 *
 * rg_lru.c - Griffin's recurrent block (De et al., arXiv 2402.19427)
 *
 *   u = conv(Wx x) ;  i, r = sigmoid(Wi u), sigmoid(Wr u)      block-diagonal, one block a head
 *   log a = -8 r softplus(Lambda) ;  h = a h + sqrt(1 - a^2) (i * u)      first token: factor 1
 *   y = Wo ( h * act(Wy x) )
 */
#include <gla/blocks.h>

#include <math.h>

enum { MAX_HEADS = 1024 };

enum { P_WIDTH, P_HEADS, P_CONV, P_ACTIVATION };
static const gla_param_desc params[] = {
    [P_WIDTH] = GLA_P_INT("width", 0, 0, 1 << 20, "recurrent channels; 0 = d_model"),
    [P_HEADS] = GLA_P_INT_REQ("heads", 1, MAX_HEADS, "blocks of the gates' maps"),
    [P_CONV] = GLA_P_INT("conv", 4, 1, 64, "width of the short convolution"),
    [P_ACTIVATION] = GLA_P_ACT("activation", GLA_ACT_GELU_TANH, "of the gating branch")};

enum { INPUT, RECURRENT, N_GATES };

struct gla_layer {
    uint32_t d, width, heads, block, activation;
    uint32_t s_conv, s_state, t_in, t_gates, t_decay;
    gla_linear *in, *out, *gates[N_GATES][MAX_HEADS];
    gla_conv *conv;
    const float *rate; /* [width]: -8 softplus(Lambda) */
};

/* One map a head; checkpoints store them [in, out]. */
static void declare_gate(const gla_layer *l, const gla_layer_config *c, const char *name,
                         gla_linear **to)
{
    const uint64_t block = l->block;
    const gla_init normal = {(uint32_t)sizeof(normal), GLA_INIT_NORMAL, 1 / sqrt(l->block), 0, 0};
    gla_view view = {.struct_size = (uint32_t)sizeof(view),
                     .role = GLA_WEIGHT_VECTOR,
                     .ndim = 3,
                     .dims = {l->heads, l->block, l->block},
                     .out_stride = 1,
                     .in_stride = block,
                     .bias_size = l->width};
    const gla_part part = {.name = name,
                           .out = l->block,
                           .flags = GLA_PART_SENSITIVE | GLA_PART_BIAS,
                           .view = &view,
                           .init = &normal};

    for (uint32_t h = 0; h < l->heads; h++) {
        view.offset = h * block * block;
        view.bias_offset = h * block;
        gla_declare_parts(c, &part, 1, l->block, &to[h]);
    }
}

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params;
    const uint32_t conv = gla_u32(&p[P_CONV]), w = gla_u32_or(&p[P_WIDTH], c->d_in);
    const gla_part in[] = {{.name = "x_proj", .out = w, .flags = GLA_PART_BIAS},
                           {.name = "y_proj", .out = w, .flags = GLA_PART_BIAS}};
    /* a^8 from 0.9 to 0.999 at first */
    const gla_init radius = {(uint32_t)sizeof(radius), GLA_INIT_STEP, -log(0.999), -log(0.9), 0};

    l->d = c->d_in;
    l->width = w;
    l->heads = gla_u32(&p[P_HEADS]);
    l->activation = gla_u32(&p[P_ACTIVATION]);
    if (w % l->heads)
        return gla_refuse(c, "width must be a multiple of heads");
    l->block = w / l->heads;
    gla_declare_parts(c, in, 2, l->d, &l->in);
    gla_declare_conv(c, "conv1d", w, conv, GLA_PART_BIAS, GLA_ACT_NONE, &l->conv);
    declare_gate(l, c, "input_gate", l->gates[INPUT]);
    declare_gate(l, c, "recurrent_gate", l->gates[RECURRENT]);
    gla_declare_derived(c, "lambda", w, GLA_ACT_SOFTPLUS, -8, &radius, &l->rate);
    gla_declare_linear(c, "o_proj", l->d, w, GLA_PART_BIAS, &l->out);
    l->s_state = gla_declare_fixed(c, "h", w, 0, 0, 4.0 * w * (l->block + 1.0));
    l->s_conv = gla_declare_conv_state(c, w, conv);
    l->t_in = gla_declare_rows(c, 2 * (size_t)w);
    l->t_gates = gla_declare_rows(c, 2 * (size_t)w);
    l->t_decay = gla_declare_rows(c, w);
    return GLA_OK;
}

/* log a = rate r ;  u = sqrt(1 - a^2) i u */
typedef struct gating {
    uint32_t width;
    const uint32_t *row_offset; /* the batch's */
    const uint64_t *position;
} gating;
enum { U, GATES, RATE, LOG_A };

static uint32_t is_first_token(const gating *g, uint32_t row)
{
    uint32_t s = 0;

    while (row >= g->row_offset[s + 1])
        s++;
    return row == g->row_offset[s] && g->position[s] == 0;
}

static void gate_rows(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    const gating *g = arg;
    const size_t w = g->width;

    for (uint32_t row = first; row < last; row++) {
        const uint32_t start = is_first_token(g, row);
        const float *i = at[GATES] + row * 2 * w, *r = i + w;
        float *u = at[U] + row * 2 * w, *log_a = at[LOG_A] + row * w;

        for (uint32_t c = 0; c < w; c++) {
            log_a[c] = at[RATE][c] * r[c];
            u[c] *= i[c] * (start ? 1.0f : sqrtf(-expm1f(2 * log_a[c])));
        }
    }
}

/* With f = sqrt(1 - a^2):  d log_a += u i df, df = -a^2 / f;  1 / f is bounded as in the authors'
 * code. */
static void gate_vjp(const void *arg, const float *const *saved, const float *const *out,
                     float *const *grad, uint32_t first, uint32_t last)
{
    const gating *g = arg;
    const size_t w = g->width;

    for (uint32_t row = first; row < last; row++) {
        const uint32_t start = is_first_token(g, row);
        const float *u = saved[U] + row * 2 * w, *i = saved[GATES] + row * 2 * w, *r = i + w;
        const float *log_a = out[LOG_A] + row * w;
        float *gu = grad[U] + row * 2 * w, *gi = grad[GATES] + row * 2 * w, *gr = gi + w;

        for (uint32_t c = 0; c < w; c++) {
            const float f = start ? 1.0f : sqrtf(-expm1f(2 * log_a[c]));
            const float df = start ? 0.0f : -expf(2 * log_a[c]) / fmaxf(f, 5e-4f);
            const float ga = grad[LOG_A][row * w + c] + gu[c] * u[c] * i[c] * df;

            gr[c] += ga * saved[RATE][c];
            grad[RATE][c] += ga * r[c];
            gi[c] += gu[c] * u[c] * f;
            gu[c] *= i[c] * f;
        }
    }
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, w = l->width;
    const size_t ld = 2 * (size_t)w;
    float *u = b->scratch[l->t_in], *y = u + w; /* [rows, u | y] */
    float *gates = b->scratch[l->t_gates];      /* [rows, i | r] */
    float *log_a = b->scratch[l->t_decay];
    const gating arg = {w, b->row_offset, b->position};
    const gla_scan scan = {sizeof(scan), l->s_state, w, 0, log_a, u, w, ld, ld, u};

    m->linear(b, l->in, n, b->x, l->d, u, ld);
    m->conv1d(b, l->conv, l->s_conv, u, ld, u, ld);
    for (uint32_t h = 0; h < l->heads; h++) {
        float *in = u + h * l->block, *i = gates + h * l->block;

        m->linear(b, l->gates[INPUT][h], n, in, ld, i, ld);
        m->linear(b, l->gates[RECURRENT][h], n, in, ld, i + w, ld);
    }
    m->activation(b, GLA_ACT_SIGMOID, n, 2 * w, gates, ld, gates, ld);
    GLA_ROWS(b, arg, gate_rows, gate_vjp, {u, ld, w, GLA_USE_READ_WRITE},
             {gates, ld, 2 * w, GLA_USE_READ}, {l->rate, 0, w, GLA_USE_READ},
             {log_a, w, w, GLA_USE_WRITE});
    m->scan(b, &scan);
    m->glu(b, l->activation, n, w, y, ld, u, ld, u, ld);
    return m->linear(b, l->out, n, u, ld, b->y, l->d);
}

GLA_LAYER_DEFINE(rg_lru, "gla.rg_lru/1", 1, "Griffin's recurrent block (arXiv 2402.19427)",
                 .flags = GLA_LAYER_MIXER);
