/* SPDX-License-Identifier: Apache-2.0
 *
 * hgrn.c - hierarchically gated recurrences: forget gates with a lower bound that grows with depth
 *
 *   f = l + (1 - l) sigmoid(Wf x),  l = 0 in the first block, else cumsum(softmax(bounds))_n -
 * softmax(bounds)_0
 *
 *   hgrn   Qin et al., arXiv 2311.04823       h = f h + (1 - f) silu(Wi x)          state [D]
 *          y = Wo ( rmsnorm(h) * silu(Wg x) )
 *   hgrn2  Qin et al., arXiv 2404.07904       S = diag(f) S + (1 - f) (Wi x)^T      state [H, K, V]
 *          y = Wo rmsnorm( silu(Wq x)^T S / sqrt K )
 */
#include "../tests/support/blocks_v1_0.h"

#include <math.h>

typedef enum family { HGRN, HGRN2 } family;

enum { P_HEADS, P_F_DIM, P_I_DIM, P_CONV, P_CONV_BIAS, P_LOWER_BOUND, P_NORM_EPS, P_NORM_WEIGHT };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT("heads", 1, 1, 1024, "hgrn2: heads"),
    [P_F_DIM] = GLA_P_INT("f_dim", 0, 0, 1 << 20, "all forget gate channels; 0 = d_model"),
    [P_I_DIM] = GLA_P_INT("i_dim", 0, 0, 1 << 20, "all input channels; 0 = d_model (hgrn: f_dim)"),
    [P_CONV] = GLA_P_INT("conv", 0, 0, 64, "width of the short convolution; 0 = none"),
    [P_CONV_BIAS] = GLA_P_BOOL("conv_bias", 0, "biases of the convolution"),
    [P_LOWER_BOUND] = GLA_P_BOOL("lower_bound", 1, "learned lower bounds of the forget gate"),
    [P_NORM_EPS] = GLA_P_FLOAT("norm_eps", 0, 0, 1, "of the output norm; default: the model's"),
    [P_NORM_WEIGHT] = GLA_P_BOOL("norm_weight", 1, "whether the output norm has a weight"),
};

/* The input projection: what the convolution covers comes first. */
enum { W_Q, W_F, W_I, W_G, N_IN };

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    family family;
    uint32_t d, heads, fc, ic, channels[N_IN], offset[N_IN], width, conv_width;
    uint32_t layer_index, n_layers;
    uint32_t w_in[N_IN], w_conv[3], b_conv[3], w_bounds, w_norm, w_out;
    uint32_t s_state, s_conv, t_in, t_decay, t_out;
    gla_linear *in, *out;
    gla_conv *conv;
    gla_norm norm;
    float *bound; /* [fc], NULL: 0 */
};

static void declare(gla_layer *l, const gla_layer_config *cfg)
{
    static const char *const proj[] = {"q_proj.weight", "f_proj.weight", "i_proj.weight",
                                       "g_proj.weight"};
    const gla_param_value *p = cfg->params;

    for (uint32_t i = 0; i < N_IN; i++) {
        l->w_in[i] =
            l->channels[i] ? gla_declare_matrix(cfg, proj[i], l->channels[i], l->d) : GLA_ABSENT;
        l->offset[i] = l->width;
        l->width += l->channels[i];
    }
    l->s_conv = gla_declare_convs(cfg, "qfi", l->channels, l->conv_width, (int)p[P_CONV_BIAS].i,
                                  l->w_conv, l->b_conv);
    l->w_bounds = GLA_ABSENT;
    if (p[P_LOWER_BOUND].i && l->layer_index > 0)
        l->w_bounds = gla_declare_taps(cfg, "/lower_bounds", l->n_layers, l->fc);
    l->w_norm = GLA_ABSENT;
    if (p[P_NORM_WEIGHT].i)
        l->w_norm = gla_declare_vector(cfg, "g_norm.weight", l->ic);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->ic);
    if (l->family == HGRN)
        l->s_state = gla_declare_fixed(cfg, "h", l->fc, 0, 0, 3.0 * l->fc);
    else
        l->s_state = gla_declare_fixed(cfg, "S", l->heads, l->fc / l->heads, l->ic / l->heads,
                                       5.0 * l->fc * (l->ic / l->heads));
    l->t_in = gla_declare_rows(cfg, l->width);
    l->t_decay = gla_declare_rows(cfg, l->fc);
    l->t_out = gla_declare_rows(cfg, l->ic);
}

static gla_status create_hgrn_family(const gla_host *host, const gla_layer_config *cfg, family f,
                                     gla_layer **out)
{
    const gla_param_value *p = cfg->params;
    gla_layer *l = gla_host_new(host, sizeof(*l));

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->family = f;
    l->d = cfg->d_in;
    l->layer_index = cfg->layer_index;
    l->n_layers = cfg->n_layers;
    l->heads = (uint32_t)p[P_HEADS].i;
    l->fc = p[P_F_DIM].i ? (uint32_t)p[P_F_DIM].i : l->d;
    l->ic = f == HGRN ? l->fc : p[P_I_DIM].i ? (uint32_t)p[P_I_DIM].i : l->d;
    if (f == HGRN2 && (l->fc % l->heads || l->ic % l->heads))
        return gla_host_fail(host, GLA_E_INVALID, "f_dim and i_dim must be multiples of heads");
    l->conv_width = (uint32_t)p[P_CONV].i;
    l->channels[W_Q] = f == HGRN2 ? l->fc : 0;
    l->channels[W_F] = l->fc;
    l->channels[W_I] = l->ic;
    l->channels[W_G] = f == HGRN ? l->ic : 0;
    l->norm = (gla_norm){
        .struct_size = sizeof(gla_norm),
        .kind = GLA_NORM_RMS,
        .groups = 1,
        .width = l->ic,
        .gate_activation = GLA_ACT_SILU,
        .eps = (float)(p[P_NORM_EPS].is_set ? p[P_NORM_EPS].f : cfg->norm_eps),
    };
    declare(l, cfg);
    return GLA_OK;
}

static gla_status create_hgrn(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    return create_hgrn_family(host, cfg, HGRN, out);
}

static gla_status create_hgrn2(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    return create_hgrn_family(host, cfg, HGRN2, out);
}

static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->out);
    l->math->conv_destroy(l->conv);
    gla_host_delete(l->host, l->bound);
    gla_host_delete(l->host, l);
}

/* bound = sum of softmax over the blocks 1 .. n, per channel, of bounds [L, fc] */
static gla_status bind_bound(gla_layer *l, const float *bounds)
{
    l->bound = gla_host_new(l->host, l->fc * sizeof(float));
    if (!l->bound)
        return GLA_E_NOMEM;
    for (uint32_t c = 0; c < l->fc; c++) {
        double max = bounds[c], all = 0, part = 0;

        for (uint32_t n = 1; n < l->n_layers; n++)
            max = fmax(max, bounds[(size_t)n * l->fc + c]);
        for (uint32_t n = 0; n < l->n_layers; n++) {
            const double e = exp(bounds[(size_t)n * l->fc + c] - max);

            all += e;
            part += n >= 1 && n <= l->layer_index ? e : 0;
        }
        l->bound[c] = (float)(part / all);
    }
    return GLA_OK;
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    gla_status st = gla_make_linear(l->host, weights, N_IN, l->w_in, NULL, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    if (!st && l->conv_width)
        st = gla_make_conv(l->host, weights, 3, l->w_conv, l->b_conv, GLA_ACT_NONE, &l->conv);
    if (!st && l->w_bounds != GLA_ABSENT)
        st = bind_bound(l, gla_weight_f32(weights, l->w_bounds));
    l->norm.weight = gla_weight_f32(weights, l->w_norm);
    return st;
}

typedef struct gate_job {
    const gla_layer *l;
    float *in;    /* f becomes 1 - f; hgrn: silu(i) becomes the input of the recurrence */
    float *decay; /* [rows, fc]: log f */
} gate_job;

static void gate_rows(void *arg, uint32_t first, uint32_t last)
{
    const gate_job *j = arg;
    const gla_layer *l = j->l;

    for (uint32_t r = first; r < last; r++) {
        float *f = j->in + (size_t)r * l->width + l->offset[W_F];
        float *x = j->in + (size_t)r * l->width + l->offset[W_I];
        float *a = j->decay + (size_t)r * l->fc;

        for (uint32_t c = 0; c < l->fc; c++) {
            const float bound = l->bound ? l->bound[c] : 0.0f;
            const float e = expf(-fabsf(f[c]));
            const float sigmoid = (f[c] < 0 ? e : 1.0f) / (1.0f + e);
            const float closed = (f[c] < 0 ? 1.0f : e) / (1.0f + e); /* 1 - sigmoid, exactly */

            if (bound > 0)
                a[c] = closed < 0.5f ? log1pf((bound - 1.0f) * closed)
                                     : logf(bound + (1.0f - bound) * sigmoid);
            else
                a[c] = (f[c] < 0 ? f[c] : 0.0f) - log1pf(e);
            f[c] = (1.0f - bound) * closed;
            if (l->family == HGRN)
                x[c] *= f[c];
        }
    }
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const uint32_t n = b->n_rows, silu = l->family == HGRN ? W_I : W_Q;
    const size_t ld = l->width;
    float *in = b->scratch[l->t_in]; /* [rows, q | f | i | g] */
    float *o = b->scratch[l->t_out], *silu_x = in + l->offset[silu];
    gate_job job = {l, in, b->scratch[l->t_decay]};
    gla_norm norm = l->norm;
    gla_status st = m->linear(b, l->in, n, b->x, l->d, in, ld);

    if (!st && l->conv)
        st = m->conv1d(b, l->conv, l->s_conv, in, ld, in, ld);
    if (!st)
        st = m->activation(b, GLA_ACT_SILU, n, l->channels[silu], silu_x, ld, silu_x, ld);
    if (!st)
        st = m->for_rows(b, n, gate_rows, &job);
    if (st)
        return st;
    if (l->family == HGRN) {
        const gla_scan scan = {
            .struct_size = sizeof(scan),
            .state = l->s_state,
            .width = l->fc,
            .log_decay = job.decay,
            .x = in + l->offset[W_I],
            .ld_decay = l->fc,
            .ld_x = ld,
            .y = o,
            .ld_y = l->ic,
        };

        norm.gate = in + l->offset[W_G];
        norm.ld_gate = ld;
        st = m->scan(b, &scan);
    } else {
        const gla_recurrence r = {
            .struct_size = sizeof(r),
            .decay = GLA_DECAY_CHANNEL,
            .write = GLA_WRITE_ADD,
            .heads = l->heads,
            .k_dim = l->fc / l->heads,
            .v_dim = l->ic / l->heads,
            .state = l->s_state,
            .scale = 1.0f / sqrtf((float)(l->fc / l->heads)),
            .q = in + l->offset[W_Q],
            .k = in + l->offset[W_F],
            .v = in + l->offset[W_I],
            .log_decay = job.decay,
            .ld_q = ld,
            .ld_k = ld,
            .ld_v = ld,
            .ld_decay = l->fc,
            .o = o,
            .ld_o = l->ic,
        };

        st = m->recurrence(b, &r);
    }
    if (!st)
        st = m->norm(b, &norm, n, o, l->ic, o, l->ic);
    return st ? st : m->linear(b, l->out, n, o, l->ic, b->y, l->d);
}

GLA_LAYER_DESC(hgrn, "gla.hgrn/1", 1, "hierarchically gated recurrence (arXiv 2311.04823)",
               GLA_LAYER_MIXER, create_hgrn);
GLA_LAYER_DESC(hgrn2, "gla.hgrn2/1", 1, "HGRN2: outer-product state (arXiv 2404.07904)",
               GLA_LAYER_MIXER, create_hgrn2);
static const gla_layer_desc *const layers[] = {&hgrn_desc, &hgrn2_desc};
GLA_PLUGIN_DEFINE(hgrn, "1.0", "Apache-2.0", NULL, NULL, layers);
