/* SPDX-License-Identifier: Apache-2.0
 *
 * run_chat_commands.c - /undo, /fork, /switch, /save, /help, /quit
 */
#include "gla-run/run_chat.h"

#include <string.h>

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
