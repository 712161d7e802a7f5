/* SPDX-License-Identifier: Apache-2.0
 *
 * run_chat_commands.c - /undo, /fork, /switch, /save, /help, /quit
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

/* ---- commands ------------------------------------------------------------------------- */

static gla_status undo(chat *c, const char *unused, gla_diag *diag)
{
    const gla_status st = chat_undo(c, diag);

    (void)unused;
    if (!st)
        cli_note("%zu messages are left", json_array_size(chat_here(c)->messages));
    return st;
}

static const chat_branch *find(const chat *c, const char *name)
{
    for (size_t i = 0; i < c->n_branches; i++)
        if (!strcmp(c->branches[i].name, name))
            return &c->branches[i];
    return NULL;
}

static gla_status fork_chat(chat *c, const char *name, gla_diag *diag)
{
    const chat_branch *b = chat_here(c);
    const size_t from = c->now;
    gla_session *session;
    gla_status st;

    if (find(c, name))
        return cli_diag(diag, GLA_E_INVALID, "/fork", "there is a '%s' already", name);
    st = gla_session_fork(b->session, &session, diag);
    if (!st)
        st = chat_add_branch(c, name, session, json_deep_copy(b->messages), diag);
    if (!st)
        cli_note("now in '%s'; /switch %s goes back", name, c->branches[from].name);
    return st;
}

static gla_status switch_chat(chat *c, const char *name, gla_diag *diag)
{
    const chat_branch *b = find(c, name);

    if (!b) {
        char names[200] = "";

        for (size_t i = 0; i < c->n_branches; i++) {
            const size_t n = strlen(names);

            snprintf(names + n, sizeof(names) - n, " %s", c->branches[i].name);
        }
        return cli_diag(diag, GLA_E_INVALID, "/switch", "there is no '%s', but:%s", name, names);
    }
    c->now = (size_t)(b - c->branches);
    cli_note("now in '%s', %zu messages", b->name, json_array_size(b->messages));
    return GLA_OK;
}

static gla_status save(chat *c, const char *path, gla_diag *diag)
{
    const gla_status st = chat_save(c, path, diag);

    if (!st)
        cli_note("saved; gla-run --chat --resume %s goes on", path);
    return st;
}

static gla_status quit(chat *c, const char *unused, gla_diag *diag)
{
    (void)unused;
    (void)diag;
    c->quit = true;
    return GLA_OK;
}

static gla_status help(chat *c, const char *unused, gla_diag *diag);

static const struct {
    const char *name, *arg, *help;
    gla_status (*run)(chat *c, const char *arg, gla_diag *diag);
} commands[] = {
    {"/undo", NULL, "take the last message and its answer back", undo},
    {"/fork", "NAME", "go on in a copy of this chat", fork_chat},
    {"/switch", "NAME", "go on in another copy; the first is called main", switch_chat},
    {"/save", "FILE", "save the chat; --resume FILE goes on with it", save},
    {"/help", NULL, "this list; a line that begins with // is said with one /", help},
    {"/quit", NULL, "end, as does the end of the input", quit},
};
#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static gla_status help(chat *c, const char *unused, gla_diag *diag)
{
    (void)c;
    (void)unused;
    (void)diag;
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(stderr, "%-8s %-5s %s\n", commands[i].name, commands[i].arg ? commands[i].arg : "",
                commands[i].help);
    return GLA_OK;
}

gla_status chat_command(chat *c, const char *line, gla_diag *diag)
{
    const size_t n = strcspn(line, " ");
    const char *arg = line + n + strspn(line + n, " ");

    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strlen(commands[i].name) != n || strncmp(commands[i].name, line, n))
            continue;
        if (commands[i].arg && !*arg)
            return cli_diag(diag, GLA_E_INVALID, commands[i].name, "%s is missing",
                            commands[i].arg);
        return commands[i].run(c, arg, diag);
    }
    return cli_diag(diag, GLA_E_INVALID, "", "no command '%.*s'; /help lists them", (int)n, line);
}
