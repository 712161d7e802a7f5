/* SPDX-License-Identifier: Apache-2.0 */
#define IN_CREATE  l->own = (float *)gla_host_new(host, 64)
#define IN_DESTROY gla_host_delete(l->host, l->own), gla_host_delete(l->host, l)
#include "breach.h"
