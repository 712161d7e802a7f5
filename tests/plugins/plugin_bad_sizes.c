/* SPDX-License-Identifier: Apache-2.0 */
#define BATCH_SIZE 8
#include "misbehaving.h"
