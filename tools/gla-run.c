/* SPDX-License-Identifier: Apache-2.0
 *
 * gla-run - continues a text with a model, streaming what it writes
 */
#include "cli/model_args.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
    const char *model, *prompt, *file, *kv, *save, *resume;
    uint32_t n, top_k;
    uint64_t seed;
    double temp, top_p;
    bool greedy, bos, echo, ignore_eos;
} args = {.n = 128, .seed = UINT64_MAX, .temp = 0.8, .top_p = 0.95, .bos = true, .echo = true};

static const char *const kv_choices[] = {"f32", "bf16", "int8", NULL};
static const char *const usage[] = {
    "-m DIR -p TEXT [-n N] [OPTION]...",
    "-m DIR --resume FILE [-p TEXT] [OPTION]...",
    NULL,
};
static const char *const examples[] = {
    "gla-run -m models/tiny-hybrid -p 'Once upon a time' -n 100",
    "gla-run -m models/tiny-hybrid -p 'One day' --greedy --json",
    "gla-run -m models/tiny-hybrid -f notes.txt --save notes.session -n 0",
    NULL,
};
static const cli_option options[] = {
    CLI_HEADING("Model"),
    {'m', "model", "DIR", CLI_STRING, &args.model, .help = "model folder"},
    {0, "kv", "TYPE", CLI_CHOICE, &args.kv, .help = "number type of the KV cache: f32, bf16, int8",
     .def = "f32 for f32 weights, else bf16", .choices = kv_choices},
    CLI_HEADING("Text"),
    {'p', "prompt", "TEXT", CLI_STRING, &args.prompt, .help = "text to continue"},
    {'f', "file", "FILE", CLI_STRING, &args.file,
     .help = "text to continue, from a file; - is stdin"},
    {'n', "tokens", "N", CLI_U32, &args.n, .help = "write at most N tokens", .def = "128", .min = 0,
     .max = 1 << 24},
    {0, "bos", NULL, CLI_TOGGLE, &args.bos, .help = "begin with the beginning-of-text token",
     .def = "on, if the model has one"},
    {0, "echo", NULL, CLI_TOGGLE, &args.echo, .help = "print the prompt too", .def = "on"},
    {0, "ignore-eos", NULL, CLI_FLAG, &args.ignore_eos, .help = "go on after an end-of-text token"},
    CLI_HEADING("Sampling"),
    {0, "greedy", NULL, CLI_FLAG, &args.greedy, .help = "always the likeliest token"},
    {0, "temp", "X", CLI_FLOAT, &args.temp, .help = "temperature; 0 is greedy", .def = "0.8",
     .min = 0, .max = 100},
    {0, "top-p", "X", CLI_FLOAT, &args.top_p,
     .help = "sample from the likeliest tokens that make up this share", .def = "0.95", .min = 0,
     .max = 1},
    {0, "top-k", "N", CLI_U32, &args.top_k, .help = "sample from the N likeliest tokens; 0 = all",
     .def = "0", .min = 0, .max = 1 << 24},
    {0, "seed", "N", CLI_U64, &args.seed, .help = "the same seed gives the same text",
     .def = "from the clock; --json says which"},
    CLI_HEADING("Sessions"),
    {0, "save", "FILE", CLI_STRING, &args.save, .help = "save the session when done"},
    {0, "resume", "FILE", CLI_STRING, &args.resume, .help = "go on with a saved session"},
    CLI_COMMON_OPTIONS,
    CLI_MODEL_OPTIONS,
    CLI_END,
};
static const cli_program program = {
    .name = "gla-run",
    .summary = "Continues a text with a model, streaming what it writes.",
    .usage = usage,
    .options = options,
    .examples = examples,
};

/* What a run has and has done. */
typedef struct run {
    cli_model m;
    gla_session *session;
    gla_sampler *sampler;
    gla_detokenizer *detokenizer;
    float *logits;   /* [vocab] of the next token */
    int32_t *prompt; /* ids fed at the start */
    size_t n_prompt, n_out;
    int32_t *out; /* [args.n] */
    char *text;   /* what was written, for --json */
    size_t text_size, text_capacity;
    double prefill_seconds, decode_seconds;
    const char *stop; /* "length", "eos", "interrupted" */
} run;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int interrupted(void *ctx)
{
    (void)ctx;
    return cli_interrupted();
}

static bool is_eos(const run *r, int32_t token)
{
    const gla_arch *arch = gla_model_arch(r->m.model);

    for (uint32_t i = 0; i < arch->n_eos; i++)
        if (arch->eos_tokens[i] == token)
            return true;
    return false;
}

/* Streams to stdout, or collects for --json. */
static gla_status emit(run *r, const char *text, size_t size)
{
    if (!cli.json) {
        fwrite(text, 1, size, stdout);
        fflush(stdout);
        return GLA_OK;
    }
    if (r->text_size + size + 1 > r->text_capacity) {
        const size_t capacity = 2 * (r->text_size + size + 1);
        char *more = realloc(r->text, capacity);

        if (!more)
            return GLA_E_NOMEM;
        r->text = more;
        r->text_capacity = capacity;
    }
    memcpy(r->text + r->text_size, text, size);
    r->text_size += size;
    r->text[r->text_size] = '\0';
    return GLA_OK;
}

static gla_status encode_prompt(run *r, gla_diag *diag)
{
    const char *text = args.prompt ? args.prompt : "";
    char *file = NULL;
    size_t size = strlen(text);
    gla_status st = GLA_OK;

    if (args.file) {
        st = cli_read_file(args.file, &file, &size, diag);
        text = file;
    }
    if (!st)
        st =
            cli_encode(&r->m, text, size, args.bos && !args.resume, &r->prompt, &r->n_prompt, diag);
    if (st)
        snprintf(diag->where, sizeof(diag->where), "%s", args.file ? args.file : "the prompt");
    else if (args.echo && !cli.json && size)
        fwrite(text, 1, size, stdout);
    free(file);
    return st;
}

/* Feeds the prompt in parts, so that progress shows and ^C works. */
static gla_status prefill(run *r, gla_diag *diag)
{
    const size_t part = 512;
    const double start = now();
    gla_status st = GLA_OK;

    for (size_t i = 0; i < r->n_prompt && !st; i += part) {
        const size_t n = r->n_prompt - i < part ? r->n_prompt - i : part;
        const bool last = i + n == r->n_prompt;
        const gla_feed_item item = {r->session, r->prompt + i, n, last ? r->logits : NULL, last};

        if (r->n_prompt > part)
            cli_progress(NULL, "reading the prompt", i, r->n_prompt);
        st = gla_feed(&item, 1, interrupted, NULL, diag);
    }
    cli_progress_clear();
    r->prefill_seconds = now() - start;
    return st;
}

/* The logits are those after the last token fed; each token written is fed in turn, the last one
 * too, so that a saved session goes on exactly where the text ends. */
static gla_status generate(run *r, gla_diag *diag)
{
    const double start = now();
    gla_status st = GLA_OK;
    const char *text;
    size_t size;

    r->stop = "length";
    while (!st && r->n_out < args.n) {
        int32_t token;

        st = gla_sampler_next(r->sampler, r->logits, &token, diag);
        if (st)
            break;
        r->out[r->n_out++] = token;
        if (!args.ignore_eos && is_eos(r, token)) {
            r->stop = "eos";
            break;
        }
        st = gla_detokenizer_next(r->detokenizer, token, &text, &size);
        if (!st)
            st = emit(r, text, size);
        if (!st && (r->n_out < args.n || args.save))
            st = gla_session_feed(r->session, &token, 1, r->logits, diag);
        if (cli_interrupted()) {
            r->stop = "interrupted";
            break;
        }
    }
    r->decode_seconds = now() - start;
    if (!st)
        st = gla_detokenizer_end(r->detokenizer, &text, &size);
    return st ? st : emit(r, text, size);
}

static gla_status start(run *r, gla_diag *diag)
{
    const gla_sampler_options sampling = {args.greedy ? 0 : args.temp, args.top_p, args.top_k, 0,
                                          args.seed};
    const uint32_t kv = args.kv ? gla_dtype_parse(args.kv) : 0;
    gla_status st = cli_model_open(&r->m, args.model, kv, true, diag);
    uint32_t vocab;

    if (st)
        return st;
    vocab = gla_model_vocab_size(r->m.model);
    r->logits = malloc(vocab * sizeof(*r->logits));
    r->out = malloc(((size_t)args.n + 1) * sizeof(*r->out));
    if (!r->logits || !r->out) {
        memset(diag, 0, sizeof(*diag));
        return diag->status = GLA_E_NOMEM;
    }
    st = args.resume ? gla_session_load(r->m.model, args.resume, &r->session, diag)
                     : gla_session_create(r->m.model, NULL, &r->session, diag);
    if (!st)
        st = gla_sampler_create(&sampling, vocab, &r->sampler, diag);
    if (!st)
        st = gla_detokenizer_create(r->m.tokenizer, 1, &r->detokenizer);
    if (!st)
        st = encode_prompt(r, diag);
    return st;
}

/* A resumed session without a new prompt has no logits yet: its last token is fed again. */
static gla_status last_logits(run *r, gla_diag *diag)
{
    const uint64_t position = gla_session_position(r->session);
    int32_t token;
    gla_status st;

    if (r->n_prompt)
        return GLA_OK;
    if (!position) {
        memset(diag, 0, sizeof(*diag));
        diag->offset = UINT64_MAX;
        snprintf(diag->message, sizeof(diag->message), "nothing to continue: the prompt is empty");
        return diag->status = GLA_E_INVALID;
    }
    token = gla_session_tokens(r->session)[position - 1];
    st = gla_session_truncate(r->session, position - 1, diag);
    return st ? st : gla_session_feed(r->session, &token, 1, r->logits, diag);
}

static json_t *json_ids(const int32_t *ids, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

static void report_json(const run *r)
{
    json_t *o = json_object();
    char hash[24];

    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)gla_model_hash(r->m.model));
    json_object_set_new(o, "schema", json_string("gla.run/1"));
    json_object_set_new(o, "text", json_string(r->text ? r->text : ""));
    json_object_set_new(o, "prompt_ids", json_ids(r->prompt, r->n_prompt));
    json_object_set_new(o, "ids", json_ids(r->out, r->n_out));
    json_object_set_new(o, "stop", json_string(r->stop));
    json_object_set_new(o, "seed", json_integer((json_int_t)args.seed));
    json_object_set_new(o, "temperature", cli_json_number(args.greedy ? 0 : args.temp));
    json_object_set_new(o, "top_p", cli_json_number(args.top_p));
    json_object_set_new(o, "threads", json_integer(gla_threads()));
    json_object_set_new(o, "model_hash", json_string(hash));
    json_object_set_new(o, "version", json_string(gla_version()));
    json_object_set_new(o, "position", json_integer((json_int_t)gla_session_position(r->session)));
    json_object_set_new(o, "prefill_tokens_per_s",
                        cli_json_number((double)r->n_prompt / r->prefill_seconds));
    json_object_set_new(o, "decode_tokens_per_s",
                        cli_json_number((double)r->n_out / r->decode_seconds));
    cli_json_print(o, 2);
}

static void finish(run *r)
{
    gla_detokenizer_destroy(r->detokenizer);
    gla_sampler_destroy(r->sampler);
    gla_session_destroy(r->session);
    cli_model_close(&r->m);
    free(r->logits);
    free(r->prompt);
    free(r->out);
    free(r->text);
}

int main(int argc, char **argv)
{
    run r = {0};
    gla_diag diag = {.offset = UINT64_MAX};
    gla_status st;
    int status;

    if (cli_start(&program, argc, argv, &status))
        return status;
    if (!args.model)
        return cli_usage_error("which model? -m DIR");
    if (args.prompt && args.file)
        return cli_usage_error("--prompt and --file exclude each other");
    if (!args.prompt && !args.file && !args.resume)
        return cli_usage_error("nothing to continue: give -p TEXT, -f FILE or --resume FILE");
    if (args.seed == UINT64_MAX)
        args.seed = (uint64_t)time(NULL);
    st = start(&r, &diag);
    if (!st)
        st = prefill(&r, &diag);
    if (!st && args.n)
        st = last_logits(&r, &diag);
    if (!st)
        st = generate(&r, &diag);
    if (!cli.json && !st)
        printf("\n");
    if (!st && args.save)
        st = gla_session_save(r.session, args.save, &diag);
    if (!st && cli.json)
        report_json(&r);
    if (st && !diag.status)
        diag.status = st;
    status = st ? cli_fail(&diag) : cli_finish(r.stop && !strcmp(r.stop, "interrupted") ? 130 : 0);
    finish(&r);
    return status;
}
