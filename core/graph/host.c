/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/host.h"

#include <gla/status.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/parallel.h"
#include "graph/explain.h"
#include "graph/held.h"
#include "graph/validate.h"
#include "math/math.h"

static _Thread_local gla__bind_scope *scope;

static void host_log(const gla_host *h, int32_t level, const char *msg)
{
    gla__log_to(h->ctx, level, "%s", msg ? msg : "");
}

static void host_explain(const gla_host *h, const char *msg)
{
    (void)h;
    gla__host_explain("%s", msg ? msg : "");
}

static void *host_alloc(const gla_host *h, size_t bytes)
{
    (void)h;
    gla__validate_memory_asked("gla.host.alloc alloc()");
    return gla__held_alloc(bytes, gla__validate_caller());
}

static void host_free(const gla_host *h, void *p)
{
    (void)h;
    gla__validate_memory_asked("gla.host.alloc free()");
    gla__held_free(p);
}

static void host_for_range(const gla_host *h, uint32_t n, void (*fn)(void *arg, uint32_t i),
                           void *arg)
{
    (void)h;
    gla__parallel_for(n, fn, arg);
}

static uint32_t host_width(const gla_host *h)
{
    (void)h;
    return gla__parallel_width();
}

/* ---- linear maps, counted and shared ---- */

/* Not a view of its first rows. */
static bool same_tensor(const gla_tensor *a, const gla_tensor *b)
{
    return a && a->data == b->data && a->ndim == b->ndim &&
           !memcmp(a->dims, b->dims, a->ndim * sizeof(a->dims[0]));
}

/* The place in the scope for a map that is nothing but one shared tensor. */
static gla_linear **shared_place(const gla_linear_spec *spec)
{
    if (!scope || spec->n_parts != 1 || spec->groups > 1 || spec->transpose ||
        (spec->biases && spec->biases[0]))
        return NULL;
    for (uint32_t i = 0; i < scope->n_shared; i++)
        if (same_tensor(scope->shared[i].tensor, spec->weights[0]))
            return &scope->shared[i].linear;
    return NULL;
}

static gla_status host_linear_create(const gla_host *h, const gla_linear_spec *spec,
                                     gla_linear **out)
{
    gla_linear **place = shared_place(spec);
    gla_status st;

    *out = NULL;
    gla__validate_memory_asked("linear_create()");
    for (uint32_t i = 0; i < spec->n_parts; i++)
        gla__validate_weight_used(spec->weights[i]);
    if (place && *place) {
        *out = gla__linear_ref(*place);
        return GLA_OK;
    }
    st = gla__math_table()->linear_create(h, spec, out);
    if (st)
        return st;
    if (scope)
        scope->packed_bytes += gla__linear_bytes(*out);
    if (place)
        *place = *out;
    return GLA_OK;
}

static void host_linear_destroy(gla_linear *l)
{
    gla__validate_memory_asked("linear_destroy()");
    gla__math_table()->linear_destroy(l);
}

void gla__host_bind_scope(gla__bind_scope *s)
{
    scope = s;
}

/* ---- the table ---- */

#define TEXT(x)          #x
#define VERSION(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

static gla_math table;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    table = *gla__math_table();
    table.linear_create = host_linear_create;
    table.linear_destroy = host_linear_destroy;
}

static const void *host_extension(const gla_host *h, const char *id)
{
    static const gla_host_alloc alloc = {(uint32_t)sizeof(alloc), host_alloc, host_free};
    static const gla_host_parallel parallel = {(uint32_t)sizeof(parallel), host_for_range,
                                               host_width};

    (void)h;
    if (!id)
        return NULL;
    if (!strcmp(id, GLA_HOST_ALLOC_ID))
        return &alloc;
    if (!strcmp(id, GLA_HOST_PARALLEL_ID))
        return &parallel;
    if (!strcmp(id, GLA_HOST_MATH_ID)) {
        pthread_once(&table_once, make_table);
        return &table;
    }
    return NULL;
}

static const gla_host for_all = {
    .struct_size = (uint32_t)sizeof(for_all),
    .abi_major = GLA_ABI_MAJOR,
    .abi_minor = GLA_ABI_MINOR,
    .name = "gla",
    .version = VERSION(GLA_VERSION_MAJOR, GLA_VERSION_MINOR, GLA_VERSION_PATCH),
    .log = host_log,
    .explain = host_explain,
    .get_extension = host_extension};
static _Thread_local const gla_host *used_here;

const gla_host *gla__host(void)
{
    return used_here ? used_here : &for_all;
}

gla_host gla__host_of(const gla__logger *logger)
{
    gla_host host = for_all;

    host.ctx = (void *)(uintptr_t)logger;
    return host;
}

const gla_host *gla__host_use(const gla_host *host)
{
    const gla_host *before = used_here;

    used_here = host;
    return before;
}
