/* SPDX-License-Identifier: Apache-2.0 */
#define TYPE_ID "gla.gla/1"
#include "misbehaving.h"
