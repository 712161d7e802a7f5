/* SPDX-License-Identifier: Apache-2.0
 *
 * gla-inspect - what is this model: layers, parameters, FLOPs, and what a context costs in memory;
 * and what there is to make models of
 */
#include "gla-inspect/inspect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    const char *context, *kv, *layer;
    bool weights, layers;
} args = {.context = "4096,32768,131072", .kv = "bf16"};

enum { MAX_CONTEXTS = 16 };
static uint64_t contexts[MAX_CONTEXTS];
static uint32_t n_contexts;

static const char *const kv_choices[] = {"f32", "bf16", "int8", NULL};
static const char *const usage[] = {"[OPTION]... DIR|arch.yaml", "--layers [--plugin FILE.so]",
                                    "--layer TYPE [--plugin FILE.so]", NULL};
static const char *const examples[] = {
    "gla-inspect models/tiny-hybrid",
    "gla-inspect configs/gla-1.3b-hybrid-3-1.yaml --context 16K,64K",
    "gla-inspect configs/qwen3-next-80b-a3b.yaml --json",
    "gla-inspect --layer attention",
    NULL,
};
static const cli_option options[] = {
    CLI_HEADING("Inspecting"),
    {0, "context", "N,...", CLI_STRING, &args.context,
     .help = "say what sequences of these many tokens cost (K, M: times 1024, 1024^2)",
     .def = "4096,32768,131072"},
    {0, "kv", "TYPE", CLI_CHOICE, &args.kv, .help = "number type of the KV cache: f32, bf16, int8",
     .def = "bf16", .choices = kv_choices},
    {0, "weights", NULL, CLI_FLAG, &args.weights, .help = "list every tensor by name and shape"},
    CLI_HEADING("Writing architectures"),
    {0, "layers", NULL, CLI_FLAG, &args.layers, .help = "list the layer types that there are"},
    {0, "layer", "TYPE", CLI_STRING, &args.layer,
     .help = "list the parameters that a layer type takes"},
    CLI_COMMON_OPTIONS,
    CLI_MODEL_OPTIONS,
    CLI_END,
};
static const char *const description[] = {
    "The argument is a model folder, its arch.yaml, or an architecture written by hand. "
    "Parameters, FLOPs, states and KV caches come from what the layers declare; no weights "
    "are read and nothing runs, so a model that is too large for this machine can be "
    "inspected on it.",
    "With --layers and --layer there is no model: they say which layers an architecture can be "
    "made of, and what each takes, a plugin's as well.",
    "A mistake in the file is reported with its line and column, and what was expected "
    "there.",
    NULL,
};
static const cli_program program = {
    .name = "gla-inspect",
    .summary = "Says what a model is made of and what it costs, without running it.",
    .usage = usage,
    .options = options,
    .examples = examples,
    .max_operands = 1,
    .description = description,
};

/* What one layer of the model has; those of the same block and numbers are alike. */
typedef struct row {
    uint32_t block; /* of arch->blocks */
    bool listed;
    uint64_t params, state, kv_values;
} row;

/* One for each layer; NULL without memory. */
static row *make_rows(const gla_arch *arch, const gla_description *d)
{
    row *rows = calloc(arch->n_layers, sizeof(*rows));

    for (uint32_t i = 0; rows && i < arch->n_layers; i++)
        rows[i].block = arch->layers[i];
    for (uint32_t i = 0; rows && i < d->n_layers; i++) {
        const gla_layer_info *l = &d->layers[i];

        if (l->block == UINT32_MAX)
            continue;
        rows[l->block].params += l->params;
        rows[l->block].state += l->state_bytes;
        rows[l->block].kv_values += l->kv_values_per_token;
    }
    return rows;
}

static bool alike(const row *a, const row *b)
{
    return a->block == b->block && a->params == b->params && a->state == b->state &&
           a->kv_values == b->kv_values;
}

/* "gla heads=4 expand_k=0.5": type and what the file gave. */
static void print_layer(const gla_arch_layer *l)
{
    printf("%s", l->type);
    for (uint32_t i = 0; i < l->n_params; i++) {
        const gla_arch_param *p = &l->params[i];

        if (p->kind == GLA_ARCH_LIST)
            printf(" %s=[%u]", p->name, p->n_list);
        else if (p->kind == GLA_ARCH_STRING)
            printf(" %s=%s", p->name, p->string);
        else if (p->kind == GLA_ARCH_BOOL)
            printf(" %s%s", p->number != 0 ? "" : "no ", p->name);
        else
            printf(" %s=%g", p->name, p->number);
    }
}

/* One sign a layer: what its mixers keep of a sequence. */
static void print_pattern(const gla_arch *arch, const row *rows)
{
    printf("  pattern     ");
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        const row *r = &rows[i];

        printf("%s", !arch->blocks[r->block].n_mixers ? "·"
                     : r->kv_values && r->state       ? "◆"
                     : r->kv_values                   ? "█"
                                                      : "░");
    }
    printf("    ░ recurrent  █ softmax  ◆ both  · neither\n");
}

/* "0-2, 4-6": the layers from the first one on that are like it. */
static void list_alike(row *rows, uint32_t n, uint32_t first)
{
    uint32_t run = 0;

    for (uint32_t i = first; i <= n; i++) {
        if (i < n && alike(&rows[first], &rows[i])) {
            rows[i].listed = true;
            run++;
            continue;
        }
        if (!run)
            continue;
        printf("%s%u", i - run > first ? ", " : "", i - run);
        if (run > 1)
            printf("-%u", i - 1);
        run = 0;
    }
    printf("\n");
}

/* Every kind of layer once, where it first stands. */
static void print_blocks(const gla_arch *arch, row *rows)
{
    printf("\n  %-10s %-11s %-12s %s\n", "params", "state/seq", "KV/token",
           "in each of the blocks");
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        const row *r = &rows[i];
        const gla_arch_block *block = &arch->blocks[r->block];
        char a[32], b[32], kv[32];

        if (r->listed)
            continue;
        snprintf(kv, sizeof(kv), "%llu values", (unsigned long long)r->kv_values);
        printf("  %-10s %-11s %-12s ", cli_format_count(a, (double)r->params),
               r->state ? cli_format_bytes(b, r->state) : "-", r->kv_values ? kv : "-");
        list_alike(rows, arch->n_layers, i);
        printf("  %36s ", "mixer");
        for (uint32_t k = 0; k < block->n_mixers; k++) {
            printf("%s", k ? " + " : "");
            print_layer(&block->mixers[k]);
        }
        printf("%s\n  %36s ", block->n_mixers ? "" : "none", "ffn");
        if (block->ffn.type)
            print_layer(&block->ffn);
        printf("%s\n", block->ffn.type ? "" : "none");
    }
}

static uint64_t file_size(const char *dir)
{
    char path[4096];
    struct stat st;

    snprintf(path, sizeof(path), "%s/weights.glaw", dir);
    return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

/* KV caches that keep only the last so many tokens. */
typedef struct windows {
    uint32_t n, caches; /* of so many */
    uint32_t least, most;
} windows;

static windows find_windows(const gla_description *d)
{
    windows w = {0};

    for (uint32_t i = 0; i < d->n_layers; i++) {
        const gla_layer_info *l = &d->layers[i];

        w.caches += l->kv_values_per_token > 0;
        if (!l->kv_values_per_token || !l->window)
            continue;
        w.least = w.n && w.least < l->window ? w.least : l->window;
        w.most = w.most > l->window ? w.most : l->window;
        w.n++;
    }
    return w;
}

/* Bytes that a token takes where no window is full: a cache of one token is a page of 64. */
static double kv_bytes_per_token(const gla_description *d, uint32_t kv)
{
    return (double)gla_description_kv_bytes(d, 1, kv) / 64;
}

static void print_compute(const gla_description *d, const windows *w)
{
    const double base = gla_description_flops(d, 0), full = gla_description_flops(d, w->most);
    const double slope = gla_description_flops(d, w->most + UINT64_C(1000)) - full;
    char buf[32];

    printf("  compute     %s FLOPs per token", cli_format_count(buf, base));
    if (w->n)
        printf(", %s more with full windows",
               cli_format_count(buf, full - base - slope * w->most / 1000));
    if (slope > 0)
        printf(", and %s more per 1000 tokens of context", cli_format_count(buf, slope));
    printf(w->caches ? "\n" : ", whatever the context\n");
}

static void print_kv(const gla_description *d, const windows *w, uint32_t kv)
{
    char buf[32];

    printf("  KV          %llu values per token (%s: %s)",
           (unsigned long long)d->kv_values_per_token, args.kv,
           cli_format_bytes(buf, (uint64_t)(kv_bytes_per_token(d, kv) + 0.5)));
    if (w->n)
        printf("; %u of %u caches keep the last %u", w->n, w->caches, w->least);
    if (w->most > w->least)
        printf(" to %u", w->most);
    printf(w->n ? " tokens\n" : "\n");
}

static void print_crossover(const gla_description *d, uint32_t kv)
{
    const uint64_t tokens = gla_description_crossover(d, kv);

    if (tokens)
        printf("\n  KV outgrows the recurrent state at %llu tokens\n", (unsigned long long)tokens);
    else if (d->kv_values_per_token && d->state_bytes)
        printf("\n  no crossover: with full windows KV is still less than the recurrent state\n");
    else
        printf("\n  no crossover: the model has only %s\n",
               d->kv_values_per_token ? "KV caches" : "recurrent states");
}

static void print_contexts(const gla_description *d, uint32_t kv)
{
    printf("\n  %-12s %-12s %-12s %s\n", "context", "KV", "session", "FLOPs per token");
    for (uint32_t i = 0; i < n_contexts; i++) {
        char a[32], b[32], f[32];
        gla_memory m;

        gla_description_session(d, contexts[i], kv, 0, &m, sizeof(m));
        printf("  %-12llu %-12s %-12s %s\n", (unsigned long long)contexts[i],
               cli_format_bytes(a, m.kv), cli_format_bytes(b, m.kv + m.state + m.history),
               cli_format_count(f, gla_description_flops(d, contexts[i])));
    }
    printf("  (a session: KV, states, its tokens, page tables and the last logits)\n");
}

static void print_text(const char *path, const gla_arch *arch, const gla_description *d, row *rows,
                       uint32_t kv)
{
    const uint64_t stored = file_size(path);
    const windows w = find_windows(d);
    char a[32], b[32], name[256];

    snprintf(name, sizeof(name), "%s", arch->name && arch->name[0] ? arch->name : path);
    printf("%s%s%s%s\n", gla_text_clean(name), arch->family && arch->family[0] ? "  (" : "",
           arch->family ? arch->family : "", arch->family && arch->family[0] ? ")" : "");
    printf("  shape       %u blocks, d_model %u, vocabulary %u%s\n", arch->n_layers, arch->d_model,
           arch->vocab_size, arch->tie_embeddings ? ", tied embeddings" : "");
    print_pattern(arch, rows);
    printf("  parameters  %s", cli_format_count(a, (double)d->params));
    if (d->active_params != d->params)
        printf(", %s active per token", cli_format_count(b, (double)d->active_params));
    printf("\n");
    if (stored)
        printf("  on disk     %s\n", cli_format_bytes(a, stored));
    print_compute(d, &w);
    printf("  state       %s per sequence, whatever its length\n",
           cli_format_bytes(a, d->state_bytes));
    print_kv(d, &w, kv);
    print_blocks(arch, rows);
    print_contexts(d, kv);
    print_crossover(d, kv);
}

static void print_weights(const gla_description *d)
{
    printf("\n");
    for (uint32_t i = 0; i < d->n_weights; i++) {
        const gla_weight_info *w = &d->weights[i];

        if (w->shared_with_previous)
            continue;
        printf("  %-48s [", w->name);
        for (uint32_t k = 0; k < w->ndim; k++)
            printf(k ? ", %lld" : "%lld", (long long)w->dims[k]);
        printf("]\n");
    }
}

static json_t *json_layers(const gla_description *d)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < d->n_layers; i++) {
        const gla_layer_info *l = &d->layers[i];

        json_array_append_new(
            list,
            json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", l->name, "type",
                      l->type_id, "block",
                      l->block == UINT32_MAX ? json_null() : cli_json_count(l->block), "parameters",
                      cli_json_count(l->params), "active_parameters",
                      cli_json_count(l->active_params), "flops_per_token",
                      cli_json_number(l->flops_per_token), "flops_per_cached_token",
                      cli_json_number(l->flops_per_cached_token), "state_bytes",
                      cli_json_count(l->state_bytes), "kv_values_per_token",
                      cli_json_count(l->kv_values_per_token), "window", cli_json_count(l->window)));
    }
    return list;
}

static json_t *json_weights(const gla_description *d)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < d->n_weights; i++) {
        const gla_weight_info *w = &d->weights[i];
        json_t *shape;

        if (w->shared_with_previous)
            continue;
        shape = json_array();
        for (uint32_t k = 0; k < w->ndim; k++)
            json_array_append_new(shape, cli_json_count((uint64_t)w->dims[k]));
        json_array_append_new(list, json_pack("{s:s, s:o}", "name", w->name, "shape", shape));
    }
    return list;
}

static json_t *json_contexts(const gla_description *d, uint32_t kv)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < n_contexts; i++) {
        gla_memory m;

        gla_description_session(d, contexts[i], kv, 0, &m, sizeof(m));
        json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:o, s:o, s:o}", "tokens", cli_json_count(contexts[i]),
                      "kv_bytes", cli_json_count(m.kv), "state_bytes", cli_json_count(m.state),
                      "history_bytes", cli_json_count(m.history), "flops_per_token",
                      cli_json_number(gla_description_flops(d, contexts[i]))));
    }
    return list;
}

static void print_json(const char *path, const gla_arch *arch, const gla_description *d,
                       uint32_t kv)
{
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "schema", "gla.inspect/1", "name",
        arch->name ? arch->name : "", "family", arch->family ? arch->family : "", "blocks",
        cli_json_count(arch->n_layers), "d_model", cli_json_count(arch->d_model), "vocab_size",
        cli_json_count(arch->vocab_size), "max_positions", cli_json_count(arch->max_positions),
        "file_bytes", cli_json_count(file_size(path)));

    cli_json_add(
        o, json_pack(
               "{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "parameters", cli_json_count(d->params),
               "active_parameters", cli_json_count(d->active_params), "flops_per_token",
               cli_json_number(d->flops_per_token), "state_bytes", cli_json_count(d->state_bytes),
               "kv_values_per_token", cli_json_count(d->kv_values_per_token), "kv_bytes_per_token",
               cli_json_number(kv_bytes_per_token(d, kv)), "kv_dtype", args.kv, "crossover_tokens",
               cli_json_count(gla_description_crossover(d, kv))));
    json_object_set_new(o, "contexts", json_contexts(d, kv));
    json_object_set_new(o, "layers", json_layers(d));
    if (args.weights)
        json_object_set_new(o, "weights", json_weights(d));
    cli_json_print(o, 2);
}

int main(int argc, char **argv)
{
    gla_registry *registry = NULL;
    gla_description *d = NULL;
    gla_arch *arch = NULL;
    gla_diag diag;
    const char *path;
    uint32_t kv;
    int status;

    if (cli_start(&program, argc, argv, &status))
        return status;
    if ((args.layers || args.layer) && cli.operands.n)
        return cli_usage_error("--layers and --layer TYPE go without a model");
    if (args.layers || args.layer)
        return inspect_layers(args.layer);
    if (!cli.operands.n)
        return cli_usage_error("DIR|arch.yaml is missing");
    if (!cli_parse_list(args.context, CLI_MOST_CONTEXT, contexts, MAX_CONTEXTS, &n_contexts))
        return cli_usage_error("--context: '%s' is no list of up to %d numbers up to 1T",
                               args.context, MAX_CONTEXTS);
    path = cli.operands.items[0];
    kv = gla_dtype_parse(args.kv);
    if (cli_registry(&registry, &diag) || gla_arch_read(path, &arch, &diag) ||
        gla_describe(arch, registry, &d, &diag)) {
        status = cli_fail(&diag);
    } else {
        row *rows = make_rows(arch, d);

        if (!rows)
            status = cli_error("%s: out of memory", path);
        else if (cli.json)
            print_json(path, arch, d, kv);
        else
            print_text(path, arch, d, rows, kv);
        if (rows && args.weights && !cli.json)
            print_weights(d);
        free(rows);
        status = rows ? cli_finish(0) : status;
    }
    gla_description_free(d);
    gla_arch_free(arch);
    gla_registry_free(registry);
    return status;
}
