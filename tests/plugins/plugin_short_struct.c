/* SPDX-License-Identifier: Apache-2.0 */
#define ENTRY_SIZE 16
#include "misbehaving.h"
