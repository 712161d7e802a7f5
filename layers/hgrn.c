/* SPDX-License-Identifier: Apache-2.0
 *
 * hgrn.c - hierarchically gated recurrences: forget gates with a lower bound that grows with depth
 *
 *   f = l + (1 - l) sigmoid(Wf x)
 *   l = 0 in the first block, else cumsum(softmax(bounds))_n - softmax(bounds)_0
 *
 *   hgrn   Qin et al., arXiv 2311.04823       h = f h + (1 - f) silu(Wi x)          state [D]
 *          y = Wo ( rmsnorm(h) * silu(Wg x) )
 *   hgrn2  Qin et al., arXiv 2404.07904       S = diag(f) S + (1 - f) (Wi x)^T      state [H, K, V]
 *          y = Wo rmsnorm( silu(Wq x)^T S / sqrt K )
 */
#include <gla/blocks.h>

#include <math.h>

enum { P_HEADS, P_F_DIM, P_I_DIM, P_CONV, P_CONV_BIAS, P_LOWER_BOUND, P_NORM };
static const gla_param_desc params[] = {
    [P_HEADS] = GLA_P_INT("heads", 1, 1, 1024, "hgrn2: heads"),
    [P_F_DIM] = GLA_P_INT("f_dim", 0, 0, 1 << 20, "all forget gate channels; 0 = d_model"),
    [P_I_DIM] = GLA_P_INT("i_dim", 0, 0, 1 << 20, "all input channels; 0 = d_model (hgrn: f_dim)"),
    [P_CONV] = GLA_P_INT("conv", 0, 0, 64, "width of the short convolution; 0 = none"),
    [P_CONV_BIAS] = GLA_P_BOOL("conv_bias", 0, "biases of the convolution"),
    [P_LOWER_BOUND] = GLA_P_BOOL("lower_bound", 1, "learned lower bounds of the forget gate")};

enum { Q, F, I, G, N_IN }; /* hgrn has no q, hgrn2 no gate */

struct gla_layer {
    gla_heads h; /* k: of the forget gate, v: of the input; hgrn: one head */
    uint32_t block, n_blocks, s_state, t_decay, t_o;
    const float *bounds; /* [L, qc]; NULL in the first block, or without them */
    float *bound;        /* [qc] */
    gla_in in;
    gla_out out;
};

static gla_status make(gla_layer *l, const gla_layer_config *c, int hgrn2)
{
    const gla_param_value *p = c->params, *pn = p + P_NORM;
    const uint32_t fc = gla_u32_or(&p[P_F_DIM], c->d_in);
    const uint32_t ic = hgrn2 ? gla_u32_or(&p[P_I_DIM], c->d_in) : fc;
    const uint32_t heads = hgrn2 ? gla_u32(&p[P_HEADS]) : 1;
    const gla_status st = fc % heads || ic % heads
                              ? gla_refuse(c, "f_dim and i_dim must be multiples of heads")
                              : gla_heads_of(c, heads, heads, fc, ic, &l->h);
    const gla_in_part parts[] = {[Q] = {"q_proj", hgrn2 ? fc : 0, GLA_ACT_SILU, GLA_IN_CONV},
                                 [F] = {"f_proj", fc, GLA_ACT_NONE, GLA_IN_CONV},
                                 [I] = {"i_proj", ic, GLA_ACT_NONE, GLA_IN_CONV},
                                 [G] = {"g_proj", hgrn2 ? 0 : ic}};
    const gla_in_conv conv = {gla_u32(&p[P_CONV]), gla_u32(&p[P_CONV_BIAS]), GLA_ACT_NONE};
    const gla_norm norm = gla_norm_of(GLA_NORM_RMS, 1, ic, gla_eps(c, &pn[GLA_N_EPS]));

    if (st)
        return st;
    l->block = c->layer_index;
    l->n_blocks = c->n_layers;
    gla_in_declare(c, &l->in, parts, N_IN, &conv);
    if (p[P_LOWER_BOUND].i && l->block > 0)
        gla_declare_numbers(c, "/lower_bounds", l->n_blocks, fc, NULL, &l->bounds);
    c->declare->table(c->declare, fc, &l->bound);
    gla_out_declare(c, &l->out, "o_proj", ic, 0, &norm,
                    pn[GLA_N_WEIGHT].i ? "g_norm.weight" : NULL);
    l->out.norm.gate_activation = GLA_ACT_SILU;
    l->s_state =
        hgrn2 ? gla_heads_state(c, &l->h, 5) : gla_declare_fixed(c, "h", fc, 0, 0, 3.0 * fc);
    l->t_decay = gla_declare_rows(c, fc);
    l->t_o = gla_declare_rows(c, ic);
    return GLA_OK;
}

GLA_LAYER_MAKE(make_hgrn, 0);
GLA_LAYER_MAKE(make_hgrn2, 1);

/* bound = sum of softmax over the blocks 1 .. n, per channel */
static gla_status bound(gla_layer *l)
{
    const uint32_t fc = l->h.qc;

    for (uint32_t c = 0; l->bounds && c < fc; c++) {
        double max = l->bounds[c], all = 0, part = 0;

        for (uint32_t n = 1; n < l->n_blocks; n++)
            max = fmax(max, l->bounds[(size_t)n * fc + c]);
        for (uint32_t n = 0; n < l->n_blocks; n++) {
            const double e = exp(l->bounds[(size_t)n * fc + c] - max);

            all += e;
            part += n >= 1 && n <= l->block ? e : 0;
        }
        l->bound[c] = (float)(part / all);
    }
    return GLA_OK;
}

/* Rows of f and of the log decay, and the bounds. */
typedef struct gates {
    size_t ld;
    uint32_t width;
} gates;

/* s = sigmoid(f) ;  a = log(l + (1 - l) s) ;  f becomes 1 - e^a = (1 - l) (1 - s) */
static void gate_rows(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    const gates *g = arg;

    for (size_t r = first; r < last; r++) {
        float *f = at[0] + r * g->ld, *a = at[1] + r * g->width;

        for (uint32_t c = 0; c < g->width; c++) {
            const float low = at[2][c], e = expf(-fabsf(f[c]));
            const float open = (f[c] < 0 ? e : 1.0f) / (1.0f + e);
            const float closed = (f[c] < 0 ? 1.0f : e) / (1.0f + e); /* 1 - s, exactly */

            if (low > 0)
                a[c] =
                    closed < 0.5f ? log1pf((low - 1.0f) * closed) : logf(low + (1.0f - low) * open);
            else
                a[c] = (f[c] < 0 ? f[c] : 0.0f) - log1pf(e);
            f[c] = (1.0f - low) * closed;
        }
    }
}

/* With t = da / e^a - df', f' what f became:  df = t f' s ;  dl = t (1 - s). */
static void gate_vjp(const void *arg, const float *const *saved, const float *const *out,
                     float *const *grad, uint32_t first, uint32_t last)
{
    const gates *g = arg;

    for (size_t r = first; r < last; r++) {
        const float *f = saved[0] + r * g->ld, *write = out[0] + r * g->ld;
        const float *da = grad[1] + r * g->width;
        float *df = grad[0] + r * g->ld;

        for (uint32_t c = 0; c < g->width; c++) {
            const float low = saved[2][c], e = expf(-fabsf(f[c]));
            const float open = (f[c] < 0 ? e : 1.0f) / (1.0f + e);
            const float closed = (f[c] < 0 ? 1.0f : e) / (1.0f + e);
            const float decay = low + (1.0f - low) * open;

            if (low > 0)
                grad[2][c] += (da[c] / decay - df[c]) * closed;
            df[c] = (da[c] * (low > 0 ? open / decay : 1.0f) - df[c] * open) * write[c];
        }
    }
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, fc = l->h.qc, ic = l->h.oc;
    float *x[N_IN], *a = b->scratch[l->t_decay], *o = b->scratch[l->t_o];
    const size_t ld = gla_in_run(m, b, &l->in, x);
    const gates g = {ld, fc};
    const gla_scan scan = {sizeof(scan), l->s_state, fc, 0, a, x[I], fc, ld, ic, o};
    gla_recurrence r =
        gla_heads_recurrence(&l->h, l->s_state, GLA_DECAY_CHANNEL, x[Q], x[F], x[I], ld, o);

    GLA_ROWS(b, g, gate_rows, gate_vjp, {x[F], ld, fc, GLA_USE_READ_WRITE},
             {a, fc, fc, GLA_USE_WRITE}, {l->bound, 0, fc, GLA_USE_READ});
    if (x[G]) { /* hgrn */
        m->glu(b, GLA_ACT_SILU, n, fc, x[I], ld, x[F], ld, x[I], ld);
        m->scan(b, &scan);
        return gla_out_run(m, b, &l->out, o, x[G], ld);
    }
    r.scale = 1.0f / sqrtf((float)l->h.k);
    r.log_decay = a;
    r.ld_decay = fc;
    m->recurrence(b, &r);
    return gla_out_run(m, b, &l->out, o, NULL, 0);
}

GLA_LAYER_DESC(hgrn, "gla.hgrn/1", 1, "hierarchically gated recurrence (arXiv 2311.04823)",
               make_hgrn, .bound = bound, .flags = GLA_LAYER_MIXER, GLA_MORE(gla_params_norm));
GLA_LAYER_DESC(hgrn2, "gla.hgrn2/1", 1, "HGRN2: outer-product state (arXiv 2404.07904)", make_hgrn2,
               .bound = bound, .flags = GLA_LAYER_MIXER, GLA_MORE(gla_params_norm));
static const gla_layer_desc *const layers[] = {&hgrn_desc, &hgrn2_desc};
GLA_PLUGIN_DEFINE(hgrn, "1.0", "Apache-2.0", NULL, NULL, layers);
