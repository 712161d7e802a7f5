/* SPDX-License-Identifier: Apache-2.0 */
/* what belongs to a sequence is kept in the layer */
#define FLAGS      0
#define IN_CREATE  l->own = (float *)gla_host_new(host, l->d * sizeof(float))
#define IN_DESTROY gla_host_delete(l->host, l->own), gla_host_delete(l->host, l)
#define STEP       l->own[i] = 0.9f * l->own[i] + l->w[i] * x, h[i] = l->own[i]
#include "breach.h"
