/* SPDX-License-Identifier: Apache-2.0 */
#define TYPE_ID "Plugin"
#include "misbehaving.h"
