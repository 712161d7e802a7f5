/* SPDX-License-Identifier: Apache-2.0
 *
 * toy_layers.h - layers so simple that a whole model can be worked out by hand
 *
 *   test.tokens   embedding   y = token id in every channel
 *   test.scale    any place   y = factor * x          (factor: parameter)
 *   test.sum      mixer       y = x + all rows of this sequence before; state [D]
 *   test.readout  head        logit n = x[n mod D] * (n + 1)
 *   test.share    mixer       first of its name writes its rows, the others read them; y = the rows
 *   test.params   ffn         one parameter of each kind; copies what it got to toy_params
 *   test.weights  ffn         y = x * weight + bias; vectors [D]
 *   test.careless mixer       y = the row before, state [D]; fails on token 9 but returns GLA_OK
 */
#ifndef GLA_TESTS_TOY_LAYERS_H
#define GLA_TESTS_TOY_LAYERS_H

#include <gla/gla.h>
#include <gla/plugin.h>

extern const gla_plugin_entry gla_plugin_entry_v1_toy;

/* The last test.params made. */
typedef struct toy_param_values {
    gla_param_value values[5];
    double list[8];
} toy_param_values;
extern toy_param_values toy_params;

/* Registry with the built-in layers and these. */
gla_registry *toy_registry(void);
/* YAML of a model of these layers: vocabulary 10, D 4; `blocks` and `layers` are given. */
gla_arch *toy_arch(const char *blocks, const char *layers);

#endif
