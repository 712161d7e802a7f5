/* SPDX-License-Identifier: Apache-2.0 */
#define FORWARD NULL
#include "misbehaving.h"
