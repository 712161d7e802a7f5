/* SPDX-License-Identifier: Apache-2.0
 *
 * ema.c - a mixer to copy: a gated moving average of the past, one learned decay per channel
 *
 *   u = Wu x,  a = sigmoid(decay)
 *   h = a h + (1 - a) u                     state, [E]
 *   y = Wo ( h * act(Wg x) )
 *
 * D model, E = expand * D channels.  This file needs gla/blocks.h, gla/plugin.h and gla/types.h and
 * nothing else; README.md beside it says how to build and load it.
 */
#include <gla/blocks.h>

/* What a user may write under `mixer: {type: org.example.ema, ...}`. */
enum { P_EXPAND, P_ACTIVATION };
static const gla_param_desc params[] = {
    [P_EXPAND] = GLA_P_FLOAT("expand", 1, 0.0625, 16, "channels of the average per model channel"),
    [P_ACTIVATION] = GLA_P_ENUM("activation", GLA_ACT_SILU, gla_activation_names, "of the gate")};

/* The host allocates it, fills in what make() declared when the weights are there, and frees it. */
struct gla_layer {
    uint32_t e;
    uint32_t s_average, t_gated; /* state and scratch, by declared index */
    gla_in in;                   /* u and gate, side by side */
    const float *log_decay;      /* [E]: log a */
    const float *write;          /* [E]: 1 - a = sigmoid(-decay) */
    gla_out out;
};

enum { U, GATE, N_IN };

/* Dimensions and declarations; no weights yet.  The first error sticks and is the host's to report. */
static gla_status make(gla_layer *l, const gla_layer_config *c)
{
    l->e = (uint32_t)(c->params[P_EXPAND].f * c->d_in);
    if (!l->e)
        return gla_host_fail(c->host, GLA_E_INVALID, "expand is too small: no channels are left");

    const gla_in_part parts[] = {[U] = {"u_proj", l->e}, [GATE] = {"g_proj", l->e}};
    const gla_init memory = {sizeof(memory), GLA_INIT_UNIFORM, 1, 5, 0}; /* a from 0.73 to 0.993 */

    gla_in_declare(c, &l->in, parts, N_IN, NULL);
    gla_declare_derived(c, "decay", l->e, GLA_ACT_LOG_SIGMOID, 1, &memory, &l->log_decay);
    gla_declare_affine(c, "decay", l->e, GLA_ACT_SIGMOID, -1, 1, &memory, &l->write);
    gla_out_declare(c, &l->out, "o_proj", l->e, 0, NULL, NULL);
    l->out.norm.gate_activation = gla_u32(&c->params[P_ACTIVATION]);
    l->s_average = gla_declare_fixed(c, "h", l->e, 0, 0, 3.0 * l->e);
    l->t_gated = gla_declare_rows(c, l->e);
    return GLA_OK;
}

/* All rows of all sequences; the table's functions know where each sequence begins and where its
 * state lies.  After an error they do nothing and return it. */
static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    const gla_math *m = b->math;
    float *x[N_IN], *h = b->scratch[l->t_gated];
    const size_t ld = gla_in_run(m, b, &l->in, x);
    const gla_scan scan = {.struct_size = (uint32_t)sizeof(scan),
                           .state = l->s_average,
                           .width = l->e,
                           .log_decay = l->log_decay,
                           .ld_decay = 0, /* the same row for every token */
                           .x = x[U],
                           .ld_x = ld,
                           .y = h,
                           .ld_y = l->e};

    m->scale_channels(b, l->write, b->n_rows, l->e, x[U], ld);
    m->scan(b, &scan);
    return gla_out_run(m, b, &l->out, h, x[GATE], ld);
}

GLA_LAYER_DEFINE(ema, "org.example.ema/1", 1, "gated moving average (the plugin template)",
                 .flags = GLA_LAYER_MIXER | GLA_LAYER_DETERMINISTIC);
