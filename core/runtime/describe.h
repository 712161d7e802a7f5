/* SPDX-License-Identifier: Apache-2.0
 *
 * describe.h - the description of a program, for models and gla_describe()
 */
#ifndef GLA_RUNTIME_DESCRIBE_H
#define GLA_RUNTIME_DESCRIBE_H

#include <gla/model.h>

#include "graph/graph.h"

gla_status gla__describe_program(const gla__program *p, gla_description **out, gla_diag *diag);

#endif
