/* SPDX-License-Identifier: Apache-2.0
 *
 * inspect.h - what the parts of gla-inspect share
 *
 *     gla-inspect.c      a model: its layers, what it costs
 *     inspect_layers.c   what there is to make models of: layer types and their parameters
 */
#ifndef GLA_INSPECT_H
#define GLA_INSPECT_H

#include "cli/cli.h"

/* --layers (type NULL) and --layer TYPE; the exit status. */
int inspect_layers(const char *type);

#endif
