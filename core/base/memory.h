/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.h - how much memory the machine has
 */
#ifndef GLA_BASE_MEMORY_H
#define GLA_BASE_MEMORY_H

#include <stdint.h>

/* What weights or a session may take unless the caller says otherwise: 80 % of the machine's
 * memory.  UINT64_MAX when the system does not say how much that is. */
uint64_t gla__most_of_memory(void);

#endif
