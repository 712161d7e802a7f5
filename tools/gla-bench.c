/* SPDX-License-Identifier: Apache-2.0
 *
 * gla-bench - how fast is a model, and how fast could it be on this machine
 *
 * One run measures, round by round and interleaved: the rate of reading memory, the rate of the
 * matrix products that the model consists of, prefill, decode at depths, batched decode.  Depths
 * are reached once; every repetition forks the session that stands there.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/cli.h"
#include "gla-bench/bench.h"

static struct {
    const char *model, *arch, *weights, *prefill, *depth, *batch, *kv, *shared;
    uint32_t decode, repeat, many;
    uint64_t read_bytes, seed;
    bool sessions;
} args = {.prefill = "512",
          .depth = "0",
          .batch = "1",
          .shared = "4096,4196",
          .many = 1000,
          .decode = 64,
          .repeat = 5,
          .read_bytes = UINT64_C(1) << 30};

static const char *const kv_choices[] = {"f32", "bf16", "int8", NULL};
static const char *const weight_choices[] = {"f32", "bf16", "f16", "int8", "int4", NULL};
static const char *const usage[] = {
    "-m DIR [OPTION]...",
    "--arch FILE.yaml [--weights TYPE] [OPTION]...",
    NULL,
};
static const char *const examples[] = {
    "gla-bench -m models/tiny-hybrid",
    "gla-bench --arch configs/bench-hybrid-415m.yaml --weights int8 --json",
    "gla-bench --arch configs/bench-gla-415m.yaml --depth 0,4K,16K --batch 1,8",
    "gla-bench -m models/tiny-hybrid --depth 4K --sessions --shared 512,600",
    NULL,
};
static const cli_option options[] = {
    CLI_HEADING("Model"),
    {'m', "model", "DIR", CLI_STRING, &args.model, .help = "model folder"},
    {0, "arch", "FILE", CLI_STRING, &args.arch, .help = "arch.yaml: random weights in memory"},
    {0, "weights", "TYPE", CLI_CHOICE, &args.weights,
     .help = "with --arch: f32, bf16, f16, int8, int4", .def = "what the file says, or bf16",
     .choices = weight_choices},
    {0, "seed", "N", CLI_U64, &args.seed, .help = "of random weights", .def = "0"},
    {0, "kv", "TYPE", CLI_CHOICE, &args.kv, .help = "number type of the KV cache: f32, bf16, int8",
     .def = "f32 with f32 weights, else bf16", .choices = kv_choices},
    CLI_HEADING("What to measure"),
    {0, "prefill", "LIST", CLI_STRING, &args.prefill,
     .help = "prompt lengths, separated by commas; 0: none", .def = "512"},
    {0, "decode", "N", CLI_U32, &args.decode, .help = "tokens to decode; 0: do not", .def = "64",
     .max = 1 << 20},
    {0, "depth", "LIST", CLI_STRING, &args.depth,
     .help = "tokens that a session has when it decodes", .def = "0"},
    {0, "batch", "LIST", CLI_STRING, &args.batch,
     .help = "sessions that decode together, at each depth", .def = "1"},
    {0, "sessions", NULL, CLI_FLAG, &args.sessions,
     .help = "fork, rollback, second turn, save and load at each depth above 0; and the next two"},
    {0, "shared", "LIST", CLI_STRING, &args.shared,
     .help = "with --sessions: 64 prompts that share so many tokens and then differ; 0: none",
     .def = "4096,4196"},
    {0, "many", "N", CLI_U32, &args.many,
     .help = "with --sessions: sessions on the first of these prompts; 0: none", .def = "1000",
     .max = 1 << 20},
    {0, "repeat", "R", CLI_U32, &args.repeat, .help = "rounds", .def = "5", .min = 1,
     .max = MAX_ROUNDS},
    {0, "read-bytes", "SIZE", CLI_SIZE, &args.read_bytes,
     .help = "memory to read for the rate of reading; several times the caches", .def = "1G",
     .min = 4 << 20, .max = 1e15},
    CLI_COMMON_OPTIONS,
    CLI_MODEL_OPTIONS,
    CLI_END,
};
static const char *const description[] = {
    "Every round measures the rate of reading memory and the rate of the model's own matrix "
    "products on this machine, then prefill, decode at depths, and several sessions that "
    "decode together; the report sets each speed beside the limit that memory or arithmetic "
    "would allow.",
    "With --arch nothing needs to be downloaded: the weights are random, which costs as "
    "much time as trained ones.",
    NULL,
};
static const cli_program program = {
    .name = "gla-bench",
    .summary = "Measures a model beside the limits of the machine it runs on.",
    .usage = usage,
    .options = options,
    .examples = examples,
    .description = description,
};

/* ---- the plan ---- */

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static bool number_list(const char *name, const char *text, uint64_t max, uint64_t *out,
                        uint32_t *n)
{
    if (!cli_parse_list(text, UINT64_MAX, out, MAX_ENTRIES, n)) {
        cli_usage_error("--%s: '%s' is no list of at most %d numbers", name, text, MAX_ENTRIES);
        return false;
    }
    qsort(out, *n, sizeof(*out), compare);
    for (uint32_t i = 0; i < *n; i++)
        if (out[i] > max) {
            cli_usage_error("--%s: %llu is above %llu", name, (unsigned long long)out[i],
                            (unsigned long long)max);
            return false;
        }
    return true;
}

/* False: the usage was wrong, and it has been said. */
static bool make_plan(bench *b)
{
    const uint64_t max_tokens = UINT64_C(1) << 24;
    uint64_t lengths[MAX_ENTRIES], batches[MAX_ENTRIES], shared[MAX_ENTRIES];
    uint32_t n_lengths, n_batches, n_shared;

    if (!number_list("prefill", args.prefill, max_tokens, lengths, &n_lengths) ||
        !number_list("depth", args.depth, max_tokens, b->depths, &b->n_depths) ||
        !number_list("batch", args.batch, MAX_BATCH, batches, &n_batches) ||
        !number_list("shared", args.shared, max_tokens, shared, &n_shared))
        return false;
    for (uint32_t i = 0; i < n_lengths; i++)
        if (lengths[i])
            b->prefills[b->n_prefills++].tokens = lengths[i];
    for (uint32_t i = 0; i < b->n_depths; i++) {
        for (uint32_t k = 0; k < n_batches && args.decode; k++)
            if (batches[k])
                b->decodes[b->n_decodes++] =
                    (decode_item){.depth = b->depths[i], .batch = (uint32_t)batches[k], .base = i};
        if (args.sessions && b->depths[i])
            b->sessions[b->n_sessions++].depth = b->depths[i];
    }
    for (uint32_t i = 0; i < n_shared && args.sessions; i++)
        if (shared[i])
            b->shared[b->n_shared++].tokens = shared[i];
    b->many.wanted = b->n_shared ? args.many : 0;
    if (args.sessions && !b->n_sessions) {
        cli_usage_error("--sessions needs a --depth above 0");
        return false;
    }
    b->n_tokens = lengths[n_lengths - 1] > b->depths[b->n_depths - 1] ? lengths[n_lengths - 1]
                                                                      : b->depths[b->n_depths - 1];
    if (b->n_shared && b->shared[b->n_shared - 1].tokens > b->n_tokens)
        b->n_tokens = b->shared[b->n_shared - 1].tokens;
    b->n_tokens += args.decode + 1024;
    b->rounds = args.repeat;
    b->decode_tokens = args.decode;
    b->with_sessions = args.sessions;
    b->read_bytes = args.read_bytes;
    return true;
}

/* ---- the model ---- */

/* As gla_model_options says of kv_dtype. */
static uint32_t default_kv(const gla_description *d)
{
    for (uint32_t i = 0; i < d->n_weights; i++)
        if (d->weights[i].role == GLA_WEIGHT_MATRIX && !(d->weights[i].flags & GLA_WEIGHT_LOOKUP) &&
            d->weights[i].dtype != GLA_DTYPE_F32)
            return GLA_DTYPE_BF16;
    return GLA_DTYPE_F32;
}

static gla_status open_model(bench *b, gla_diag *diag)
{
    const uint32_t kv = args.kv ? gla_dtype_parse(args.kv) : 0;
    gla_model_options o = {GLA_SIZED(gla_model_options),
                           .max_batch_rows = BATCH_ROWS,
                           .max_sequences = MAX_BATCH,
                           .kv_dtype = kv,
                           .weights_dtype = args.weights ? gla_dtype_parse(args.weights) : 0,
                           .seed = args.seed,
                           .progress = cli_progress};
    gla_arch *arch = NULL;
    gla_status st = cli_registry(&o.registry, diag);

    b->load_seconds = cli_now();
    if (!st && args.arch)
        st = gla_arch_read(args.arch, &arch, diag);
    if (!st)
        st = args.arch ? gla_model_random(arch, &o, &b->model, diag)
                       : gla_model_open(args.model, &o, &b->model, diag);
    b->load_seconds = cli_now() - b->load_seconds;
    cli_progress_clear();
    gla_arch_free(arch);
    gla_registry_free(o.registry);
    if (st)
        return st;
    b->random = args.arch != NULL;
    b->name = gla_model_arch(b->model)->name ? gla_model_arch(b->model)->name : "model";
    b->kv_dtype = kv ? kv : default_kv(gla_model_description(b->model));
    b->session = (gla_session_options){GLA_SIZED(gla_session_options), .kv_dtype = b->kv_dtype};
    return GLA_OK;
}

static gla_status allocate(bench *b, gla_diag *diag)
{
    const uint32_t vocab = gla_model_vocab_size(b->model);
    uint64_t state = 1;
    uint32_t batch = 1;

    for (uint32_t i = 0; i < b->n_decodes; i++)
        batch = b->decodes[i].batch > batch ? b->decodes[i].batch : batch;
    b->tokens = malloc(b->n_tokens * sizeof(*b->tokens));
    b->logits = malloc((size_t)batch * vocab * sizeof(*b->logits));
    if (!b->tokens || !b->logits)
        return cli_diag(diag, GLA_E_NOMEM, "", "tokens and logits");
    for (uint64_t i = 0; i < b->n_tokens; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        b->tokens[i] = (int32_t)((state >> 33) % vocab);
    }
    return GLA_OK;
}

/* ---- measuring ---- */

static gla_status first_token(bench *b, gla_diag *diag)
{
    gla_session *s = NULL;
    double start = cli_now();
    gla_status st = gla_session_create(b->model, &b->session, &s, diag);

    if (!st)
        st = gla_session_feed(s, b->tokens, 1, GLA_FEED_LOGITS, diag);
    b->first_token_seconds = b->load_seconds + cli_now() - start;
    gla_session_free(s);
    return st;
}

/* What the process took at most up to now: measured before memory is taken for other reasons. */
static void note_memory(bench *b)
{
    struct rusage r;

    gla_model_memory(b->model, &b->held, sizeof(b->held));
    b->peak_bytes = getrusage(RUSAGE_SELF, &r) ? 0 : (uint64_t)r.ru_maxrss * 1024;
}

/* Once through everything without counting, except reading and products: the model alone takes
 * memory, and everything is warm. */
static gla_status warm_up(bench *b, gla_diag *diag)
{
    gla_status st = bench_bases(b, diag);
    bench *scratch = st ? NULL : malloc(sizeof(*scratch));

    if (st || !scratch)
        return st ? st : cli_diag(diag, GLA_E_NOMEM, "", "the warm-up");
    *scratch = *b;
    scratch->decode_tokens = b->decode_tokens < 2 ? b->decode_tokens : 2;
    bench_progress("warming up");
    if (b->n_prefills)
        st = bench_prefill(scratch, &scratch->prefills[b->n_prefills - 1], diag);
    for (uint32_t i = 0; i < b->n_decodes && !st; i++)
        st = bench_decode(scratch, &scratch->decodes[i], diag);
    free(scratch);
    note_memory(b);
    return st;
}

static gla_status measure_round(bench *b, gla_diag *diag)
{
    gla_status st = bench_reading(b, diag);

    for (uint32_t i = 0; i < b->n_gemms && !st; i++)
        st = bench_gemm(&b->gemms[i], diag);
    for (uint32_t i = 0; i < b->n_prefills && !st; i++) {
        bench_progress("round %u of %u: prefill of %llu", b->done + 1, b->rounds,
                       (unsigned long long)b->prefills[i].tokens);
        st = bench_prefill(b, &b->prefills[i], diag);
    }
    for (uint32_t i = 0; i < b->n_decodes && !st; i++) {
        bench_progress("round %u of %u: decode at %llu, batch %u", b->done + 1, b->rounds,
                       (unsigned long long)b->decodes[i].depth, b->decodes[i].batch);
        st = bench_decode(b, &b->decodes[i], diag);
    }
    return st;
}

static gla_status measure(bench *b, gla_diag *diag)
{
    gla_status st = first_token(b, diag);

    bench_account(b);
    if (!st)
        st = warm_up(b, diag);
    if (st)
        return st;
    b->memory = malloc(b->read_bytes);
    if (!b->memory) {
        cli_diag(diag, GLA_E_NOMEM, "", "memory to read");
        return cli_hint(diag, "give a smaller --read-bytes");
    }
    memset(b->memory, 0x3c, b->read_bytes); /* untouched pages would all be the same one */
    while (b->done < b->rounds && !st && !cli_interrupted()) {
        st = measure_round(b, diag);
        b->done += !st;
    }
    for (uint32_t i = 0; i < b->n_sessions && !st && !cli_interrupted(); i++)
        st = bench_sessions(b, &b->sessions[i], i + (b->n_depths - b->n_sessions), diag);
    for (uint32_t i = 0; i < b->n_shared && !st && !cli_interrupted(); i++)
        st = bench_shared(b, i, diag);
    return st;
}

static void finish(bench *b)
{
    for (uint32_t i = 0; i < b->n_depths; i++)
        gla_session_free(b->bases[i]);
    gla_model_free(b->model);
    free(b->tokens);
    free(b->logits);
    free(b->memory);
}

int main(int argc, char **argv)
{
    static bench b; /* zeroed; tens of kilobytes */
    gla_diag diag = {.offset = UINT64_MAX};
    gla_status st;
    int status;

    if (cli_start(&program, argc, argv, &status))
        return status;
    if (!args.model == !args.arch)
        return cli_usage_error("which model? either -m DIR or --arch FILE");
    if (args.weights && !args.arch)
        return cli_usage_error("--weights goes with --arch; gla-convert re-quantises a model");
    if (!make_plan(&b))
        return 2;
    st = open_model(&b, &diag);
    if (!st)
        st = allocate(&b, &diag);
    if (!st)
        st = measure(&b, &diag);
    if (cli.progress)
        fputs("\r\033[K", stderr);
    if (st && !(st == GLA_E_CANCELLED && b.reading.n)) {
        status = cli_fail(&diag);
    } else {
        if (cli.json)
            bench_report_json(&b, cli_interrupted());
        else
            bench_report(&b);
        status = cli_finish(cli_interrupted() ? 130 : 0);
    }
    finish(&b);
    return status;
}
