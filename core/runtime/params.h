/* SPDX-License-Identifier: Apache-2.0
 *
 * params.h - what arch.yaml says about a layer -> the values its create() gets
 */
#ifndef GLA_RUNTIME_PARAMS_H
#define GLA_RUNTIME_PARAMS_H

#include <gla/arch.h>
#include <gla/plugin.h>

/* Every parameter of the layer is given, in the order of its table; errors have the line and
 * column of the architecture.  *values is released with gla__free(); lists point into `layer`. */
gla_status gla__params_resolve(const gla_layer_desc *desc, const gla_arch_layer *layer,
                               gla_param_value **values, gla_diag *diag);
/* Index of a parameter in the layer's table, UINT32_MAX if it has none of this name. */
uint32_t gla__param_index(const gla_layer_desc *desc, const char *name);

#endif
