/* SPDX-License-Identifier: Apache-2.0 */
#define ENTRY_MAGIC 7
#include "misbehaving.h"
