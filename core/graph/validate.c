/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/validate.h"

#include <gla/gla.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "graph/host.h"

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
static char now[256];          /* "layers.0.mixer (org.example.ema/1): forward()" */
static atomic_bool in_call;    /* now[] is true */
static atomic_bool in_forward; /* memory may not be asked for */
static atomic_bool was_breach; /* breach[] has the first one */
static char breach[256];
static const gla_tensor *no_weights; /* bind(): the first tensor that was not declared */
static uint32_t n_weights;           /* bind(): declared */

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
    no_weights = NULL;
    if (atomic_load(&was_breach)) {
        gla__host_explain("%s", breach);
        returned = GLA_E_PLUGIN;
    }
    pthread_mutex_unlock(&lock);
    return returned;
}

void gla__validate_memory_asked(const char *service)
{
    if (!atomic_load(&in_forward) || atomic_exchange(&was_breach, true))
        return;
    snprintf(breach, sizeof(breach),
             "forward() calls %s: nothing may be allocated or freed while a batch runs; declare "
             "scratch in create() or make it in bind()",
             service);
}

void gla__validate_weight_used(const gla_tensor *weight)
{
    if (!no_weights || weight < no_weights || weight >= no_weights + GLA_MAX_PARTS ||
        atomic_exchange(&was_breach, true))
        return;
    snprintf(breach, sizeof(breach),
             "bind() uses weights[%u], create() declared %u: use the numbers that the functions of "
             "gla_declare return",
             (unsigned)(n_weights + (uint32_t)(weight - no_weights)), (unsigned)n_weights);
}

/* ---- bind ---- */

static uint64_t vectors_hash(const gla__instance *in)
{
    uint64_t hash = 1;

    for (uint32_t i = 0; i < in->n_weights; i++)
        if (in->vectors[i]) {
            const gla_weight_desc *w = &in->weights[i];

            hash = XXH3_64bits_withSeed(in->vectors[i],
                                        gla__n_elements(w->ndim, w->dims) * sizeof(float), hash);
        }
    return hash | 1; /* 0: not known */
}

bool gla__validate_vectors_kept(const gla__instance *in)
{
    return !in->vectors_hash || in->vectors_hash == vectors_hash(in);
}

/* Weights that were not declared: numbers that show wherever they get to. */
enum { NOT_DECLARED = 4096 };
static float not_declared[NOT_DECLARED];

gla_status gla__validate_bind(gla__instance *in, const gla_tensor *weights)
{
    gla_tensor *padded = gla__alloc_array(in->n_weights + (size_t)GLA_MAX_PARTS, sizeof(*padded));
    gla_status st;

    if (!padded)
        return GLA_E_NOMEM;
    in->exact = true;
    for (uint32_t i = 0; i < in->n_weights; i++) {
        padded[i] = weights[i];
        in->exact = in->exact && weights[i].dtype == GLA_DTYPE_F32;
    }
    gla__validate_enter(in->name, in->desc->type_id, "bind");
    memset(not_declared, 0xff, sizeof(not_declared));
    for (uint32_t i = 0; i < GLA_MAX_PARTS; i++)
        padded[in->n_weights + i].data = not_declared;
    no_weights = padded + in->n_weights;
    n_weights = in->n_weights;
    in->vectors_hash = vectors_hash(in);
    st = gla__validate_leave(in->desc->bind(in->layer, padded));
    gla__free(padded);
    if (!st && !gla__validate_vectors_kept(in)) {
        gla__host_explain("bind() writes to the weights it was given: they are read only; copy "
                          "them into memory of gla.host.alloc");
        st = GLA_E_PLUGIN;
    }
    return st;
}
