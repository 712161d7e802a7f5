/* SPDX-License-Identifier: Apache-2.0
 *
 * run_chat.c - a chat: its branches, what is said in them, its files
 */
#include "gla-run/run_chat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- files ---------------------------------------------------------------------------- */

/* path + suffix; free(). */
static char *with_suffix(const char *path, const char *suffix)
{
    const size_t size = strlen(path) + strlen(suffix) + 1;
    char *s = malloc(size);

    if (s)
        snprintf(s, size, "%s%s", path, suffix);
    return s;
}

static gla_status save_messages(const json_t *messages, const char *path, gla_diag *diag)
{
    char *file = with_suffix(path, ".chat.json");
    gla_status st = GLA_OK;
    cli_file out;

    if (!file)
        return cli_diag(diag, GLA_E_NOMEM, "", "out of memory");
    if (cli_file_open(&out, file)) {
        json_dumpf(messages, out.f, JSON_INDENT(1));
        if (!cli_file_close(&out))
            st = cli_diag(diag, GLA_E_IO, file, "cannot write: %s", strerror(errno));
    } else {
        st = cli_diag(diag, GLA_E_IO, file, "cannot write: %s", strerror(errno));
    }
    free(file);
    return st;
}

gla_status chat_save(chat *c, const char *path, gla_diag *diag)
{
    const gla_status st = gla_session_save(chat_here(c)->session, path, diag);

    return st ? st : save_messages(chat_here(c)->messages, path, diag);
}

static bool are_messages(const json_t *list)
{
    const json_t *m;
    size_t i;

    if (!json_is_array(list))
        return false;
    json_array_foreach(list, i, m)
    {
        if (!json_is_string(json_object_get(m, "role")) ||
            !json_is_string(json_object_get(m, "content")))
            return false;
    }
    return true;
}

gla_status chat_load_messages(const char *path, json_t **out, gla_diag *diag)
{
    char *file = with_suffix(path, ".chat.json"), *text = NULL;
    json_error_t error;
    size_t size;
    gla_status st;

    *out = NULL;
    if (!file)
        return cli_diag(diag, GLA_E_NOMEM, "", "out of memory");
    st = cli_read_file(file, &text, &size, diag);
    if (st) {
        snprintf(diag->hint, sizeof(diag->hint), "--save writes it in a chat, beside the session");
    } else {
        *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
        if (!*out)
            st = cli_diag(diag, GLA_E_CORRUPT, file, "%s", error.text);
        else if (!are_messages(*out))
            st = cli_diag(diag, GLA_E_CORRUPT, file, "not a list of messages with role, content");
    }
    if (st) {
        json_decref(*out);
        *out = NULL;
    }
    free(text);
    free(file);
    return st;
}

/* ---- life ------------------------------------------------------------------------------ */

static gla_status first_messages(json_t **out, gla_diag *diag)
{
    if (run_arg.resume)
        return chat_load_messages(run_arg.resume, out, diag);
    *out = json_array();
    if (run_arg.system && json_array_append_new(*out, json_pack("{s:s, s:s}", "role", "system",
                                                                "content", run_arg.system))) {
        json_decref(*out);
        *out = NULL;
        return cli_diag(diag, GLA_E_INVALID, "--system", "not UTF-8");
    }
    return GLA_OK;
}

static gla_status open_template(chat *c, gla_diag *diag)
{
    const char *path = run_arg.template ? run_arg.template : run_arg.model;
    const gla_arch *arch = gla_model_arch(c->r->m.model);
    const gla_tokenizer *tok = c->r->m.tokenizer;
    char *text;
    size_t size;
    gla_status st;

    if (!run_arg.template) {
        st = gla_chat_template_open(path, &c->template, diag);
        if (st && !diag->hint[0])
            snprintf(diag->hint, sizeof(diag->hint),
                     "--template FILE gives another; a base model only continues texts: -p TEXT");
        return st;
    }
    st = cli_read_file(path, &text, &size, diag);
    if (st)
        return st;
    st = gla_chat_template_parse(
        text, size, path, gla_tokenizer_token(tok, arch->bos_token),
        c->r->n_stops ? gla_tokenizer_token(tok, c->r->stops[c->r->n_stops - 1]) : NULL,
        &c->template, diag);
    free(text);
    return st;
}

gla_status chat_open(chat *c, gla_diag *diag)
{
    gla_session *session = NULL;
    json_t *messages = NULL;
    gla_status st = open_template(c, diag);

    if (!st)
        st = first_messages(&messages, diag);
    if (!st)
        st = run_session(c->r, true, &session, diag);
    if (st) {
        json_decref(messages);
        return st;
    }
    return chat_add_branch(c, "main", session, messages, diag);
}

void chat_close(chat *c)
{
    for (size_t i = 0; i < c->n_branches; i++) {
        free(c->branches[i].name);
        gla_session_free(c->branches[i].session);
        json_decref(c->branches[i].messages);
    }
    free(c->branches);
    gla_chat_template_free(c->template);
}

chat_branch *chat_here(chat *c)
{
    return &c->branches[c->now];
}

gla_status chat_add_branch(chat *c, const char *name, gla_session *session, json_t *messages,
                           gla_diag *diag)
{
    chat_branch *more = realloc(c->branches, (c->n_branches + 1) * sizeof(*more));
    char *copy = strdup(name);

    c->branches = more ? more : c->branches;
    if (!more || !copy || !messages) {
        free(copy);
        gla_session_free(session);
        json_decref(messages);
        return cli_diag(diag, GLA_E_NOMEM, "", "out of memory");
    }
    c->now = c->n_branches++;
    c->branches[c->now] = (chat_branch){copy, session, messages};
    return GLA_OK;
}

/* ---- turns ---------------------------------------------------------------------------- */

/* The messages as the template writes them, in tokens; free(*ids). */
static gla_status render(const chat *c, const json_t *messages, uint32_t flags, int32_t **ids,
                         size_t *n, gla_diag *diag)
{
    const size_t count = json_array_size(messages);
    gla_chat_message *list = calloc(count + 1, sizeof(*list));
    char *text = NULL;
    size_t size;
    gla_status st;

    *ids = NULL;
    *n = 0;
    if (!list)
        return cli_diag(diag, GLA_E_NOMEM, "", "out of memory");
    for (size_t i = 0; i < count; i++) {
        const json_t *m = json_array_get(messages, i);

        list[i].role = json_string_value(json_object_get(m, "role"));
        list[i].content = json_string_value(json_object_get(m, "content"));
    }
    st = gla_chat_template_render(c->template, list, count, sizeof(gla_chat_message), flags, NULL,
                                  &text, &size, diag);
    if (!st) /* not with_bos: the template writes it */
        st = cli_encode(&c->r->m, text, size, false, ids, n, diag);
    gla_text_free(text);
    free(list);
    return st;
}

/* Cuts the session back to what it has in common with the tokens, at most `limit` of them. */
static gla_status cut_to_common(chat *c, const int32_t *ids, size_t n, size_t limit, size_t *common,
                                gla_diag *diag)
{
    gla_session *s = chat_here(c)->session;
    const uint64_t position = gla_session_position(s);

    *common = run_common(gla_session_tokens(s), position, ids, n < limit ? n : limit);
    if (*common == position)
        return GLA_OK;
    c->replayed += gla_session_replay(s, *common);
    return gla_session_truncate(s, *common, diag);
}

static gla_status append(json_t *messages, const char *role, const char *text, gla_diag *diag)
{
    json_t *content = json_string(text);

    if (!content)
        return cli_diag(diag, GLA_E_INVALID, "this message", "not UTF-8");
    if (json_array_append_new(messages, json_pack("{s:s, s:o}", "role", role, "content", content)))
        return cli_diag(diag, GLA_E_NOMEM, "", "out of memory");
    return GLA_OK;
}

/* Reads what is new of the prompt and writes the answer. */
static gla_status answer(chat *c, continuation *w, gla_diag *diag)
{
    gla_session *s = chat_here(c)->session;
    gla_status st;

    st = cut_to_common(c, w->prompt, w->n_prompt, w->n_prompt - 1, &w->n_skip, diag);
    if (st)
        return st;
    c->reused += w->n_skip;
    c->fed += w->n_prompt - w->n_skip;
    st = run_read(c->r, w, 1, NULL, diag);
    if (!st && !w->stop) /* the next turn, and /undo, come back to here */
        st = gla_session_mark(s, diag);
    w->stream = !cli.json;
    return st ? st : run_write(c->r, w, 1, false, diag);
}

/* ^C before the first word: nothing was said.  The seed follows from the number of messages, so
 * that what was undone leaves no trace in what comes. */
gla_status chat_say(chat *c, const char *text, gla_diag *diag)
{
    json_t *messages = chat_here(c)->messages;
    const size_t count = json_array_size(messages);
    continuation w = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    gla_status st = append(messages, "user", text, diag);

    if (st)
        return st;
    st = render(c, messages, GLA_CHAT_GENERATE, &ids, &n, diag);
    if (!st && !n)
        st = cli_diag(diag, GLA_E_INVALID, "", "the template makes nothing of this chat");
    if (!st)
        st = continuation_init(c->r, &w, chat_here(c)->session, ids, n, run_arg.seed + count, diag);
    if (st)
        free(ids);
    else
        st = answer(c, &w, diag);
    c->written += w.n_out;
    if (!cli.json && w.n_out)
        putchar('\n');
    fflush(stdout);
    if (!st && w.n_out)
        st = append(messages, "assistant", w.text ? w.text : "", diag);
    if (!st && !strcmp(w.stop, "length") && w.n_out)
        cli_note("the answer is cut after %u tokens; -n N allows more", run_arg.n);
    if (st || !w.n_out)
        while (json_array_size(messages) > count)
            json_array_remove(messages, count);
    continuation_deinit(&w);
    return st;
}

static bool is_from(const json_t *messages, size_t i, const char *role)
{
    const char *r = json_string_value(json_object_get(json_array_get(messages, i), "role"));

    return r && !strcmp(r, role);
}

gla_status chat_undo(chat *c, gla_diag *diag)
{
    chat_branch *b = chat_here(c);
    size_t n = json_array_size(b->messages), n_ids = 0, common;
    int32_t *ids = NULL;
    gla_status st = GLA_OK;

    while (n && !is_from(b->messages, n - 1, "user"))
        n--;
    if (!n)
        return cli_diag(diag, GLA_E_INVALID, "/undo", "nothing has been said yet");
    while (json_array_size(b->messages) >= n)
        json_array_remove(b->messages, json_array_size(b->messages) - 1);
    if (n > 1 && is_from(b->messages, n - 2, "assistant"))
        st = render(c, b->messages, 0, &ids, &n_ids, diag);
    if (!st)
        st = cut_to_common(c, ids, n_ids, n_ids, &common, diag);
    free(ids);
    return st;
}
