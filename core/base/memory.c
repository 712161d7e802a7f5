/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <unistd.h>

uint64_t gla__most_of_memory(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    return pages > 0 && size > 0 ? (uint64_t)pages / 5 * 4 * (uint64_t)size : UINT64_MAX;
}
