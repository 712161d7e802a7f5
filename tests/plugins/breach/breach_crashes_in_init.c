/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/plugin.h>
static gla_status init(const gla_host *host)
{
    *(volatile int *)(uintptr_t)8 = host != NULL;
    return GLA_OK;
}
#define INIT init
#include "breach.h"
