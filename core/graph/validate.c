/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/validate.h"

#include <gla/gla.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "graph/explain.h"

/* ---- the switch ---- */

static atomic_int wanted = -1; /* -1: the environment has not been asked */

void gla_set_validate(int on)
{
    atomic_store(&wanted, on != 0);
}

bool gla__validating(void)
{
    int on = atomic_load(&wanted);

    if (on < 0) {
        const char *text = getenv("GLA_VALIDATE");

        on = text && !strcmp(text, "1");
        if (text && *text && !on && strcmp(text, "0") != 0)
            gla__log(GLA_LOG_WARN, "GLA_VALIDATE=%s is neither 0 nor 1: nothing is checked", text);
        atomic_store(&wanted, on);
    }
    return on;
}

/* ---- the call that runs ---- */

/* One at a time: calls of plugins hold the lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(const char *) caller;
static char now[256];          /* "layers.0.mixer (org.example.ema/1): forward()" */
static atomic_bool in_call;    /* now[] is true */
static atomic_bool in_forward; /* memory may not be asked for */
static atomic_bool was_breach; /* breach[] has the first one */
static char breach[256];
static const char *no_weights; /* bind(): the first tensor that was not declared */
static size_t weight_size;     /* bind(): bytes of a tensor, as the plugin was compiled */
static uint32_t n_weights;     /* bind(): declared */

const char *gla_validate_now(void)
{
    return atomic_load(&in_call) ? now : "";
}

void gla__validate_enter(const char *name, const char *type_id, const char *function)
{
    if (!gla__validating())
        return;
    pthread_mutex_lock(&lock);
    snprintf(now, sizeof(now), "%s (%s): %s()", name, type_id, function);
    atomic_store(&caller, name);
    atomic_store(&was_breach, false);
    atomic_store(&in_forward, !strcmp(function, "forward"));
    atomic_store(&in_call, true);
}

gla_status gla__validate_leave(gla_status returned)
{
    if (!atomic_load(&in_call))
        return returned;
    atomic_store(&in_call, false);
    atomic_store(&in_forward, false);
    atomic_store(&caller, NULL);
    no_weights = NULL;
    if (atomic_load(&was_breach)) {
        gla__host_explain("%s", breach);
        returned = GLA_E_PLUGIN;
    }
    pthread_mutex_unlock(&lock);
    return returned;
}

const char *gla__validate_caller(void)
{
    return atomic_load(&caller);
}

void gla__validate_memory_asked(const char *service)
{
    if (!atomic_load(&in_forward) || atomic_exchange(&was_breach, true))
        return;
    snprintf(breach, sizeof(breach),
             "forward() calls %s: nothing may be allocated or freed while a batch runs; declare "
             "scratch, or what is made of weights, before",
             service);
}

void gla__validate_weights_end(const void *end, size_t size, uint32_t n)
{
    no_weights = end;
    weight_size = size;
    n_weights = n;
}

void gla__validate_weight_used(const gla_tensor *weight)
{
    const char *at = (const char *)weight;

    if (!no_weights || at < no_weights || at >= no_weights + GLA_MAX_PARTS * weight_size ||
        atomic_exchange(&was_breach, true))
        return;
    snprintf(
        breach, sizeof(breach),
        "bind() uses weights[%zu], create() declared %u: use the numbers that the functions of "
        "gla_declare return",
        n_weights + (size_t)(at - no_weights) / weight_size, (unsigned)n_weights);
}
