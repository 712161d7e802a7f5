/* SPDX-License-Identifier: Apache-2.0
 *
 * ema_v1_0.c - plugins/template/ema.c as it was in version 1.0 of the ABI, frozen: a gated moving
 * average of the past, one learned decay per channel
 *
 *   u = Wu x,  a = sigmoid(decay)
 *   h = a h + (1 - a) u                     state, [E]
 *   y = Wo ( h * act(Wg x) )
 *
 * D model, E = expand * D channels.
 */
#include "plugin_v1_0.h"

#include <math.h>

/* What a user may write under `mixer: {type: org.example.ema, ...}`. */
enum { P_EXPAND, P_ACTIVATION };
static const char *const activations[] = {GLA_ACTIVATION_NAMES, NULL};
static const gla_param_desc params[] = {
    [P_EXPAND] = GLA_P_FLOAT("expand", 1, 0.0625, 16, "channels of the average per model channel"),
    [P_ACTIVATION] = GLA_P_ENUM("activation", GLA_ACT_SILU, activations, "of the gate"),
};

struct gla_layer {
    const gla_host *host;
    const gla_math *math;
    uint32_t d, e;
    uint32_t activation;
    uint32_t w_in[2], w_decay, w_out; /* weights, by declared index */
    uint32_t s_average;               /* state */
    uint32_t t_in, t_gated;           /* scratch */
    gla_linear *in, *out;
    float *log_decay; /* [E]: log a */
    float *write;     /* [E]: 1 - a */
};

/* Dimensions and declarations; no weights yet. */
static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    gla_layer *l = gla_host_new(host, sizeof(*l));

    *out = l;
    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->math = gla_host_math(host);
    l->d = cfg->d_in;
    l->e = (uint32_t)(cfg->params[P_EXPAND].f * l->d);
    l->activation = (uint32_t)cfg->params[P_ACTIVATION].i;
    if (!l->e)
        return gla_host_fail(host, GLA_E_INVALID, "expand is too small: no channels are left");
    l->w_in[0] = gla_declare_matrix(cfg, "u_proj.weight", l->e, l->d);
    l->w_in[1] = gla_declare_matrix(cfg, "g_proj.weight", l->e, l->d);
    l->w_decay = gla_declare_vector(cfg, "decay", l->e);
    l->w_out = gla_declare_matrix(cfg, "o_proj.weight", l->d, l->e);
    l->s_average = gla_declare_fixed(cfg, "h", l->e, 0, 0, 3.0 * l->e);
    l->t_in = gla_declare_rows(cfg, 2 * (size_t)l->e); /* u and gate, side by side */
    l->t_gated = gla_declare_rows(cfg, l->e);
    return GLA_OK;
}

/* Also for a half-made layer. */
static void destroy(gla_layer *l)
{
    if (!l)
        return;
    l->math->linear_destroy(l->in);
    l->math->linear_destroy(l->out);
    gla_host_delete(l->host, l->log_decay);
    gla_host_delete(l->host, l->write);
    gla_host_delete(l->host, l);
}

/* The weights are here: pack them, and make tables of what does not depend on the input. */
static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    const float *decay = gla_weight_f32(weights, l->w_decay);
    gla_status st = gla_make_linear(l->host, weights, 2, l->w_in, NULL, &l->in);

    if (!st)
        st = gla_make_linear(l->host, weights, 1, &l->w_out, NULL, &l->out);
    if (st)
        return st;
    l->log_decay = gla_host_new(l->host, l->e * sizeof(float));
    l->write = gla_host_new(l->host, l->e * sizeof(float));
    if (!l->log_decay || !l->write)
        return GLA_E_NOMEM;
    for (uint32_t i = 0; i < l->e; i++) {
        l->log_decay[i] = -log1pf(expf(-decay[i])); /* log sigmoid */
        l->write[i] = 1.0f / (1.0f + expf(decay[i]));
    }
    return GLA_OK;
}

typedef struct write_rows {
    const gla_layer *l;
    float *u; /* [rows, 2 E]: the first half of each row */
} write_rows;

/* u *= 1 - a, for rows [first, last): a layer's own arithmetic, run on several threads. */
static void scale_input(void *arg, uint32_t first, uint32_t last)
{
    const write_rows *w = arg;
    const uint32_t e = w->l->e;

    for (uint32_t r = first; r < last; r++) {
        float *u = w->u + (size_t)r * 2 * e;

        for (uint32_t i = 0; i < e; i++)
            u[i] *= w->l->write[i];
    }
}

/* All rows of all sequences; the table's functions know where each sequence begins and where its
 * state lies. */
static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = l->math;
    const size_t e = l->e;
    float *u = b->scratch[l->t_in], *gate = u + e; /* [rows, 2 E] */
    float *gated = b->scratch[l->t_gated];         /* [rows, E] */
    write_rows work = {l, u};
    const gla_scan scan = {
        .struct_size = (uint32_t)sizeof(scan),
        .state = l->s_average,
        .width = l->e,
        .log_decay = l->log_decay,
        .ld_decay = 0, /* the same row for every token */
        .x = u,
        .ld_x = 2 * e,
        .y = u,
        .ld_y = 2 * e,
    };
    gla_status st = m->linear(b, l->in, b->n_rows, b->x, l->d, u, 2 * e);

    if (!st)
        st = m->for_rows(b, b->n_rows, scale_input, &work);
    if (!st)
        st = m->scan(b, &scan);
    if (!st)
        st = m->glu(b, l->activation, b->n_rows, l->e, gate, 2 * e, u, 2 * e, gated, e);
    if (!st)
        st = m->linear(b, l->out, b->n_rows, gated, e, b->y, l->d);
    return st;
}

GLA_LAYER_DEFINE(ema, "org.example.ema/1", 1, "gated moving average (the plugin template)",
                 GLA_LAYER_MIXER | GLA_LAYER_DETERMINISTIC);
