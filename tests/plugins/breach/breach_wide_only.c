/* SPDX-License-Identifier: Apache-2.0 */
/* no breach, but it takes whole vectors only */
#define IN_CREATE                                                                                  \
    if (l->d % 64)                                                                                 \
    return gla_host_fail(host, GLA_E_INVALID, "a multiple of 64 channels")
#include "breach.h"
