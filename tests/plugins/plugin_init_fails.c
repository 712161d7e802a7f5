/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/blocks_v1_0.h"

static gla_status refuse(const gla_host *host)
{
    return gla_host_fail(host, GLA_E_UNSUPPORTED, "not on a Sunday");
}

#define INIT refuse
#include "misbehaving.h"
