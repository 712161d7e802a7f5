/* SPDX-License-Identifier: Apache-2.0
 *
 * chat_loop.c - turns from stdin, answers to stdout
 */
#include "gla-run/run_chat.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_json(chat *c)
{
    const chat_branch *b = chat_here(c);
    json_t *o = run_json(c->r, "gla.chat/1", c->fed, c->written), *names = json_array();
    gla_cache_stats stats;
    gla_memory memory;

    for (size_t i = 0; i < c->n_branches; i++)
        json_array_append_new(names, cli_json_text(c->branches[i].name));
    gla_session_memory(b->session, &memory, sizeof(memory));
    gla_model_cache_stats(c->r->m.model, &stats, sizeof(stats));
    cli_json_add(o, json_pack("{s:o, s:o, s:O, s:{s:o, s:o, s:o, s:o}}", "branch",
                              cli_json_text(b->name), "branches", names, "messages", b->messages,
                              "tokens", "read", cli_json_count(c->fed), "reused",
                              cli_json_count(c->reused), "replayed", cli_json_count(c->replayed),
                              "written", cli_json_count(c->written)));
    cli_json_add(o, json_pack("{s:o, s:o, s:o, s:o}", "position",
                              cli_json_count(gla_session_position(b->session)), "prefix",
                              run_json_prefix(&stats), "memory", run_json_memory(&memory),
                              "snapshots", run_json_snapshots(b->session)));
    cli_json_print(o, 2);
}

/* One line.  "//x" says "/x". */
static gla_status take_line(chat *c, char *line, size_t size, gla_diag *diag)
{
    if (size && line[size - 1] == '\n')
        line[--size] = '\0';
    if (size && line[size - 1] == '\r')
        line[--size] = '\0';
    if (strlen(line) != size)
        return cli_diag(diag, GLA_E_INVALID, "this message", "it has a NUL byte");
    if (!size)
        return GLA_OK;
    if (line[0] == '/' && line[1] != '/')
        return chat_command(c, line, diag);
    return chat_say(c, line + (line[0] == '/'), diag);
}

/* A line that cannot be taken is complained about, and the chat goes on. */
static void converse(chat *c)
{
    const bool prompt = isatty(STDIN_FILENO) && isatty(STDERR_FILENO) && !cli.quiet;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    while (!c->quit && !cli_interrupted()) {
        gla_diag diag = {.offset = UINT64_MAX};

        if (prompt)
            fputs("> ", stderr);
        size = getline(&line, &capacity, stdin);
        if (size < 0)
            break;
        if (take_line(c, line, (size_t)size, &diag)) {
            cli_fail(&diag);
            c->failed = true;
        }
    }
    free(line);
}

int run_chat(run *r)
{
    chat c = {.r = r};
    gla_diag diag = {.offset = UINT64_MAX};
    gla_status st = chat_open(&c, &diag);
    int status;

    if (!st) {
        converse(&c);
        if (run_arg.save)
            st = chat_save(&c, run_arg.save, &diag);
    }
    if (st) {
        status = cli_fail(&diag);
    } else {
        if (cli.json)
            print_json(&c);
        status = cli_finish(cli_interrupted() ? 130 : c.failed);
    }
    chat_close(&c);
    return status;
}
