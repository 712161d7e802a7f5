/* SPDX-License-Identifier: Apache-2.0 */
#define DESC_SIZE 24
#include "misbehaving.h"
