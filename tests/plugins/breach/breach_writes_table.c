/* SPDX-License-Identifier: Apache-2.0 */
/* of use within a row only: no number shows it, until two threads are here */
#define IN_CREATE  l->own = (float *)gla_host_new(host, l->d * sizeof(float))
#define IN_DESTROY gla_host_delete(l->host, l->own), gla_host_delete(l->host, l)
#define STEP       l->own[i] = l->w[i] * x, h[i] = 0.9f * h[i] + l->own[i]
#include "breach.h"
