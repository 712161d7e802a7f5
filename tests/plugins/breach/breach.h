/* SPDX-License-Identifier: Apache-2.0
 *
 * breach.h - a good layer that runs, for plugins that break the contract in one place
 *
 *     h = 0.9 h + w x,  y = h          state h [D], weight w [D], scratch [rows, D]
 *
 * Each plugin of this folder defines the macro of the place where it goes wrong and includes this
 * file; tests/cli/check_plugin.sh knows what gla-check must say of it.
 */
#ifndef GLA_TESTS_PLUGINS_BREACH_H
#define GLA_TESTS_PLUGINS_BREACH_H

#include "../../support/blocks_v1_0.h"

#ifndef SCRATCH_NUMBERS
#define SCRATCH_NUMBERS(d) (d)
#endif
#ifndef STATE_NUMBERS
#define STATE_NUMBERS(d) (d)
#endif
#ifdef NO_PLACE
#define PLACE 0
#else
#define PLACE GLA_LAYER_MIXER
#endif
#ifndef FLAGS
#define FLAGS GLA_LAYER_DETERMINISTIC
#endif
#ifndef IN_CREATE /* has host, cfg, l */
#define IN_CREATE
#endif
#ifndef IN_BIND /* has l, weights */
#define IN_BIND
#endif
#ifndef IN_DESTROY /* has l */
#define IN_DESTROY gla_host_delete(l->host, l)
#endif
#ifndef BEFORE_FORWARD /* has l, b, h [D], t [rows, D] */
#define BEFORE_FORWARD
#endif
#ifndef STEP /* of one number: has also x, and i, r, n: channel, row of the sequence, its rows */
#define STEP h[i] = 0.9f * h[i] + l->w[i] * x
#endif
#ifndef OUTPUT
#define OUTPUT(y, value) y = value
#endif
#ifndef AFTER_FORWARD
#define AFTER_FORWARD
#endif
#ifndef FIRST_ROW
#define FIRST_ROW(b, s) (b)->row_offset[s]
#endif
#ifndef FORWARD
#define FORWARD forward
#endif
#ifndef INIT
#define INIT NULL
#endif

struct gla_layer {
    const gla_host *host;
    uint32_t d, rows;
    const float *w;
    float *own;
    gla_linear *linear;
};

static gla_status create(const gla_host *host, const gla_layer_config *cfg, gla_layer **out)
{
    gla_layer *l = *out = (gla_layer *)gla_host_new(host, sizeof(*l));

    if (!l)
        return GLA_E_NOMEM;
    l->host = host;
    l->d = cfg->d_in;
    gla_declare_vector(cfg, "w", l->d);
    gla_declare_fixed(cfg, "h", STATE_NUMBERS(l->d), 0, 0, 2.0 * l->d);
    gla_declare_rows(cfg, SCRATCH_NUMBERS(l->d));
    IN_CREATE;
    return GLA_OK;
}

static void destroy(gla_layer *l)
{
    if (l) {
        IN_DESTROY;
    }
}

static gla_status bind(gla_layer *l, const gla_tensor *weights)
{
    l->w = (const float *)weights[0].data;
    IN_BIND;
    return GLA_OK;
}

static gla_status forward(const gla_layer *l, const gla_batch *b)
{
    float *t = b->scratch[0]; /* [rows, D] */
    const uint32_t d = l->d;

    for (uint32_t s = 0; s < b->n_sequences; s++) {
        const uint32_t first = FIRST_ROW(b, s), n = b->row_offset[s + 1] - first;
        float *h = gla_state_f32(b, s, 0);

        BEFORE_FORWARD;
        for (uint32_t r = 0; r < n; r++)
            for (uint32_t i = 0; i < d; i++) {
                const size_t at = (size_t)(first + r) * d + i;
                const float x = b->x[at];

                STEP;
                t[at] = h[i];
            }
        for (size_t at = (size_t)first * d; at < (size_t)(first + n) * d; at++)
            OUTPUT(b->y[at], t[at]);
        AFTER_FORWARD;
    }
    return GLA_OK;
}

static const gla_param_desc params[] = {GLA_P_BOOL("nothing", 0, "changes nothing")};
static const gla_layer_desc desc = {(uint32_t)sizeof(desc),
                                    1,
                                    "test.breach/1",
                                    "breaks its contract",
                                    PLACE | FLAGS,
                                    params,
                                    1,
                                    0,
                                    create,
                                    destroy,
                                    bind,
                                    FORWARD,
                                    NULL};
static const gla_layer_desc *const layers[] = {&desc};
GLA_PLUGIN_DEFINE(breach, "1.0", "Apache-2.0", INIT, NULL, layers);

#endif
