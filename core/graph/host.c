/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/host.h"

#include <gla/status.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/parallel.h"
#include "graph/validate.h"
#include "math/math.h"

enum { EXPLAINED_BYTES = 256 };
static _Thread_local char explained[EXPLAINED_BYTES];
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
    return gla__alloc_zero(bytes);
}

static void host_free(const gla_host *h, void *p)
{
    (void)h;
    gla__validate_memory_asked("gla.host.alloc free()");
    gla__free(p);
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

/* A map that more than one layer holds. */
typedef struct holders {
    struct holders *next;
    gla_linear *linear;
    unsigned n;
} holders;

static pthread_mutex_t holders_lock = PTHREAD_MUTEX_INITIALIZER;
static holders *all_holders;

static gla_status add_holder(gla_linear *l)
{
    holders *h;

    pthread_mutex_lock(&holders_lock);
    for (h = all_holders; h && h->linear != l; h = h->next)
        ;
    if (!h) {
        h = gla__alloc_zero(sizeof(*h));
        if (h) {
            h->linear = l;
            h->n = 1; /* the first, who did not know */
            h->next = all_holders;
            all_holders = h;
        }
    }
    if (h)
        h->n++;
    pthread_mutex_unlock(&holders_lock);
    return h ? GLA_OK : GLA_E_NOMEM;
}

/* True if someone else still holds it. */
static bool drop_holder(gla_linear *l)
{
    holders **link, *gone = NULL;
    bool held = false;

    pthread_mutex_lock(&holders_lock);
    for (link = &all_holders; *link && (*link)->linear != l; link = &(*link)->next)
        ;
    if (*link) {
        held = true;
        if (--(*link)->n == 1) {
            gone = *link;
            *link = gone->next;
        }
    }
    pthread_mutex_unlock(&holders_lock);
    gla__free(gone);
    return held;
}

/* The place in the scope for a map that is nothing but one shared tensor. */
static gla_linear **shared_place(const gla_linear_spec *spec)
{
    if (!scope || spec->n_parts != 1 || spec->groups > 1 || spec->transpose ||
        (spec->biases && spec->biases[0]))
        return NULL;
    for (uint32_t i = 0; i < scope->n_shared; i++)
        if (scope->shared[i].data == spec->weights[0]->data)
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
        st = add_holder(*place);
        if (!st)
            *out = *place;
        return st;
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
    if (l && !drop_holder(l))
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

void gla__host_explain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(explained, sizeof(explained), format, args);
    va_end(args);
}

void gla__host_listen(void)
{
    explained[0] = '\0';
}

gla_status gla__host_failed(gla_status st, const char *function, gla_diag *diag)
{
    if (!strcmp(gla_status_name(st), "unknown")) {
        gla__fail(diag, GLA_E_PLUGIN, "%s() returned %d, which is no status", function, (int)st);
        return GLA_E_PLUGIN;
    }
    if (explained[0])
        return gla__fail(diag, st, "%s", explained);
    return gla__fail(diag, st, "%s() failed: %s", function, gla_status_text(st));
}
