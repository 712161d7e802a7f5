/* SPDX-License-Identifier: Apache-2.0
 *
 * grow.c SOURCE_DIR - structs of a program that is older or newer than the library
 *
 * Linked against the shared library.  Every struct lies at the end of a page with nothing after it,
 * so that one byte read or written too much ends the program.  A struct of version 0.1 is taken; a
 * longer one as well, as long as what the library does not know of it is zero.
 */
#include <gla/gla.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "structs_v0_1.h"

#define SIZE(type, size) enum { size_v0_1_##type = (size) }
STRUCT_SIZES_V0_1(SIZE)

enum { VOCABULARY = 16, FUTURE = 8 }; /* bytes that a later version has more */

static gla_diag diag;
static gla_arch *arch;
static gla_model *model;
static gla_session *session;
static gla_chat_template *chat;
static char weights[1024], config[1024];

static void check(int good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "grow: %s: %s: %s\n", what, diag.where, diag.message);
    exit(1);
}

/* n bytes of value at the end of memory. */
static void *at_the_end(size_t n, int value)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    check(p != MAP_FAILED && n <= page && !mprotect(p + page, page, PROT_NONE), "memory");
    return memset(p + page - n, value, n);
}

/* ---- what a program fills in ---- */

static gla_status use_registry(const void *o)
{
    gla_registry *r;
    const gla_status st = gla_registry_create(o, &r, &diag);

    if (!st)
        gla_registry_free(r);
    return st;
}

static gla_status use_model(const void *o)
{
    gla_model *m;
    const gla_status st = gla_model_random(arch, o, &m, &diag);

    gla_model_free(m);
    return st;
}

static gla_status use_limits(const void *o)
{
    gla_weights *w;
    const gla_status st = gla_weights_open(weights, o, &w, &diag);

    gla_weights_free(w);
    return st;
}

static gla_status use_limits_of_model(const void *o)
{
    const gla_model_options options = {GLA_SIZED(gla_model_options), .limits = o};

    return use_model(&options);
}

static gla_status use_session(const void *o)
{
    gla_session *s;
    const gla_status st = gla_session_create(model, o, &s, &diag);

    gla_session_free(s);
    return st;
}

static gla_status use_sampler(const void *o)
{
    gla_sampler *s;
    const gla_status st = gla_sampler_create(o, VOCABULARY, &s, &diag);

    gla_sampler_free(s);
    return st;
}

static gla_status use_convert(const void *o)
{
    gla_arch *a;
    const gla_status st = gla_convert_config(config, &a, o, &diag);

    gla_arch_free(a);
    return st;
}

/* What becomes of a struct of n bytes that says it has `said`, all zero but for the last. */
static gla_status with_size(gla_status (*use)(const void *), size_t n, uint32_t said, char last)
{
    char *o = at_the_end(n, 0);

    o[n - 1] = last;
    memcpy(o, &said, sizeof(said));
    return use(o);
}

static void check_options(const char *name, gla_status (*use)(const void *), uint32_t first,
                          uint32_t today)
{
    check(!use(NULL), name);
    check(!with_size(use, first, first, 0), name);
    check(!with_size(use, today, today, 0), name);
    check(!with_size(use, today + FUTURE, today + FUTURE, 0), name);
    check(with_size(use, today + FUTURE, today + FUTURE, 1) == GLA_E_UNSUPPORTED, name);
    check(strstr(diag.message, name) && strstr(diag.message, "is set"), name);
    check(with_size(use, first, first - 1, 0) == GLA_E_INVALID, name);
    check(strstr(diag.message, name) && strstr(diag.hint, "GLA_SIZED"), name);
    check(with_size(use, first, 0, 0) == GLA_E_INVALID, name);
    check(with_size(use, first, UINT32_MAX, 0) == GLA_E_INVALID, name);
    printf("%s: taken from %u bytes on\n", name, first);
}

#define CHECK_OPTIONS(type, use) check_options(#type, use, size_v0_1_##type, sizeof(type))

/* ---- arrays ---- */

static gla_status use_items(const void *items, size_t item_size)
{
    return gla_feed(items, 2, item_size, NULL, NULL, &diag);
}

static gla_status use_messages(const void *messages, size_t message_size)
{
    char *text;
    size_t size;
    const gla_status st =
        gla_chat_template_render(chat, messages, 2, message_size, 0, NULL, &text, &size, &diag);

    check(st || !strcmp(text, "one,two,"), "the text of two messages");
    gla_text_free(text);
    return st;
}

/* Two elements of n bytes that begin with those of a and b; the last byte of all is `last`. */
static gla_status with_stride(gla_status (*use)(const void *, size_t), const void *a, const void *b,
                              size_t known, size_t n, char last)
{
    char *array = at_the_end(2 * n, 0);

    memcpy(array, a, n < known ? n : known);
    memcpy(array + n, b, n < known ? n : known);
    if (last)
        array[2 * n - 1] = last;
    return use(array, n);
}

static void check_array(const char *name, gla_status (*use)(const void *, size_t), const void *a,
                        const void *b, size_t first, size_t today)
{
    check(!with_stride(use, a, b, today, first, 0), name);
    check(!with_stride(use, a, b, today, today + FUTURE, 0), name);
    check(with_stride(use, a, b, today, today + FUTURE, 1) == GLA_E_UNSUPPORTED, name);
    check(with_stride(use, a, b, today, first - sizeof(void *), 0) == GLA_E_INVALID, name);
    printf("%s: elements of %zu bytes on\n", name, first);
}

/* ---- what the library fills in ---- */

static void fill_model_memory(void *out, size_t size)
{
    gla_model_memory(model, out, size);
}

static void fill_session_memory(void *out, size_t size)
{
    gla_session_memory(session, out, size);
}

static void fill_description_session(void *out, size_t size)
{
    gla_description_session(gla_model_description(model), 100, GLA_DTYPE_F32, 0, out, size);
}

static void fill_snapshots(void *out, size_t size)
{
    gla_session_snapshots(session, out, size);
}

static void fill_model_stats(void *out, size_t size)
{
    gla_model_cache_stats(model, out, size);
}

static void fill_session_stats(void *out, size_t size)
{
    gla_session_cache_stats(session, out, size);
}

/* A shorter struct has the beginning of what a longer one has, and that has zeros behind it. */
static void check_result(const char *name, void (*fill)(void *, size_t), size_t first, size_t today)
{
    static const char zeros[FUTURE];
    char *whole = at_the_end(today, 'x'), *early = at_the_end(first, 'x');
    char *late = at_the_end(today + FUTURE, 'x'), *some = at_the_end(first - 8, 'x');

    fill(whole, today);
    fill(early, first);
    fill(late, today + FUTURE);
    fill(some, first - 8);
    check(!memcmp(early, whole, first) && !memcmp(late, whole, today), name);
    check(!memcmp(late + today, zeros, FUTURE) && !memcmp(some, whole, first - 8), name);
    printf("%s: given from %zu bytes on\n", name, first);
}

#define CHECK_RESULT(type, fill) check_result(#fill, fill, size_v0_1_##type, sizeof(type))

int main(int argc, char **argv)
{
    static const char text[] =
        "gla: 1\nname: x\nvocab_size: 16\nd_model: 8\n"
        "blocks: {a: {mixer: {type: gla, heads: 1}}}\nlayers: {pattern: [a]}\n";
    static const char jinja[] = "{% for m in messages %}{{ m.content }},{% endfor %}";
    const int32_t tokens[] = {1, 2, 3};
    const gla_chat_message one = {"user", "one"}, two = {"assistant", "two"};
    gla_feed_item a = {.tokens = tokens, .n_tokens = 3, .flags = GLA_FEED_LOGITS}, b = a;
    gla_session *other;

    if (argc != 2)
        return 2;
    snprintf(weights, sizeof(weights), "%s/models/tiny-hybrid/weights.glaw", argv[1]);
    snprintf(config, sizeof(config), "%s/tests/reference/gla/config.json", argv[1]);
    check(!gla_arch_parse(text, sizeof(text) - 1, "text", &arch, &diag), "arch");
    check(!gla_model_random(arch, NULL, &model, &diag), "model");
    check(!gla_session_create(model, NULL, &session, &diag), "session");
    check(!gla_session_create(model, NULL, &other, &diag), "session");
    check(!gla_chat_template_parse(jinja, sizeof(jinja) - 1, "text", NULL, NULL, &chat, &diag),
          "template");

    CHECK_OPTIONS(gla_registry_options, use_registry);
    CHECK_OPTIONS(gla_model_options, use_model);
    CHECK_OPTIONS(gla_limits, use_limits);
    CHECK_OPTIONS(gla_limits, use_limits_of_model);
    CHECK_OPTIONS(gla_session_options, use_session);
    CHECK_OPTIONS(gla_sampler_options, use_sampler);
    CHECK_OPTIONS(gla_convert_options, use_convert);

    a.session = session;
    b.session = other;
    check_array("gla_feed_item", use_items, &a, &b, size_v0_1_gla_feed_item, sizeof(a));
    check(gla_session_position(other) == 6 && gla_session_logits(other), "both were fed twice");
    check_array("gla_chat_message", use_messages, &one, &two, size_v0_1_gla_chat_message,
                sizeof(one));

    CHECK_RESULT(gla_memory, fill_model_memory);
    CHECK_RESULT(gla_memory, fill_session_memory);
    CHECK_RESULT(gla_memory, fill_description_session);
    CHECK_RESULT(gla_snapshot_info, fill_snapshots);
    CHECK_RESULT(gla_cache_stats, fill_model_stats);
    CHECK_RESULT(gla_cache_stats, fill_session_stats);

    gla_session_free(other);
    gla_session_free(session);
    gla_model_free(model);
    gla_arch_free(arch);
    gla_chat_template_free(chat);
    return 0;
}
