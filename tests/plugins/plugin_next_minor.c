/* SPDX-License-Identifier: Apache-2.0 */
/* A later minor: its batch has grown, which a host of today need not know. */
#define TYPE_ID     "test.next_minor/1"
#define ENTRY_MINOR (GLA_ABI_MINOR + 1)
#define BATCH_SIZE  (sizeof(gla_batch) + 8)
#include "misbehaving.h"
