/* SPDX-License-Identifier: Apache-2.0
 *
 * run_text.c - one text is continued
 */
#include "gla-run/run.h"

#include <stdlib.h>
#include <string.h>

static gla_status encode_prompt(const run *r, int32_t **ids, size_t *n, gla_diag *diag)
{
    const char *text = run_arg.prompt ? run_arg.prompt : "";
    char *file = NULL;
    size_t size = strlen(text);
    gla_status st = GLA_OK;

    *ids = NULL;
    *n = 0;
    if (run_arg.file) {
        st = cli_read_file(run_arg.file, &file, &size, diag);
        text = file;
    }
    if (!st)
        st = cli_encode(&r->m, text, size, run_arg.bos && !run_arg.resume, ids, n, diag);
    if (st)
        snprintf(diag->where, sizeof(diag->where), "%s",
                 run_arg.file ? run_arg.file : "the prompt");
    else if (run_arg.echo && !cli.json && size)
        run_print(text, size);
    free(file);
    return st;
}

/* A resumed session without a new prompt goes on from the logits in its file.  Where it has none
 * (it was saved by a program that never asked for them) its last token is computed again. */
static gla_status last_logits(const run *r, continuation *c, gla_diag *diag)
{
    const uint64_t position = gla_session_position(c->session);
    const float *logits = gla_session_logits(c->session);
    int32_t token;
    gla_status st;

    if (c->n_prompt)
        return GLA_OK;
    if (!position)
        return cli_diag(diag, GLA_E_INVALID, "", "nothing to continue: the prompt is empty");
    if (!logits) {
        token = gla_session_tokens(c->session)[position - 1];
        st = gla_session_truncate(c->session, position - 1, diag);
        if (!st)
            st = gla_session_feed(c->session, &token, 1, GLA_FEED_LOGITS, diag);
        if (st)
            return st;
        logits = gla_session_logits(c->session);
    }
    memcpy(c->logits, logits, gla_model_vocab_size(r->m.model) * sizeof(*logits));
    return GLA_OK;
}

static void report_json(const run *r, const continuation *c)
{
    json_t *o = run_json(r, "gla.run/1", c->n_prompt, c->n_out);
    gla_memory memory;

    gla_session_memory(c->session, &memory, sizeof(memory));
    cli_json_add(o, run_json_text(c));
    cli_json_add(o,
                 json_pack("{s:o, s:o, s:o}", "position",
                           cli_json_count(gla_session_position(c->session)), "memory",
                           run_json_memory(&memory), "snapshots", run_json_snapshots(c->session)));
    cli_json_print(o, 2);
}

static gla_status run_all(run *r, continuation *c, gla_diag *diag)
{
    gla_session *session;
    int32_t *prompt = NULL;
    size_t n_prompt;
    gla_status st = run_session(r, false, &session, diag);

    if (st)
        return st;
    st = encode_prompt(r, &prompt, &n_prompt, diag);
    if (!st)
        st = continuation_init(r, c, session, prompt, n_prompt, run_arg.seed, diag);
    if (st) {
        free(prompt);
        gla_session_free(session);
        return st;
    }
    c->stream = !cli.json;
    st = run_read(r, c, 1, NULL, diag);
    if (!st && run_arg.n && !c->stop)
        st = last_logits(r, c, diag);
    if (!st)
        st = run_write(r, c, 1, run_arg.save != NULL, diag);
    if (!st && !cli.json)
        putchar('\n');
    if (!st && run_arg.save)
        st = gla_session_save(session, run_arg.save, diag);
    return st;
}

int run_text(run *r)
{
    gla_diag diag = {.offset = UINT64_MAX};
    continuation c = {0};
    const gla_status st = run_all(r, &c, &diag);
    gla_session *session = c.session;
    int status;

    if (!st && cli.json)
        report_json(r, &c);
    status = st ? cli_fail(&diag) : cli_finish(!strcmp(c.stop, "interrupted") ? 130 : 0);
    continuation_deinit(&c);
    gla_session_free(session);
    return status;
}
