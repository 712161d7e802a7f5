/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
__attribute__((constructor)) static void begin(void)
{
    abort();
}
#include "breach.h"
