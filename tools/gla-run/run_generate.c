/* SPDX-License-Identifier: Apache-2.0 */
#include "gla-run/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static gla_status fail_nomem(gla_diag *diag)
{
    return cli_diag(diag, GLA_E_NOMEM, "", "out of memory");
}

size_t run_common(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b)
{
    size_t n = 0;

    while (n < n_a && n < n_b && a[n] == b[n])
        n++;
    return n;
}

/* ---- stop tokens --------------------------------------------------------------- */

static void add_stop(run *r, json_int_t id)
{
    if (id >= 0 && id < (json_int_t)gla_model_vocab_size(r->m.model) && r->n_stops < RUN_MAX_STOPS)
        r->stops[r->n_stops++] = (int32_t)id;
}

/* A JSON file of the model folder; *out is NULL if there is none. */
static gla_status read_config(const char *name, json_t **out, gla_diag *diag)
{
    const size_t size = strlen(run_arg.model) + strlen(name) + 2;
    char *path = malloc(size), *text = NULL;
    json_error_t error;
    gla_status st = GLA_OK;
    size_t n;

    *out = NULL;
    if (!path)
        return fail_nomem(diag);
    snprintf(path, size, "%s/%s", run_arg.model, name);
    if (!access(path, F_OK)) {
        st = cli_read_file(path, &text, &n, diag);
        if (!st)
            *out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
        if (!st && !*out)
            st = cli_diag(diag, GLA_E_CORRUPT, path, "line %d: %s", error.line, error.text);
    }
    free(text);
    free(path);
    return st;
}

/* What arch.yaml and generation_config.json name; in a chat also the tokenizer's eos_token, which
 * models tuned for chats make the end of a turn. */
static gla_status find_stops(run *r, gla_diag *diag)
{
    const gla_arch *arch = gla_model_arch(r->m.model);
    json_t *config, *v, *item;
    gla_status st;
    size_t i;

    for (uint32_t e = 0; e < arch->n_eos; e++)
        add_stop(r, arch->eos_tokens[e]);
    st = read_config("generation_config.json", &config, diag);
    if (st)
        return st;
    v = json_object_get(config, "eos_token_id");
    if (json_is_integer(v))
        add_stop(r, json_integer_value(v));
    json_array_foreach(v, i, item)
    {
        if (json_is_integer(item))
            add_stop(r, json_integer_value(item));
    }
    json_decref(config);
    if (!run_arg.chat)
        return GLA_OK;
    st = read_config("tokenizer_config.json", &config, diag);
    if (st)
        return st;
    v = json_object_get(config, "eos_token");
    if (json_is_object(v))
        v = json_object_get(v, "content");
    if (json_is_string(v))
        add_stop(r, gla_tokenizer_id(r->m.tokenizer, json_string_value(v)));
    json_decref(config);
    return GLA_OK;
}

static bool is_stop(const run *r, int32_t token)
{
    for (uint32_t i = 0; i < r->n_stops; i++)
        if (r->stops[i] == token)
            return true;
    return false;
}

/* ---- life ------------------------------------------------------------------------ */

gla_status run_open(run *r, gla_diag *diag)
{
    const uint32_t kv = run_arg.kv ? gla_dtype_parse(run_arg.kv) : 0;
    gla_status st = cli_model_open(&r->m, run_arg.model, kv, true, diag);

    if (!st && !run_arg.ignore_eos)
        st = find_stops(r, diag);
    if (!st && run_arg.memory)
        st = gla_model_set_budget(r->m.model, run_arg.memory, diag);
    return st;
}

void run_close(run *r)
{
    cli_model_close(&r->m);
}

gla_status run_session(const run *r, bool prefix_cache, gla_session **out, gla_diag *diag)
{
    const gla_session_options options = {
        GLA_SIZED(gla_session_options),
        .kv_dtype = run_arg.kv ? gla_dtype_parse(run_arg.kv) : 0,
        .prefix_cache = prefix_cache,
        .snapshot_stride = run_arg.stride == UINT32_MAX ? 0
                           : run_arg.stride             ? run_arg.stride
                                                        : GLA_SNAPSHOT_NONE,
        .snapshot_bytes = run_arg.snapshot_bytes,
    };

    if (run_arg.resume)
        return gla_session_load(r->m.model, run_arg.resume, &options, out, diag);
    return gla_session_create(r->m.model, &options, out, diag);
}

gla_status continuation_init(const run *r, continuation *c, gla_session *session, int32_t *prompt,
                             size_t n_prompt, uint64_t seed, gla_diag *diag)
{
    const gla_sampler_options sampling = {
        GLA_SIZED(gla_sampler_options), .temperature = run_arg.greedy ? 0 : run_arg.temp,
        .top_p = run_arg.top_p, .top_k = run_arg.top_k, .seed = seed};
    const uint32_t vocab = gla_model_vocab_size(r->m.model);
    gla_status st;

    memset(c, 0, sizeof(*c));
    c->session = session;
    c->logits = malloc(vocab * sizeof(*c->logits));
    c->out = malloc(((size_t)run_arg.n + 1) * sizeof(*c->out));
    st = c->logits && c->out ? GLA_OK : fail_nomem(diag);
    if (!st)
        st = gla_sampler_create(&sampling, vocab, &c->sampler, diag);
    if (!st)
        st = gla_detokenizer_create(r->m.tokenizer, GLA_DECODE_SKIP_SPECIAL, &c->detokenizer, diag);
    if (st) {
        continuation_deinit(c);
        return st;
    }
    c->prompt = prompt;
    c->n_prompt = n_prompt;
    return GLA_OK;
}

void continuation_deinit(continuation *c)
{
    gla_detokenizer_free(c->detokenizer);
    gla_sampler_free(c->sampler);
    free(c->logits);
    free(c->prompt);
    free(c->out);
    free(c->text);
    memset(c, 0, sizeof(*c));
}

/* ---- reading ----------------------------------------------------------------------- */

/* Between batches. */
static int show_reading(void *done, const char *what, uint64_t tokens, uint64_t total)
{
    (void)what;
    *(uint64_t *)done = tokens;
    if (total > 512)
        cli_progress_count("reading the prompt", tokens, total, "tokens");
    return cli_interrupted();
}

static void note_context(run *r, const continuation *c)
{
    const uint32_t trained = gla_model_arch(r->m.model)->max_positions;
    const uint64_t length = gla_session_position(c->session) + c->n_prompt - c->n_skip;

    if (!trained || length <= trained || r->context_noted)
        return;
    cli_note("the text has %llu tokens; the model was trained for %u (max_positions), what it "
             "writes may suffer",
             (unsigned long long)length, trained);
    r->context_noted = true;
}

gla_status run_read(run *r, continuation *list, size_t n_list, const size_t *n, gla_diag *diag)
{
    gla_feed_item *items = calloc(n_list + 1, sizeof(*items));
    const double start = cli_now();
    uint64_t done = 0, total = 0; /* tokens */
    size_t n_items = 0;
    gla_status st;

    if (!items)
        return fail_nomem(diag);
    for (size_t i = 0; i < n_list; i++) {
        continuation *c = &list[i];
        const size_t end = n ? n[i] : c->n_prompt;
        const bool wanted = !n && end > c->n_skip;

        if (!n)
            note_context(r, c);
        if (end <= c->n_skip || c->stop)
            continue;
        items[n_items++] = (gla_feed_item){.session = c->session,
                                           .tokens = c->prompt + c->n_skip,
                                           .n_tokens = end - c->n_skip,
                                           .logits = wanted ? c->logits : NULL,
                                           .n_logits = wanted};
        total += end - c->n_skip;
        c->n_skip = end;
    }
    st = gla_feed(items, n_items, sizeof(*items), show_reading, &done, diag);
    cli_progress_clear();
    if (st == GLA_E_CANCELLED && cli_interrupted()) {
        cli_note("interrupted after %llu of %llu tokens of the prompt", (unsigned long long)done,
                 (unsigned long long)total);
        for (size_t i = 0; i < n_list; i++)
            list[i].stop = "interrupted";
        st = GLA_OK;
    }
    free(items);
    r->prefill_seconds += cli_now() - start;
    return st;
}

/* ---- writing ----------------------------------------------------------------------- */

void run_print(const char *text, size_t size)
{
    const unsigned char *s = (const unsigned char *)text;

    if (!isatty(STDOUT_FILENO)) {
        fwrite(text, 1, size, stdout);
        return;
    }
    for (size_t i = 0; i < size; i++) {
        const bool wide = s[i] == 0xc2 && i + 1 < size && s[i + 1] < 0xa0; /* U+0080 to U+009F */

        i += wide;
        if (wide || s[i] == 0x7f || (s[i] < 0x20 && s[i] != '\n' && s[i] != '\t'))
            putchar('?');
        else
            putchar(s[i]);
    }
}

static gla_status emit(continuation *c, const char *text, size_t size, gla_diag *diag)
{
    if (c->stream) {
        run_print(text, size);
        fflush(stdout);
    }
    if (c->text_size + size + 1 > c->text_capacity) {
        const size_t capacity = 2 * (c->text_size + size + 1);
        char *more = realloc(c->text, capacity);

        if (!more)
            return fail_nomem(diag);
        c->text = more;
        c->text_capacity = capacity;
    }
    memcpy(c->text + c->text_size, text, size);
    c->text_size += size;
    c->text[c->text_size] = '\0';
    return GLA_OK;
}

/* Chooses one token and writes it.  *feed: the session should take it in. */
static gla_status write_token(const run *r, continuation *c, bool feed_last, bool *feed,
                              gla_diag *diag)
{
    const char *text;
    size_t size;
    int32_t token;
    gla_status st = gla_sampler_next(c->sampler, c->logits, &token, diag);

    *feed = false;
    if (st)
        return st;
    c->out[c->n_out++] = token;
    if (is_stop(r, token)) {
        c->stop = "eos";
        return GLA_OK;
    }
    if (gla_detokenizer_next(c->detokenizer, token, &text, &size, NULL))
        return fail_nomem(diag);
    if (cli_interrupted())
        c->stop = "interrupted";
    else if (c->n_out == run_arg.n)
        c->stop = "length";
    *feed = !c->stop || feed_last;
    return emit(c, text, size, diag);
}

/* One token after each text that goes on. */
static gla_status write_tokens(const run *r, continuation *list, size_t n_list, bool feed_last,
                               gla_feed_item *items, gla_diag *diag)
{
    size_t n_items = 0;

    for (size_t i = 0; i < n_list; i++) {
        continuation *c = &list[i];
        gla_status st;
        bool feed;

        if (c->stop)
            continue;
        st = write_token(r, c, feed_last, &feed, diag);
        if (st)
            return st;
        if (feed)
            items[n_items++] = (gla_feed_item){.session = c->session,
                                               .tokens = &c->out[c->n_out - 1],
                                               .n_tokens = 1,
                                               .logits = c->logits,
                                               .n_logits = 1};
    }
    return gla_feed(items, n_items, sizeof(*items), NULL, NULL, diag);
}

static bool all_stopped(const continuation *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!list[i].stop)
            return false;
    return true;
}

gla_status run_write(run *r, continuation *list, size_t n_list, bool feed_last, gla_diag *diag)
{
    gla_feed_item *items = calloc(n_list + 1, sizeof(*items));
    const double start = cli_now();
    gla_status st = items ? GLA_OK : fail_nomem(diag);
    const char *text;
    size_t size;

    for (size_t i = 0; i < n_list; i++) /* so that a resumed text is the one never stopped */
        gla_sampler_skip(list[i].sampler, gla_session_position(list[i].session));
    for (size_t i = 0; i < n_list && !run_arg.n; i++)
        list[i].stop = list[i].stop ? list[i].stop : "length";
    while (!st && !all_stopped(list, n_list))
        st = write_tokens(r, list, n_list, feed_last, items, diag);
    for (size_t i = 0; i < n_list && !st; i++) {
        if (gla_detokenizer_end(list[i].detokenizer, &text, &size, NULL))
            st = fail_nomem(diag);
        else
            st = emit(&list[i], text, size, diag);
    }
    free(items);
    r->decode_seconds += cli_now() - start;
    return st;
}
