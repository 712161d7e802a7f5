/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/plugin.h>

static gla_status forward(const gla_layer *l, const gla_batch *b);

static gla_status refuse_none(const gla_layer *l, const gla_batch *b)
{
    return b->n_rows ? forward(l, b) : GLA_E_INVALID;
}

#define FORWARD refuse_none
#include "breach.h"
