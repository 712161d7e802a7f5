/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/import/config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/text/json.h"

#define MAX_CONFIG (16u << 20) /* bytes; quantisation configs list every layer */
#define MAX_KEY    128
#define MAX_INDEX  (1u << 20)

struct gla__config {
    json_t *root;  /* owned */
    json_t *inner; /* looked into first; borrowed */
    json_t *read;  /* set of the top keys asked for, as an object */
    char *name;
    char keys[4][MAX_KEY]; /* of gla__config_key() */
    uint32_t next_key;
    bool no_memory;
    gla_diag error; /* status 0: none yet */
};

gla_status gla__config_parse(const char *json, size_t size, const char *name, gla__config **out,
                             gla_diag *diag)
{
    gla__config *c = gla__alloc_zero(sizeof(*c));
    gla_status st;

    *out = NULL;
    if (!c)
        return gla__fail_nomem(diag, "a config");
    gla__diag_clear(&c->error);
    st = gla__json_parse(json, size, MAX_CONFIG, name, &c->root, diag);
    if (st)
        goto fail;
    if (!json_is_object(c->root)) {
        st = gla__fail(diag, GLA_E_CORRUPT, "a config is a JSON object, this is something else");
        gla__at(diag, name);
        goto fail;
    }
    c->inner = c->root;
    c->read = json_object();
    c->name = gla__strdup(name);
    if (!c->read || !c->name) {
        st = gla__fail_nomem(diag, "a config");
        goto fail;
    }
    *out = c;
    return GLA_OK;

fail:
    gla__config_free(c);
    return st;
}

void gla__config_free(gla__config *c)
{
    if (!c)
        return;
    json_decref(c->root);
    json_decref(c->read);
    gla__free(c->name);
    gla__free(c);
}

gla_status gla__config_status(const gla__config *c, gla_diag *diag)
{
    if (c->no_memory)
        return gla__fail_nomem(diag, "reading the config");
    if (c->error.status && diag)
        *diag = c->error;
    return c->error.status;
}

void gla__config_enter(gla__config *c, const char *key)
{
    json_t *inner = json_object_get(c->root, key);

    if (json_is_object(inner))
        c->inner = inner;
}

/* ---- lookup ------------------------------------------------------------------ */

static json_t *step(json_t *value, const char *name)
{
    size_t i = 0;

    if (!json_is_array(value))
        return json_object_get(value, name);
    for (; *name >= '0' && *name <= '9' && i < MAX_INDEX; name++)
        i = 10 * i + (size_t)(*name - '0');
    return *name ? NULL : json_array_get(value, i);
}

/* One path from one object; NULL if absent. */
static json_t *follow(json_t *value, const char *path, size_t size)
{
    char name[MAX_KEY];

    while (value && size) {
        const char *dot = memchr(path, '.', size);
        const size_t n = dot ? (size_t)(dot - path) : size;

        if (n >= sizeof(name))
            return NULL;
        memcpy(name, path, n);
        name[n] = '\0';
        value = step(value, name);
        path += n + (dot != NULL);
        size -= n + (dot != NULL);
    }
    return value;
}

static void remember(gla__config *c, const char *path, size_t size)
{
    char name[MAX_KEY];
    const char *dot = memchr(path, '.', size);
    const size_t n = dot ? (size_t)(dot - path) : size;

    if (n >= sizeof(name))
        return;
    memcpy(name, path, n);
    name[n] = '\0';
    if (json_object_set_new(c->read, name, json_null()))
        c->no_memory = true;
}

/* The first alternative of "a|b.c" that is present, and its name in `found`. */
static json_t *find(gla__config *c, const char *key, char found[MAX_KEY])
{
    json_t *value = NULL;

    found[0] = '\0';
    for (const char *p = key; *p;) {
        const size_t n = strcspn(p, "|");

        remember(c, p, n);
        if (!value) {
            value = follow(c->inner, p, n);
            if (!value && c->inner != c->root)
                value = follow(c->root, p, n);
            if (json_is_null(value))
                value = NULL;
            if (value || !found[0])
                snprintf(found, MAX_KEY, "%.*s", (int)n, p);
        }
        p += n + (p[n] == '|');
    }
    return value;
}

/* ---- errors -------------------------------------------------------------------- */

typedef struct cut_text {
    char *buf;
    size_t size, used;
} cut_text;

static int append(const char *bytes, size_t n, void *arg)
{
    cut_text *t = arg;

    if (n > t->size - t->used)
        n = t->size - t->used;
    memcpy(t->buf + t->used, bytes, n);
    t->used += n;
    return 0;
}

/* The value as JSON, cut to what fits a message. */
static void describe(const json_t *value, char *buf, size_t size)
{
    cut_text t = {buf, size - 1, 0};

    if (!value) {
        snprintf(buf, size, "not given");
        return;
    }
    if (json_dump_callback(value, append, &t,
                           JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII |
                               JSON_REAL_PRECISION(9)))
        t.used = 0;
    if (t.used == t.size)
        memcpy(buf + t.size - 4, " ...", 4);
    buf[t.used] = '\0';
}

__attribute__((format(printf, 4, 5))) static void fail(gla__config *c, const char *key,
                                                       const json_t *value, const char *format, ...)
{
    char why[192], given[96];
    va_list args;

    if (c->error.status)
        return;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    describe(value, given, sizeof(given));
    gla__fail(&c->error, GLA_E_UNSUPPORTED, "%s: %s", given, why);
    gla__at(&c->error, key);
    gla__at(&c->error, c->name);
}

void gla__config_refuse(gla__config *c, const char *key, const char *why)
{
    char found[MAX_KEY];
    const json_t *value = find(c, key, found);

    fail(c, found, value, "%s", why);
}

void gla__config_only(gla__config *c, const char *key, const char *const *values)
{
    char found[MAX_KEY], all[128] = "";
    const json_t *value = find(c, key, found);
    const char *text = json_string_value(value);
    size_t used = 0;

    if (!value)
        return;
    for (uint32_t i = 0; values[i]; i++) {
        if (text && !strcmp(text, values[i]))
            return;
        if (used < sizeof(all))
            used +=
                (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", values[i]);
    }
    fail(c, found, value, "not supported; what is: %s", all);
}

void gla__config_not(gla__config *c, const char *key)
{
    if (gla__config_bool(c, key, false))
        gla__config_refuse(c, key, "not supported");
}

void gla__config_ignore(gla__config *c, const char *keys)
{
    char found[MAX_KEY];

    (void)find(c, keys, found);
}

/* ---- getters --------------------------------------------------------------------- */

bool gla__config_has(gla__config *c, const char *key)
{
    char found[MAX_KEY];

    return find(c, key, found) != NULL;
}

bool gla__config_is_null(gla__config *c, const char *key)
{
    remember(c, key, strlen(key));
    return json_is_null(follow(c->inner, key, strlen(key)));
}

bool gla__config_is(gla__config *c, const char *key, const char *text)
{
    char found[MAX_KEY];
    const char *given = json_string_value(find(c, key, found));

    return given && !strcmp(given, text);
}

static bool number_of(const json_t *value, double *out)
{
    const char *special = json_string_value(json_object_get(value, "__float__"));

    if (json_is_number(value)) {
        *out = json_number_value(value);
        return true;
    }
    if (!special)
        return false;
    *out = !strcmp(special, "Infinity")    ? INFINITY
           : !strcmp(special, "-Infinity") ? -INFINITY
                                           : NAN;
    return !isnan(*out);
}

int64_t gla__config_int(gla__config *c, const char *key, int64_t def, int64_t min, int64_t max)
{
    char found[MAX_KEY];
    const json_t *value = find(c, key, found);
    double x;

    if (!value)
        return def;
    if (!number_of(value, &x) || x != floor(x)) {
        fail(c, found, value, "expected a whole number");
        return def;
    }
    if (x < (double)min || x > (double)max) {
        fail(c, found, value, "expected a number between %" PRId64 " and %" PRId64, min, max);
        return def;
    }
    return json_is_integer(value) ? json_integer_value(value) : (int64_t)x;
}

double gla__config_float(gla__config *c, const char *key, double def)
{
    char found[MAX_KEY];
    const json_t *value = find(c, key, found);
    double x;

    if (!value)
        return def;
    if (!number_of(value, &x)) {
        fail(c, found, value, "expected a number");
        return def;
    }
    return x;
}

bool gla__config_bool(gla__config *c, const char *key, bool def)
{
    char found[MAX_KEY];
    const json_t *value = find(c, key, found);

    if (!value)
        return def;
    if (!json_is_boolean(value)) {
        fail(c, found, value, "expected true or false");
        return def;
    }
    return json_is_true(value);
}

const char *gla__config_string(gla__config *c, const char *key, const char *def)
{
    char found[MAX_KEY];
    const json_t *value = find(c, key, found);

    if (!value)
        return def;
    if (!json_is_string(value)) {
        fail(c, found, value, "expected a string");
        return def;
    }
    return json_string_value(value);
}

uint32_t gla__config_length(gla__config *c, const char *key)
{
    char found[MAX_KEY];
    const json_t *value = find(c, key, found);
    const size_t n = json_array_size(value);

    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

uint32_t gla__config_list(gla__config *c, const char *key, double *out, uint32_t max)
{
    char found[MAX_KEY];
    const json_t *value = find(c, key, found), *item;
    size_t i;

    if (!value)
        return 0;
    if (!json_is_array(value) || json_array_size(value) > max) {
        fail(c, found, value, "expected a list of at most %" PRIu32 " numbers", max);
        return 0;
    }
    json_array_foreach(value, i, item)
    {
        if (!number_of(item, &out[i])) {
            fail(c, found, item, "expected a number");
            return 0;
        }
    }
    return (uint32_t)json_array_size(value);
}

const char *gla__config_key(gla__config *c, const char *format, ...)
{
    char *key = c->keys[c->next_key++ % 4];
    va_list args;

    va_start(args, format);
    vsnprintf(key, MAX_KEY, format, args);
    va_end(args);
    return key;
}

const char *gla__config_unread(const gla__config *c, uint32_t *cursor)
{
    const char *key;
    json_t *value;
    uint32_t i = 0;

    json_object_foreach(c->inner, key, value)
    {
        if (i++ < *cursor)
            continue;
        *cursor = i;
        if (!json_object_get(c->read, key))
            return key;
    }
    return NULL;
}
