/* SPDX-License-Identifier: Apache-2.0
 *
 * gla-eval - how good is a model on a text, and does it compute what a reference computed
 *
 * --text    mean negative log likelihood (nats per token) over windows that do not overlap
 * --check   logits against a golden file, fed all at once, in pieces, and token by token
 * --ids     the same nll for token ids given directly
 */
#include "cli/model_args.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *model, *text, *check, *ids, *kv;
    uint32_t window, feed;
    double tol;
    bool bos;
} args = {.bos = true, .tol = -1};

static const char *const kv_choices[] = {"f32", "bf16", "int8", NULL};
static const char *const usage[] = {
    "-m DIR --text FILE [OPTION]...",
    "-m DIR --check golden.safetensors [OPTION]...",
    "-m DIR --ids 'N N N ...' [OPTION]...",
    NULL,
};
static const char *const examples[] = {
    "gla-eval -m models/tiny-hybrid --text story.txt",
    "gla-eval -m models/tiny-hybrid --check golden.safetensors --json",
    "gla-eval -m models/tiny-hybrid --ids '0 697 511 259'",
    NULL,
};
static const char *const exits[][2] = {
    {"0", "done; with --check: the logits agree"},
    {"1", "failed; with --check: they differ by more than the tolerance"},
    {"2", "wrong usage"},
    {NULL, NULL},
};
static const cli_option options[] = {
    CLI_HEADING("Model"),
    {'m', "model", "DIR", CLI_STRING, &args.model, .help = "model folder"},
    {0, "kv", "TYPE", CLI_CHOICE, &args.kv, .help = "number type of the KV cache: f32, bf16, int8",
     .def = "the model's; f32 with --check", .choices = kv_choices},
    CLI_HEADING("What to evaluate"),
    {0, "text", "FILE", CLI_STRING, &args.text, .help = "UTF-8 text; - is stdin"},
    {0, "ids", "LIST", CLI_STRING, &args.ids, .help = "token ids, separated by blanks or commas"},
    {0, "check", "FILE", CLI_STRING, &args.check,
     .help = "safetensors file with input_ids [T] and logits [T, vocabulary]"},
    {0, "window", "N", CLI_U32, &args.window, .help = "tokens per window of --text",
     .def = "1024, or the model's context if that is less", .min = 1, .max = 1 << 24},
    {0, "bos", NULL, CLI_TOGGLE, &args.bos, .help = "begin with the beginning-of-text token",
     .def = "on, if the model has one"},
    {0, "tol", "X", CLI_FLOAT, &args.tol, .help = "largest absolute error that passes --check",
     .def = "2e-4 times the standard deviation of the logits, if above 1", .min = 0, .max = 1e9},
    {0, "feed", "N", CLI_U32, &args.feed,
     .help = "feed N tokens at a time; --check does all at once, 7 and 1 when not given", .min = 1,
     .max = 1 << 24},
    CLI_COMMON_OPTIONS,
    CLI_MODEL_OPTIONS,
    CLI_END,
};
static const char *const description[] = {
    "The likelihood of a text is the mean over windows that do not overlap, in nats per "
    "token: a model of another vocabulary is better compared by the bits per byte beside it.",
    "--check feeds the tokens of a reference to the model, at once, in pieces and one by "
    "one, and compares the logits with those that the reference implementation computed.",
    NULL,
};
static const cli_program program = {
    .name = "gla-eval",
    .summary = "Measures the likelihood of a text, or checks logits against a reference.",
    .usage = usage,
    .options = options,
    .examples = examples,
    .exits = exits,
    .description = description,
};

/* ---- likelihood ------------------------------------------------------------ */

typedef struct nll_sum {
    double sum;
    uint64_t n;
} nll_sum;

/* Adds the nll of ids[1..n] given what came before them; n predictions from n + 1 ids. */
static gla_status window_nll(gla_session *s, const int32_t *ids, size_t n, nll_sum *out,
                             gla_diag *diag)
{
    const uint32_t vocab = gla_model_vocab_size(gla_session_model(s));
    const size_t most = vocab > 65536 ? 64 : 256,
                 step = args.feed && args.feed < most ? args.feed : most;
    float *logits = malloc(step * vocab * sizeof(*logits));
    gla_status st = GLA_OK;

    if (!logits)
        return cli_diag(diag, GLA_E_NOMEM, "", "out of memory");
    gla_session_reset(s);
    for (size_t i = 0; i < n && !st; i += step) {
        const size_t m = n - i < step ? n - i : step;
        const gla_feed_item item = {
            .session = s, .tokens = ids + i, .n_tokens = m, .logits = logits, .n_logits = m};

        st = cli_interrupted() ? cli_diag(diag, GLA_E_CANCELLED, "", "interrupted")
                               : gla_feed(&item, 1, sizeof(item), NULL, NULL, diag);
        for (size_t k = 0; k < m && !st; k++)
            out->sum += gla_nll(logits + k * vocab, vocab, ids[i + k + 1]);
    }
    out->n += n;
    free(logits);
    return st;
}

static gla_status text_nll(gla_model *model, const int32_t *ids, size_t n, uint32_t window,
                           nll_sum *out, gla_diag *diag)
{
    gla_session *s = NULL;
    gla_status st = gla_session_create(model, NULL, &s, diag);

    for (size_t i = 0; i + 1 < n && !st; i += window) {
        const size_t m = n - 1 - i < window ? n - 1 - i : window;

        cli_progress_count("evaluating", i, n, "tokens");
        st = window_nll(s, ids + i, m, out, diag);
    }
    cli_progress_clear();
    gla_session_free(s);
    return st;
}

static int report_nll(const nll_sum *r, uint32_t window, uint64_t bytes)
{
    const double mean = r->sum / (double)r->n;

    if (!r->n)
        return cli_error("%s: no token to predict: at least two are needed",
                         args.text ? args.text : "--ids");
    if (cli.json) {
        json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:o}", "schema", "gla.eval/1", "nll",
                              cli_json_number(mean), "perplexity", cli_json_number(exp(mean)),
                              "tokens", cli_json_count(r->n), "window", cli_json_count(window));

        if (bytes)
            json_object_set_new(o, "bits_per_byte",
                                cli_json_number(r->sum / log(2.0) / (double)bytes));
        cli_json_print(o, 2);
    } else {
        printf("nll %.4f nats/token, perplexity %.3f, %llu tokens, windows of %u", mean, exp(mean),
               (unsigned long long)r->n, window);
        if (bytes)
            printf(", %.3f bits/byte", r->sum / log(2.0) / (double)bytes);
        printf("\n");
    }
    return cli_finish(0);
}

static int eval_text(const cli_model *m)
{
    const uint32_t context = gla_model_arch(m->model)->max_positions;
    const uint32_t window = args.window ? args.window : context && context < 1024 ? context : 1024;
    int32_t *ids = NULL;
    char *text = NULL;
    size_t size = 0, n = 0;
    nll_sum r = {0};
    gla_diag diag;
    int status;

    if (cli_read_file(args.text, &text, &size, &diag))
        return cli_fail(&diag);
    if (cli_encode(m, text, size, args.bos, &ids, &n, &diag)) {
        snprintf(diag.where, sizeof(diag.where), "%s", args.text);
        status = cli_fail(&diag);
    } else if (text_nll(m->model, ids, n, window, &r, &diag)) {
        status = cli_fail(&diag);
    } else {
        status = report_nll(&r, window, size);
    }
    free(ids);
    free(text);
    return status;
}

static int eval_ids(const cli_model *m)
{
    const uint32_t vocab = gla_model_vocab_size(m->model);
    char *copy = strdup(args.ids), *save = NULL;
    int32_t *ids = malloc((strlen(args.ids) / 2 + 2) * sizeof(*ids));
    uint32_t n = 0;
    nll_sum r = {0};
    gla_diag diag;
    int status = 0;

    if (!copy || !ids)
        status = cli_error("out of memory");
    for (char *word = status ? NULL : strtok_r(copy, " ,\n\t[]", &save); word;
         word = strtok_r(NULL, " ,\n\t[]", &save)) {
        uint64_t id;

        if (!cli_parse_u64(word, &id) || id >= vocab) {
            status = cli_error("--ids: '%s' is no token id below %u", word, vocab);
            break;
        }
        ids[n++] = (int32_t)id;
    }
    if (!status)
        status = text_nll(m->model, ids, n, args.window ? args.window : n, &r, &diag)
                     ? cli_fail(&diag)
                     : report_nll(&r, args.window ? args.window : n, 0);
    free(copy);
    free(ids);
    return status;
}

/* ---- check ------------------------------------------------------------------- */

typedef struct golden {
    int32_t *ids;
    float *logits; /* [n, vocab] */
    size_t n, vocab;
    double spread; /* standard deviation of the logits */
} golden;

static gla_status golden_read(const char *path, golden *g, gla_diag *diag)
{
    gla_weights *w = NULL;
    gla_status st = gla_weights_open(path, NULL, &w, diag);
    const gla_tensor_info *ids = st ? NULL : gla_weights_find(w, "input_ids");
    const gla_tensor_info *logits = st ? NULL : gla_weights_find(w, "logits");
    double sum = 0, square = 0;

    memset(g, 0, sizeof(*g));
    if (!st && (!ids || !logits || ids->dtype != GLA_DTYPE_I32 || ids->ndim != 1 ||
                logits->dtype != GLA_DTYPE_F32 || logits->ndim != 2 ||
                logits->dims[0] != ids->dims[0] || !ids->n_elements))
        st = cli_diag(diag, GLA_E_SHAPE, path,
                      "needs input_ids (I32 [T]) and logits (F32 [T, vocabulary])");
    if (!st) {
        g->n = (size_t)ids->n_elements;
        g->vocab = (size_t)logits->dims[1];
        g->ids = malloc((size_t)ids->raw_bytes);
        g->logits = malloc((size_t)logits->raw_bytes);
        st = !g->ids || !g->logits ? cli_diag(diag, GLA_E_NOMEM, path, "out of memory")
                                   : gla_weights_read(w, ids, g->ids, diag);
        if (!st)
            st = gla_weights_read(w, logits, g->logits, diag);
    }
    for (size_t i = 0; i < g->n * g->vocab && !st; i++) {
        sum += g->logits[i];
        square += (double)g->logits[i] * g->logits[i];
    }
    if (!st) {
        const double count = (double)(g->n * g->vocab), mean = sum / count;

        g->spread = sqrt(square / count - mean * mean);
    }
    gla_weights_free(w);
    return st;
}

typedef struct difference {
    double max_abs, nmse;
    size_t token, id; /* of the largest */
} difference;

static gla_status compare_fed(gla_model *model, const golden *g, size_t feed, float *logits,
                              difference *out, gla_diag *diag)
{
    double error = 0, power = 0;
    gla_session *s = NULL;
    gla_status st = gla_session_create(model, NULL, &s, diag);

    for (size_t i = 0; i < g->n && !st; i += feed) {
        const size_t m = g->n - i < feed ? g->n - i : feed;
        const gla_feed_item item = {.session = s,
                                    .tokens = g->ids + i,
                                    .n_tokens = m,
                                    .logits = logits + i * g->vocab,
                                    .n_logits = m};

        st = gla_feed(&item, 1, sizeof(item), NULL, NULL, diag);
    }
    gla_session_free(s);
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < g->n * g->vocab && !st; i++) {
        const double d = (double)logits[i] - g->logits[i];

        error += d * d;
        power += (double)g->logits[i] * g->logits[i];
        if (fabs(d) > out->max_abs || isnan(d)) {
            out->max_abs = isnan(d) ? INFINITY : fabs(d);
            out->token = i / g->vocab;
            out->id = i % g->vocab;
        }
    }
    out->nmse = power > 0 ? error / power : error;
    return st;
}

static void report_check(const golden *g, const size_t *feeds, const difference *d, uint32_t n,
                         double tol, bool good)
{
    json_t *list;
    uint32_t worst = 0;

    for (uint32_t i = 1; i < n; i++)
        if (d[i].max_abs > d[worst].max_abs)
            worst = i;
    if (!cli.json) {
        for (uint32_t i = 0; i < n; i++)
            printf("fed %4zu at a time: max abs error %.3g (token %zu, id %zu), NMSE %.3g\n",
                   feeds[i], d[i].max_abs, d[i].token, d[i].id, d[i].nmse);
        printf("%s: max abs error %.3g, tolerance %.3g, logits' standard deviation %.3g\n",
               good ? "agrees" : "DIFFERS", d[worst].max_abs, tol, g->spread);
        return;
    }
    list = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "feed", cli_json_count(feeds[i]),
                                              "max_abs_error", cli_json_number(d[i].max_abs),
                                              "nmse", cli_json_number(d[i].nmse)));
    cli_json_print(
        json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "schema", "gla.check/1", "agrees",
                  (int)good, "max_abs_error", cli_json_number(d[worst].max_abs), "nmse",
                  cli_json_number(d[worst].nmse), "tolerance", cli_json_number(tol), "logits_std",
                  cli_json_number(g->spread), "tokens", cli_json_count(g->n), "runs", list),
        2);
}

static int check(const cli_model *m)
{
    const uint32_t vocab = gla_model_vocab_size(m->model);
    size_t feeds[3] = {0, 7, 1};
    difference d[3];
    golden g;
    gla_diag diag;
    uint32_t n = 0;
    float *logits = NULL;
    double tol;
    bool good = true;
    int status = 0;

    if (golden_read(args.check, &g, &diag)) {
        status = cli_fail(&diag);
    } else if (g.vocab != vocab) {
        status =
            cli_error("%s: logits of %zu tokens, the model has %u", args.check, g.vocab, vocab);
    } else if (!(logits = malloc(g.n * g.vocab * sizeof(*logits)))) {
        status = cli_error("out of memory");
    }
    tol = args.tol >= 0 ? args.tol : 2e-4 * (g.spread > 1 ? g.spread : 1);
    feeds[0] = args.feed ? args.feed : g.n;
    for (; !status && n < (args.feed ? 1 : 3); n++) {
        if (compare_fed(m->model, &g, feeds[n], logits, &d[n], &diag))
            status = cli_fail(&diag);
        good = good && d[n].max_abs <= tol;
    }
    if (!status) {
        report_check(&g, feeds, d, n, tol, good);
        status = cli_finish(good ? 0 : 1);
    }
    free(g.ids);
    free(g.logits);
    free(logits);
    return status;
}

int main(int argc, char **argv)
{
    cli_model m;
    gla_diag diag;
    uint32_t kv;
    int status;

    if (cli_start(&program, argc, argv, &status))
        return status;
    if (!args.model)
        return cli_usage_error("which model? -m DIR");
    if (!args.text + !args.check + !args.ids != 2)
        return cli_usage_error("one of --text, --check and --ids is needed");
    kv = args.kv ? gla_dtype_parse(args.kv) : args.check ? GLA_DTYPE_F32 : 0;
    if (cli_model_open(&m, args.model, kv, args.text != NULL, &diag))
        return cli_fail(&diag);
    status = args.text ? eval_text(&m) : args.check ? check(&m) : eval_ids(&m);
    cli_model_close(&m);
    return status;
}
