/* SPDX-License-Identifier: Apache-2.0
 *
 * run_batch.c - many texts are continued together
 *
 * What all prompts begin with is read once, by the first session; the others take it from the
 * model's prefix cache.
 */
#include "gla-run/run.h"

#include <stdlib.h>
#include <string.h>

typedef struct batch {
    run *r;
    char *file;
    const char **prompts; /* [n] into file, not terminated */
    size_t *sizes;        /* [n] bytes */
    continuation *list;   /* [n] */
    size_t n;
} batch;

static gla_status fail_nomem(gla_diag *diag)
{
    return cli_diag(diag, GLA_E_NOMEM, run_arg.sessions, "out of memory");
}

/* A JSON string takes the place of the line that it was written on: it is never longer. */
static gla_status unquote(char *line, size_t *size, gla_diag *diag)
{
    json_error_t error;
    json_t *v = json_loadb(line, *size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (!v)
        return cli_diag(diag, GLA_E_INVALID, "", "not a JSON string: %s", error.text);
    *size = json_string_length(v);
    memcpy(line, json_string_value(v), *size);
    json_decref(v);
    return GLA_OK;
}

/* Each text has a seed of its own: what it becomes does not depend on its neighbours. */
static gla_status add(batch *b, char *line, size_t size, gla_diag *diag)
{
    gla_session *session = NULL;
    int32_t *ids = NULL;
    size_t n;
    gla_status st = GLA_OK;

    if (line[0] == '"')
        st = unquote(line, &size, diag);
    if (!st)
        st = cli_encode(&b->r->m, line, size, run_arg.bos, &ids, &n, diag);
    if (!st && !n)
        st = cli_diag(diag, GLA_E_INVALID, "", "nothing to continue: the prompt is empty");
    if (!st)
        st = run_session(b->r, true, &session, diag);
    if (!st)
        st = continuation_init(b->r, &b->list[b->n], session, ids, n, run_arg.seed + b->n, diag);
    if (st) {
        free(ids);
        gla_session_free(session);
        return st;
    }
    b->prompts[b->n] = line;
    b->sizes[b->n++] = size;
    return GLA_OK;
}

static gla_status make_lists(batch *b, size_t size, gla_diag *diag)
{
    size_t n = 1;

    for (size_t i = 0; i < size; i++)
        n += b->file[i] == '\n';
    b->prompts = calloc(n, sizeof(*b->prompts));
    b->sizes = calloc(n, sizeof(*b->sizes));
    b->list = calloc(n, sizeof(*b->list));
    return b->prompts && b->sizes && b->list ? GLA_OK : fail_nomem(diag);
}

/* One prompt a line; a line that begins with a quotation mark is a JSON string.  Empty lines are
 * skipped. */
static gla_status read_prompts(batch *b, gla_diag *diag)
{
    size_t size, n;
    char *line, *end;
    uint32_t number = 1;
    gla_status st = cli_read_file(run_arg.sessions, &b->file, &size, diag);

    if (!st)
        st = make_lists(b, size, diag);
    line = b->file;
    for (; !st && line < b->file + size; line = end + 1, number++) {
        end = memchr(line, '\n', size - (size_t)(line - b->file));
        end = end ? end : b->file + size;
        n = (size_t)(end - line);
        if (n && line[n - 1] == '\r')
            n--;
        st = n ? add(b, line, n, diag) : GLA_OK;
        if (st) {
            snprintf(diag->where, sizeof(diag->where), "%s", run_arg.sessions);
            diag->line = number;
        }
    }
    if (!st && !b->n)
        st = cli_diag(diag, GLA_E_INVALID, run_arg.sessions, "no prompts: one a line is needed");
    return st;
}

/* How many tokens all prompts begin with; each keeps one of its own, for the logits. */
static size_t shared_tokens(const batch *b)
{
    const continuation *first = &b->list[0];
    size_t n = first->n_prompt - 1;

    for (size_t i = 1; i < b->n; i++)
        n = run_common(first->prompt, n, b->list[i].prompt, b->list[i].n_prompt - 1);
    return b->n > 1 ? n : 0;
}

static gla_status run_all(batch *b, gla_diag *diag)
{
    size_t shared;
    gla_status st = read_prompts(b, diag);

    if (st)
        return st;
    shared = shared_tokens(b);
    if (shared) {
        st = run_read(b->r, b->list, 1, &shared, diag);
        if (!st)
            st = gla_session_mark(b->list[0].session, diag);
    }
    if (!st && !cli_interrupted())
        st = run_read(b->r, b->list, b->n, NULL, diag);
    if (cli_interrupted())
        for (size_t i = 0; i < b->n; i++)
            b->list[i].stop = "interrupted";
    return st ? st : run_write(b->r, b->list, b->n, false, diag);
}

/* ---- the result ---------------------------------------------------------------------- */

static void print_texts(const batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const continuation *c = &b->list[i];

        if (i)
            putchar('\n');
        if (run_arg.echo)
            run_print(b->prompts[i], b->sizes[i]);
        run_print(c->text, c->text_size);
        putchar('\n');
    }
}

static json_t *json_one(const continuation *c)
{
    gla_cache_stats stats;
    json_t *o = run_json_text(c);

    gla_session_cache_stats(c->session, &stats, sizeof(stats));
    json_object_set_new(o, "prefix", run_json_prefix(&stats));
    return o;
}

static void print_json(const batch *b)
{
    uint64_t n_read = 0, n_written = 0;
    json_t *o, *list = json_array();
    gla_cache_stats stats;
    gla_memory memory;

    for (size_t i = 0; i < b->n; i++) {
        n_read += b->list[i].n_prompt;
        n_written += b->list[i].n_out;
        json_array_append_new(list, json_one(&b->list[i]));
    }
    gla_model_cache_stats(b->r->m.model, &stats, sizeof(stats));
    gla_model_memory(b->r->m.model, &memory, sizeof(memory));
    o = run_json(b->r, "gla.run.sessions/1", n_read, n_written);
    cli_json_add(o, json_pack("{s:o, s:o, s:o, s:o}", "sessions", list, "prefix",
                              run_json_prefix(&stats), "memory", run_json_memory(&memory),
                              "snapshots", run_json_snapshots(b->list[0].session)));
    cli_json_print(o, 2);
}

int run_batch(run *r)
{
    gla_diag diag = {.offset = UINT64_MAX};
    batch b = {.r = r};
    const gla_status st = run_all(&b, &diag);
    int status;

    if (st) {
        status = cli_fail(&diag);
    } else {
        if (cli.json)
            print_json(&b);
        else
            print_texts(&b);
        status = cli_finish(cli_interrupted() ? 130 : 0);
    }
    for (size_t i = 0; i < b.n; i++) {
        gla_session *session = b.list[i].session;

        continuation_deinit(&b.list[i]);
        gla_session_free(session);
    }
    free(b.list);
    free(b.sizes);
    free((void *)b.prompts);
    free(b.file);
    return status;
}
