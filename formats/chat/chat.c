/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/chat.h>

#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/sized.h"
#include "formats/chat/template.h"
#include "formats/text/json.h"

#define MAX_CONFIG ((uint64_t)16 << 20)

struct gla_chat_template {
    char *name, *source, *bos, *eos;
    gla__tpl_arena arena;
    const gla__tpl_node *body;
};

/* ---- opening ---- */

void gla_chat_template_free(gla_chat_template *t)
{
    if (!t)
        return;
    gla__tpl_arena_free(&t->arena);
    gla__free(t->name);
    gla__free(t->source);
    gla__free(t->bos);
    gla__free(t->eos);
    gla__free(t);
}

/* A copy with every line end as "\n", as Jinja reads it. */
static char *plain_lines(const char *source, size_t *size)
{
    char *copy = gla__alloc(*size + 1);
    size_t n = 0;

    for (size_t i = 0; copy && i < *size; i++) {
        if (source[i] != '\r')
            copy[n++] = source[i];
        else if (i + 1 == *size || source[i + 1] != '\n')
            copy[n++] = '\n';
    }
    if (copy)
        copy[n] = '\0';
    *size = n;
    return copy;
}

gla_status gla_chat_template_parse(const char *source, size_t size, const char *name,
                                   const char *bos, const char *eos, gla_chat_template **out,
                                   gla_diag *diag)
{
    gla_chat_template *t;
    gla_status st = GLA_OK;
    size_t valid;

    *out = NULL;
    gla__diag_clear(diag);
    valid = gla__utf8_valid(source, size);
    if (valid != size) {
        st = gla__fail(diag, GLA_E_CORRUPT, "chat template is not UTF-8 at byte %zu", valid);
        gla__at(diag, name);
        return st;
    }
    t = gla__alloc_zero(sizeof(*t));
    if (!t)
        return gla__fail_nomem(diag, "chat template");
    t->arena.limit = GLA__TPL_MAX_MEMORY;
    t->name = gla__strdup(name);
    t->bos = gla__strdup(bos);
    t->eos = gla__strdup(eos);
    t->source = plain_lines(source, &size);
    if (!t->name || !t->source || (bos && !t->bos) || (eos && !t->eos))
        st = gla__fail_nomem(diag, "chat template");
    if (!st)
        st = gla__tpl_parse(&t->arena, t->source, size, &t->body, diag);
    if (st) {
        gla__at(diag, name);
        gla_chat_template_free(t);
        return st;
    }
    *out = t;
    return GLA_OK;
}

/* "<s>" or {"content": "<s>"}; NULL if absent. */
static const char *token_of(const json_t *config, const char *key)
{
    const json_t *v = json_object_get(config, key);

    return json_string_value(json_is_object(v) ? json_object_get(v, "content") : v);
}

/* A text, or a list of {name, template} with one called "default". */
static const json_t *template_of(const json_t *config)
{
    const json_t *v = json_object_get(config, "chat_template"), *item;
    size_t i;

    if (!json_is_array(v))
        return v;
    json_array_foreach(v, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));

        if (name && !strcmp(name, "default"))
            return json_object_get(item, "template");
    }
    return NULL;
}

/* jinja: a file that takes the place of the one in the config, or NULL. */
static gla_status open_files(const char *config_path, const char *jinja, gla_chat_template **out,
                             gla_diag *diag)
{
    json_t *config = NULL;
    const json_t *template = NULL;
    char *text = NULL;
    size_t size = 0;
    gla_status st = GLA_OK;

    if (gla__exists(config_path))
        st = gla__json_read(config_path, MAX_CONFIG, &config, diag);
    if (!st && jinja)
        st = gla__read_all(jinja, GLA__TPL_MAX_SOURCE, &text, &size, diag);
    template = template_of(config);
    if (!st && !text && !json_is_string(template)) {
        st = gla__fail(diag, GLA_E_UNSUPPORTED, "the model has no chat template");
        gla__at(diag, config_path);
    }
    if (!st)
        st = gla_chat_template_parse(text ? text : json_string_value(template),
                                     text ? size : json_string_length(template),
                                     jinja ? jinja : config_path, token_of(config, "bos_token"),
                                     token_of(config, "eos_token"), out, diag);
    json_decref(config);
    gla__free(text);
    return st;
}

gla_status gla_chat_template_open(const char *path, gla_chat_template **out, gla_diag *diag)
{
    const size_t n = strlen(path);
    const bool folder = gla__is_dir(path);
    char *dir = folder ? gla__strdup(path) : gla__path_dir(path);
    char *config = dir ? gla__path_join(dir, "tokenizer_config.json") : NULL;
    char *jinja = dir ? gla__path_join(dir, "chat_template.jinja") : NULL;
    gla_status st;

    *out = NULL;
    gla__diag_clear(diag);
    if (!config || !jinja)
        st = gla__fail_nomem(diag, "path");
    else if (folder)
        st = open_files(config, gla__exists(jinja) ? jinja : NULL, out, diag);
    else if (n > 5 && !strcmp(path + n - 5, ".json"))
        st = open_files(path, NULL, out, diag);
    else
        st = open_files(config, path, out, diag);
    gla__free(dir);
    gla__free(config);
    gla__free(jinja);
    return st;
}

/* ---- rendering ---- */

static bool is_text(const char *s)
{
    return s && gla__utf8_valid(s, strlen(s)) == strlen(s);
}

static gla_status add_messages(json_t *variables, const gla_chat_message *messages, size_t n,
                               size_t message_size, gla_diag *diag)
{
    const char *from = (const char *)messages;
    json_t *list = json_array();

    if (json_object_set_new(variables, "messages", list))
        return gla__fail_nomem(diag, "chat");
    for (size_t i = 0; i < n; i++) {
        gla_chat_message m;
        const gla_status st = gla__read_element(gla_chat_message, content, &m,
                                                from + i * message_size, message_size, diag);

        if (st)
            return st;
        if (!is_text(m.role) || !is_text(m.content))
            return gla__fail(diag, GLA_E_INVALID, "message %zu is not UTF-8", i);
        if (json_array_append_new(list,
                                  json_pack("{s:s, s:s}", "role", m.role, "content", m.content)))
            return gla__fail_nomem(diag, "chat");
    }
    return GLA_OK;
}

static gla_status make_variables(const gla_chat_template *t, const gla_chat_message *messages,
                                 size_t n, size_t message_size, uint32_t flags, const char *more,
                                 json_t **out, gla_diag *diag)
{
    json_t *given = NULL, *all = json_object();
    gla_status st = add_messages(all, messages, n, message_size, diag);

    *out = all;
    if (st)
        return st;
    if (json_object_set_new(all, "add_generation_prompt",
                            json_boolean(flags & GLA_CHAT_GENERATE)) ||
        (t->bos && json_object_set_new(all, "bos_token", json_string(t->bos))) ||
        (t->eos && json_object_set_new(all, "eos_token", json_string(t->eos))))
        return gla__fail_nomem(diag, "chat");
    if (more)
        st = gla__json_parse(more, strlen(more), MAX_CONFIG, "variables", &given, diag);
    if (!st && given && !json_is_object(given))
        st = gla__fail(diag, GLA_E_INVALID, "variables must be a JSON object");
    else if (!st && given && json_object_update(all, given))
        st = gla__fail_nomem(diag, "chat");
    json_decref(given);
    return st;
}

gla_status gla_chat_template_render(const gla_chat_template *t, const gla_chat_message *messages,
                                    size_t n, size_t message_size, uint32_t flags,
                                    const char *variables, char **text, size_t *size,
                                    gla_diag *diag)
{
    gla__bytes out = {0};
    json_t *all = NULL;
    int64_t now;
    gla_status st;

    *text = NULL;
    *size = 0;
    gla__diag_clear(diag);
    if (flags & ~GLA_CHAT_GENERATE)
        return gla__fail(diag, GLA_E_INVALID, "flags 0x%" PRIx32 ": not known", flags);
    st = make_variables(t, messages, n, message_size, flags, variables, &all, diag);
    if (!st) {
        now = json_integer_value(json_object_get(all, "strftime_now"));
        (void)json_object_del(all, "strftime_now");
        st = gla__tpl_render(t->body, all, now, &out, diag);
        if (!st && gla__bytes_reserve(&out, 1))
            st = gla__fail_nomem(diag, "chat");
        if (st)
            gla__at(diag, t->name);
    }
    json_decref(all);
    if (st) {
        gla__bytes_free(&out);
        return st;
    }
    out.p[out.n] = '\0';
    *text = out.p;
    *size = out.n;
    return GLA_OK;
}
