/* SPDX-License-Identifier: Apache-2.0
 *
 * kla.c - Kalman linear attention (arXiv 2602.10743): a scalar Kalman filter per channel m and
 * state s, in information form
 *
 *   [z | gate] = Wi x ;  z = silu(conv(z))
 *   [v | c | k | q] = Ws z, v and c expanded if of low rank ;  k, q = k / max(|k|, 1e-12), ...
 *   lv = 1 / (softplus(c) + var_min) ;  phi = lv k^2 ;  d = a^2 + p lam
 *   lam = lam / d + phi ;  eta = (a / d) eta + v lv k           states [S, M], lam_0 = 1
 *   y = Wo ( (sum_s q eta / lam + skip z) * silu(gate) )
 *
 * a = exp(-exp(lambda_log) delta); p is the process noise over a step of delta ("ou": of an
 * Ornstein-Uhlenbeck process, "zoh": held).
 */
#include <gla/blocks.h>

#include <math.h>
#include <string.h>

static const char *const discretizations[] = {"ou", "zoh", NULL};
enum { OU, ZOH };

enum { P_INNER, P_STATE, P_CONV, P_V_RANK, P_VAR_RANK, P_VAR_MIN, P_DISCRETIZATION };
static const gla_param_desc params[] = {
    [P_INNER] = GLA_P_INT("inner", 0, 0, 1 << 20, "channels M; 0 = 2 d_model"),
    [P_STATE] = GLA_P_INT("state", 16, 1, 4096, "states S of a channel"),
    [P_CONV] = GLA_P_INT("conv", 4, 1, 64, "width of the short convolution"),
    [P_V_RANK] = GLA_P_INT("value_rank", 0, 0, 1 << 20, "0: z; M: v as sensed; else of so many"),
    [P_VAR_RANK] = GLA_P_INT("var_rank", 0, 0, 1 << 20, "0 or M: c as sensed; else of so many"),
    [P_VAR_MIN] = GLA_P_FLOAT("obs_var_min", 1e-4, 0, 1e6, "smallest variance of an observation"),
    [P_DISCRETIZATION] = GLA_P_ENUM("discretization", OU, discretizations, "of the process noise")};

enum { BLOCK = 64 }; /* channels filtered together */
enum { KEEP = 64 };  /* the states before every so many rows are kept for the derivative */

struct gla_layer {
    uint32_t d, m, s, v_rank, var_rank, sensed, blocks, discretization;
    uint32_t s_lam, s_eta, s_conv, t_in, t_sensed, t_v, t_c, t_kq, t_kept, t_o;
    size_t kept; /* lam and eta every KEEP rows, per row */
    float var_min;
    gla_linear *in, *sensor, *v_expand, *c_expand, *out;
    gla_conv *conv;
    const float *delta, *lambda_log, *noise, *skip; /* [M, S] each; [1] */
    float *a, *p;                                   /* [S, M]; made of them by bound() */
};

static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    const gla_param_value *p = c->params;
    const uint32_t m = gla_u32_or(&p[P_INNER], 2 * c->d_in), s = gla_u32(&p[P_STATE]);
    const uint32_t conv = gla_u32(&p[P_CONV]);
    const gla_init step = {(uint32_t)sizeof(step), GLA_INIT_STEP, 1e-3, 0.1, 1e-4};
    const gla_init zero = gla_constant(0), noise = gla_constant(0.01), skip = gla_constant(-1);

    l->d = c->d_in;
    l->m = m;
    l->s = s;
    l->v_rank = gla_u32(&p[P_V_RANK]);
    l->var_rank = gla_u32_or(&p[P_VAR_RANK], m);
    l->sensed = l->v_rank + l->var_rank + 2 * s;
    l->blocks = (m + BLOCK - 1) / BLOCK;
    l->kept = (2 * (size_t)s * m + KEEP - 1) / KEEP;
    l->var_min = (float)p[P_VAR_MIN].f;
    l->discretization = gla_u32(&p[P_DISCRETIZATION]);
    gla_declare_linear(c, "in_proj", 2 * m, l->d, 0, &l->in);
    gla_declare_conv(c, "conv", m, conv, GLA_PART_BIAS, GLA_ACT_SILU, &l->conv);
    gla_declare_linear(c, "sensor_proj", l->sensed, m, GLA_PART_SENSITIVE, &l->sensor);
    if (l->v_rank && l->v_rank != m)
        gla_declare_linear(c, "value_expand", m, l->v_rank, GLA_PART_SENSITIVE, &l->v_expand);
    if (l->var_rank != m)
        gla_declare_linear(c, "var_expand", m, l->var_rank, GLA_PART_SENSITIVE, &l->c_expand);
    gla_declare_numbers(c, "delta", m, s, &step, &l->delta);
    gla_declare_numbers(c, "lambda_log", m, s, &zero, &l->lambda_log);
    gla_declare_numbers(c, "process_noise", m, s, &noise, &l->noise);
    gla_declare_numbers(c, "lambda_skip", 1, 0, &skip, &l->skip);
    c->declare->table(c->declare, (size_t)s * m, &l->a);
    c->declare->table(c->declare, (size_t)s * m, &l->p);
    gla_declare_linear(c, "out_proj", c->d_out, m, 0, &l->out);
    l->s_lam = gla_declare_fixed(c, "lam", s, m, 0, 6.0 * s * m);
    l->s_eta = gla_declare_fixed(c, "eta", s, m, 0, 6.0 * s * m);
    l->s_conv = gla_declare_conv_state(c, m, conv);
    l->t_in = gla_declare_rows(c, 2 * (size_t)m);
    l->t_sensed = gla_declare_rows(c, l->sensed);
    l->t_v = gla_declare_rows(c, l->v_rank ? m : 0);
    l->t_c = gla_declare_rows(c, m);
    l->t_kq = gla_declare_rows(c, (size_t)l->blocks * 2 * s);
    l->t_kept = gla_declare_rows(c, l->kept);
    l->t_o = gla_declare_rows(c, m);
    return GLA_OK;
}

/* a and p of every channel and state, stored [M, S] in checkpoints, [S, M] here */
static gla_status bound(gla_layer *l)
{
    for (uint32_t m = 0; m < l->m; m++)
        for (uint32_t s = 0; s < l->s; s++) {
            const size_t from = (size_t)m * l->s + s, to = (size_t)s * l->m + m;
            const double d = l->delta[from], step = (d > 20 ? d : log1p(exp(d))) + 1e-7;
            const double rate = exp((double)l->lambda_log[from]), p = fmax(l->noise[from], 1e-7);

            l->a[to] = (float)exp(-rate * step);
            l->p[to] = (float)(l->discretization == OU ? p / (2 * rate) * -expm1(-2 * rate * step)
                                                       : p * step);
        }
    return GLA_OK;
}

/* ---- the filter ---- */

/* Work i: one block of channels of one sequence.  var is softplus(c).  Each block has its own k and
 * q, so that their gradients do not meet. */
typedef struct filter {
    const gla_layer *l;
    gla_batch b;
    size_t m, ld_k, ld_v; /* channels; between the rows of k and q, and of v */
} filter;
enum { V, VAR, KQ, A, P, KEPT, Y };

/* lam and eta [2, S, M] before row r, a multiple of KEEP inside of a sequence */
static size_t kept_at(const filter *f, uint32_t r)
{
    return 2 * f->m * f->l->s * (r / KEEP - 1);
}

/* One token: channels [first, last) of the filters. */
static void filter_token(const filter *f, float *const *at, uint32_t row, uint32_t first,
                         uint32_t last, float *lam, float *eta)
{
    const float *k = at[KQ] + row * f->ld_k + first / BLOCK * 2 * f->l->s, *q = k + f->l->s;
    const float *v = at[V] + row * f->ld_v, *var = at[VAR] + row * f->m;
    float *y = at[Y] + row * f->m, precision[BLOCK];

    for (uint32_t i = first; i < last; i++) {
        precision[i - first] = 1.0f / (var[i] + f->l->var_min);
        y[i] = 0;
    }
    for (uint32_t s = 0; s < f->l->s; s++) {
        const float *a = at[A] + s * f->m, *p = at[P] + s * f->m;
        float *lam_s = lam + s * f->m, *eta_s = eta + s * f->m;

        for (uint32_t i = first; i < last; i++) {
            const float weighted = precision[i - first] * k[s];
            const float d = 1.0f / (a[i] * a[i] + p[i] * lam_s[i]);

            lam_s[i] = lam_s[i] * d + weighted * k[s];
            eta_s[i] = a[i] * d * eta_s[i] + v[i] * weighted;
            y[i] += q[s] * eta_s[i] / lam_s[i];
        }
    }
}

static void filter_blocks(const void *arg, float *const *at, uint32_t first, uint32_t last)
{
    const filter *f = arg;
    const gla_layer *l = f->l;

    for (uint32_t i = first; i < last; i++) {
        const uint32_t seq = i / l->blocks, from = i % l->blocks * BLOCK;
        const uint32_t to = from + BLOCK < l->m ? from + BLOCK : l->m;
        const uint32_t start = f->b.row_offset[seq];
        float *lam = gla_state_f32(&f->b, seq, l->s_lam),
              *eta = gla_state_f32(&f->b, seq, l->s_eta);

        if (f->b.position[seq] == 0) /* the prior: precision 1 */
            for (uint32_t s = 0; s < l->s; s++)
                for (uint32_t c = from; c < to; c++)
                    lam[s * f->m + c] = 1;
        for (uint32_t r = start; r < f->b.row_offset[seq + 1]; r++) {
            for (uint32_t s = 0; s < l->s && r > start && r % KEEP == 0; s++) {
                const size_t c = s * f->m + from, bytes = (to - from) * sizeof(float);
                float *kept = at[KEPT] + kept_at(f, r) + c;

                memcpy(kept, lam + c, bytes);
                memcpy(kept + l->s * f->m, eta + c, bytes);
            }
            filter_token(f, at, r, from, to, lam, eta);
        }
    }
}

/* Back through rows [row, end) of the filters s of channels [from, from + n), whose states before
 * them were lam[0] and eta[0]; g_lam and g_eta are those of the states after them, then before. */
static void filter_back(const filter *f, const float *const *saved, float *const *grad,
                        uint32_t row, uint32_t end, uint32_t s, uint32_t from, uint32_t n,
                        float (*lam)[BLOCK], float (*eta)[BLOCK], float *g_lam, float *g_eta)
{
    const size_t at = s * f->m + from, at_k = from / BLOCK * 2 * f->l->s + s;
    const float *a = saved[A] + at, *p = saved[P] + at;
    float *g_a = grad[A] + at, *g_p = grad[P] + at;

    for (uint32_t r = row, t = 0; r < end; r++, t++) {
        const float *v = saved[V] + r * f->ld_v + from, *var = saved[VAR] + r * f->m + from;
        const float k = saved[KQ][r * f->ld_k + at_k];

        for (uint32_t i = 0; i < n; i++) {
            const float weighted = k / (var[i] + f->l->var_min);
            const float d = 1.0f / (a[i] * a[i] + p[i] * lam[t][i]);

            lam[t + 1][i] = lam[t][i] * d + weighted * k;
            eta[t + 1][i] = a[i] * d * eta[t][i] + v[i] * weighted;
        }
    }
    for (uint32_t r = end; r-- > row;) {
        const size_t at_v = r * f->ld_v + from, at_m = r * f->m + from, at_r = r * f->ld_k + at_k;
        const float *before = lam[r - row], *after = lam[r - row + 1];
        const float *eta_before = eta[r - row], *eta_after = eta[r - row + 1];
        const float *v = saved[V] + at_v, *var = saved[VAR] + at_m, *g_y = grad[Y] + at_m;
        const float k = saved[KQ][at_r], q = saved[KQ][at_r + f->l->s];
        float *g_v = grad[V] + at_v, *g_var = grad[VAR] + at_m, g_k = 0, g_q = 0;

        for (uint32_t i = 0; i < n; i++) {
            const float precision = 1.0f / (var[i] + f->l->var_min);
            const float d = 1.0f / (a[i] * a[i] + p[i] * before[i]);
            const float mean = eta_after[i] / after[i];
            const float ge = g_eta[i] + g_y[i] * q / after[i];
            const float gl = g_lam[i] - g_y[i] * q * mean / after[i];
            const float gw = ge * v[i] + gl * k;
            const float gd = (ge * a[i] * eta_before[i] + gl * before[i]) * d * d;

            g_q += g_y[i] * mean;
            g_k += gl * precision * k + gw * precision;
            g_v[i] += ge * precision * k;
            g_var[i] -= gw * k * precision * precision;
            g_a[i] += ge * d * eta_before[i] - 2 * a[i] * gd;
            g_p[i] -= gd * before[i];
            g_eta[i] = ge * a[i] * d;
            g_lam[i] = gl * d - gd * p[i];
        }
        grad[KQ][at_r] += g_k;
        grad[KQ][at_r + f->l->s] += g_q;
    }
}

/* Of sequences from their beginning: KEEP rows at a time are computed again, from the last. */
static void filter_vjp(const void *arg, const float *const *saved, const float *const *out,
                       float *const *grad, uint32_t first, uint32_t last)
{
    const filter *f = arg;
    const gla_layer *l = f->l;
    float lam[KEEP + 1][BLOCK], eta[KEEP + 1][BLOCK];

    for (uint32_t w = first * l->s; w < last * l->s; w++) {
        const uint32_t s = w % l->s, i = w / l->s, seq = i / l->blocks;
        const uint32_t from = i % l->blocks * BLOCK, n = from + BLOCK < l->m ? BLOCK : l->m - from;
        const uint32_t start = f->b.row_offset[seq];
        float g_lam[BLOCK] = {0}, g_eta[BLOCK] = {0};

        for (uint32_t end = f->b.row_offset[seq + 1], row; end > start; end = row) {
            const uint32_t r = (end - 1) / KEEP * KEEP;
            const float *kept = r > start ? out[KEPT] + kept_at(f, r) + s * f->m + from : NULL;

            for (uint32_t c = 0; c < n; c++) {
                lam[0][c] = kept ? kept[c] : 1;
                eta[0][c] = kept ? kept[l->s * f->m + c] : 0;
            }
            row = kept ? r : start;
            filter_back(f, saved, grad, row, end, s, from, n, lam, eta, g_lam, g_eta);
        }
    }
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    const uint32_t n = b->n_rows, w = l->m, s = l->s;
    const size_t ld = 2 * (size_t)w, ld_s = l->sensed, ld_kq = (size_t)l->blocks * 2 * s;
    float *z = b->scratch[l->t_in], *gate = z + w, *y = b->scratch[l->t_o];
    float *sensed = b->scratch[l->t_sensed], *c = sensed + l->v_rank, *k = c + l->var_rank;
    float *var = b->scratch[l->t_c], *kq = b->scratch[l->t_kq];
    float *v = l->v_expand ? b->scratch[l->t_v] : l->v_rank ? sensed : z;
    const gla_norm l2 = gla_norm_of(GLA_NORM_L2_MAX, 2, s, 1e-12f);
    const filter f = {l, *b, w, ld_kq, l->v_expand ? w : l->v_rank ? ld_s : ld};

    m->linear(b, l->in, n, b->x, l->d, z, ld);
    m->conv1d(b, l->conv, l->s_conv, z, ld, z, ld);
    m->linear(b, l->sensor, n, z, ld, sensed, ld_s);
    m->norm(b, &l2, n, k, ld_s, k, ld_s);
    gla_copy_groups(b, l->blocks, 2 * s, k, ld_s, 0, kq, ld_kq, 2 * s);
    if (l->v_expand)
        m->linear(b, l->v_expand, n, sensed, ld_s, v, w);
    if (l->c_expand)
        m->linear(b, l->c_expand, n, c, ld_s, var, w);
    m->activation(b, GLA_ACT_SOFTPLUS, n, w, l->c_expand ? var : c, l->c_expand ? w : ld_s, var, w);
    /* clang-format off */
    GLA_PIECES(b, b->n_sequences * l->blocks, f, filter_blocks, filter_vjp,
               [V] = {v, f.ld_v, w, GLA_USE_READ}, [VAR] = {var, w, w, GLA_USE_READ},
               [KQ] = {kq, ld_kq, (uint32_t)ld_kq, GLA_USE_READ},
               [A] = {l->a, 0, s * w, GLA_USE_READ}, [P] = {l->p, 0, s * w, GLA_USE_READ},
               [KEPT] = {b->scratch[l->t_kept], l->kept, (uint32_t)l->kept, GLA_USE_WRITE},
               [Y] = {y, w, w, GLA_USE_WRITE});
    /* clang-format on */
    gla_add_groups(b, 1, w, z, ld, l->skip, 0, y, w);
    m->glu(b, GLA_ACT_SILU, n, w, gate, ld, y, w, y, w);
    return m->linear(b, l->out, n, y, w, b->y, l->d);
}

GLA_LAYER_DEFINE(kla, "gla.kla/1", 1, "Kalman linear attention (arXiv 2602.10743)",
                 .flags = GLA_LAYER_MIXER, .bound = bound);
