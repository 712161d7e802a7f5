/* SPDX-License-Identifier: Apache-2.0
 *
 * gla-inspect - what is this model: layers, parameters, FLOPs, and what a context costs in memory
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    const char *context, *kv;
    bool weights;
} args = {.context = "4096,32768,131072", .kv = "bf16"};

enum { MAX_CONTEXTS = 16 };
static uint64_t contexts[MAX_CONTEXTS];
static uint32_t n_contexts;

static const char *const kv_choices[] = {"f32", "bf16", "int8", NULL};
static const char *const usage[] = {"[OPTION]... DIR|arch.yaml", NULL};
static const char *const examples[] = {
    "gla-inspect models/tiny-hybrid",
    "gla-inspect configs/gla-1.3b-hybrid-3-1.yaml --context 16K,64K",
    "gla-inspect configs/qwen3-next-80b-a3b.yaml --json",
    NULL,
};
static const cli_option options[] = {
    CLI_HEADING("Inspecting"),
    {0, "context", "N,...", CLI_STRING, &args.context,
     .help = "say what sequences of these many tokens cost (K, M: times 1024, 1024^2)",
     .def = "4096,32768,131072"},
    {0, "kv", "TYPE", CLI_CHOICE, &args.kv, .help = "number type of the KV cache: f32, bf16, int8",
     .def = "bf16", .choices = kv_choices},
    {0, "weights", NULL, CLI_FLAG, &args.weights, .help = "list every tensor"},
    CLI_COMMON_OPTIONS,
    CLI_MODEL_OPTIONS,
    CLI_END,
};
static const char *const description[] = {
    "The argument is a model folder, its arch.yaml, or an architecture written by hand. "
    "Parameters, FLOPs, states and KV caches come from what the layers declare; no weights "
    "are read and nothing runs, so a model that is too large for this machine can be "
    "inspected on it.",
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
    .min_operands = 1,
    .max_operands = 1,
    .operand = "DIR|arch.yaml",
    .description = description,
};

/* A block that stands for all that are like it. */
typedef struct row {
    uint32_t first;
    char mixer[160], ffn[96];
    uint64_t params, state, kv_values;
} row;

static void append(char *text, size_t size, const char *more)
{
    strncat(text, more, size - strlen(text) - 1);
}

/* "gla heads=4 expand_k=0.5": type and what the file gave. */
static void layer_text(const gla_arch_layer *l, char *text, size_t size)
{
    char part[64];

    append(text, size, l->type);
    for (uint32_t i = 0; i < l->n_params; i++) {
        const gla_arch_param *p = &l->params[i];

        if (p->kind == GLA_ARCH_LIST)
            snprintf(part, sizeof(part), " %s=[%u]", p->name, p->n_list);
        else if (p->kind == GLA_ARCH_STRING)
            snprintf(part, sizeof(part), " %s=%s", p->name, p->string);
        else if (p->kind == GLA_ARCH_BOOL)
            snprintf(part, sizeof(part), " %s%s", p->number != 0 ? "" : "no ", p->name);
        else
            snprintf(part, sizeof(part), " %s=%g", p->name, p->number);
        append(text, size, part);
    }
}

static void fill_row(const gla_arch *arch, const gla_description *d, uint32_t block, row *r)
{
    const gla_arch_block *b = &arch->blocks[arch->layers[block]];

    memset(r, 0, sizeof(*r));
    r->first = block;
    for (uint32_t i = 0; i < b->n_mixers; i++) {
        if (i)
            append(r->mixer, sizeof(r->mixer), " + ");
        layer_text(&b->mixers[i], r->mixer, sizeof(r->mixer));
    }
    if (b->ffn.type)
        layer_text(&b->ffn, r->ffn, sizeof(r->ffn));
    for (uint32_t i = 0; i < d->n_layers; i++) {
        const gla_layer_info *l = &d->layers[i];

        if (l->block != block)
            continue;
        r->params += l->params;
        r->state += l->state_bytes;
        r->kv_values += l->kv_values_per_token;
    }
}

static bool same_row(const row *a, const row *b)
{
    return !strcmp(a->mixer, b->mixer) && !strcmp(a->ffn, b->ffn) && a->params == b->params &&
           a->state == b->state && a->kv_values == b->kv_values;
}

/* One letter a block: the first of its mixer's type, capital when it keeps a KV cache. */
static void print_pattern(const gla_arch *arch, const gla_description *d)
{
    printf("  pattern     ");
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        const gla_arch_block *b = &arch->blocks[arch->layers[i]];
        row r;

        fill_row(arch, d, i, &r);
        printf("%s", !b->n_mixers ? "·" : r.kv_values && r.state ? "◆" : r.kv_values ? "█" : "░");
    }
    printf("    ░ recurrent  █ softmax  ◆ both  · neither\n");
}

/* "0-2, 4-6": the blocks that are like this one. */
static void list_alike(const gla_arch *arch, const gla_description *d, const row *like, char *text,
                       size_t size)
{
    uint32_t run = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i <= arch->n_layers; i++) {
        char part[32];
        row r;

        if (i < arch->n_layers) {
            fill_row(arch, d, i, &r);
            if (same_row(like, &r)) {
                run++;
                continue;
            }
        }
        if (!run)
            continue;
        snprintf(part, sizeof(part), run > 1 ? "%s%u-%u" : "%s%u", text[0] ? ", " : "", i - run,
                 i - 1);
        append(text, size, part);
        run = 0;
    }
}

/* Every kind of block once, where it first stands. */
static void print_blocks(const gla_arch *arch, const gla_description *d)
{
    printf("\n  %-10s %-11s %-12s %s\n", "params", "state/seq", "KV/token", "blocks");
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        char a[32], b[32], kv[32], blocks[160];
        bool seen = false;
        row r, before;

        fill_row(arch, d, i, &r);
        for (uint32_t k = 0; k < i && !seen; k++) {
            fill_row(arch, d, k, &before);
            seen = same_row(&before, &r);
        }
        if (seen)
            continue;
        list_alike(arch, d, &r, blocks, sizeof(blocks));
        snprintf(kv, sizeof(kv), "%llu values", (unsigned long long)r.kv_values);
        printf("  %-10s %-11s %-12s %s\n", cli_format_count(a, (double)r.params),
               r.state ? cli_format_bytes(b, r.state) : "-", r.kv_values ? kv : "-", blocks);
        printf("  %36s %s\n", "mixer", r.mixer[0] ? r.mixer : "none");
        printf("  %36s %s\n", "ffn", r.ffn[0] ? r.ffn : "none");
    }
}

static uint64_t file_size(const char *dir)
{
    char path[4096];
    struct stat st;

    snprintf(path, sizeof(path), "%s/weights.glaw", dir);
    return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

static void print_text(const char *path, const gla_arch *arch, const gla_description *d,
                       uint32_t kv)
{
    char a[32], b[32], c[32];
    const uint64_t stored = file_size(path), crossover = gla_description_crossover(d, kv);

    printf("%s%s%s%s\n", arch->name && arch->name[0] ? arch->name : path,
           arch->family && arch->family[0] ? "  (" : "", arch->family ? arch->family : "",
           arch->family && arch->family[0] ? ")" : "");
    printf("  shape       %u blocks, d_model %u, vocabulary %u%s\n", arch->n_layers, arch->d_model,
           arch->vocab_size, arch->tie_embeddings ? ", tied embeddings" : "");
    print_pattern(arch, d);
    printf("  parameters  %s", cli_format_count(a, (double)d->params));
    if (d->active_params != d->params)
        printf(", %s active per token", cli_format_count(b, (double)d->active_params));
    printf("\n");
    if (stored)
        printf("  on disk     %s\n", cli_format_bytes(a, stored));
    printf("  compute     %s FLOPs per token, and %s more per 1000 tokens of context\n",
           cli_format_count(a, gla_description_flops(d, 0)),
           cli_format_count(b, gla_description_flops(d, 1000) - gla_description_flops(d, 0)));
    printf("  state       %s per sequence, whatever its length\n",
           cli_format_bytes(a, d->state_bytes));
    printf("  KV          %llu values per token (%s: %s)\n",
           (unsigned long long)d->kv_values_per_token, args.kv,
           cli_format_bytes(b, (gla_description_kv_bytes(d, 65536, kv) + 32768) / 65536));
    print_blocks(arch, d);
    printf("\n  %-12s %-12s %-12s %s\n", "context", "KV", "session", "FLOPs per token");
    for (uint32_t i = 0; i < n_contexts; i++) {
        gla_memory m;
        char f[32];

        gla_description_session(d, contexts[i], kv, 0, &m);
        printf("  %-12llu %-12s %-12s %s\n", (unsigned long long)contexts[i],
               cli_format_bytes(a, m.kv), cli_format_bytes(b, m.kv + m.state + m.history),
               cli_format_count(f, gla_description_flops(d, contexts[i])));
    }
    printf("  (a session: KV, states, its tokens, page tables and the last logits)\n");
    if (crossover)
        printf("\n  KV outgrows the recurrent state at %s tokens\n",
               cli_format_count(c, (double)crossover));
    else
        printf("\n  no crossover: the model has only %s\n",
               d->kv_values_per_token ? "KV caches" : "recurrent states");
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

static json_t *json_count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *json_layers(const gla_description *d)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < d->n_layers; i++) {
        const gla_layer_info *l = &d->layers[i];
        json_t *o = json_object();

        json_object_set_new(o, "name", json_string(l->name));
        json_object_set_new(o, "type", json_string(l->type_id));
        json_object_set_new(o, "block",
                            l->block == UINT32_MAX ? json_null() : json_count(l->block));
        json_object_set_new(o, "parameters", json_count(l->params));
        json_object_set_new(o, "active_parameters", json_count(l->active_params));
        json_object_set_new(o, "flops_per_token", cli_json_number(l->flops_per_token));
        json_object_set_new(o, "flops_per_cached_token",
                            cli_json_number(l->flops_per_cached_token));
        json_object_set_new(o, "state_bytes", json_count(l->state_bytes));
        json_object_set_new(o, "kv_values_per_token", json_count(l->kv_values_per_token));
        json_object_set_new(o, "window", json_count(l->window));
        json_array_append_new(list, o);
    }
    return list;
}

static void print_json(const char *path, const gla_arch *arch, const gla_description *d,
                       uint32_t kv)
{
    json_t *o = json_object(), *list = json_array();

    json_object_set_new(o, "schema", json_string("gla.inspect/1"));
    json_object_set_new(o, "name", json_string(arch->name ? arch->name : ""));
    json_object_set_new(o, "family", json_string(arch->family ? arch->family : ""));
    json_object_set_new(o, "blocks", json_count(arch->n_layers));
    json_object_set_new(o, "d_model", json_count(arch->d_model));
    json_object_set_new(o, "vocab_size", json_count(arch->vocab_size));
    json_object_set_new(o, "max_positions", json_count(arch->max_positions));
    json_object_set_new(o, "parameters", json_count(d->params));
    json_object_set_new(o, "active_parameters", json_count(d->active_params));
    json_object_set_new(o, "file_bytes", json_count(file_size(path)));
    json_object_set_new(o, "flops_per_token", cli_json_number(d->flops_per_token));
    json_object_set_new(o, "state_bytes", json_count(d->state_bytes));
    json_object_set_new(o, "kv_values_per_token", json_count(d->kv_values_per_token));
    json_object_set_new(o, "kv_bytes_per_token",
                        cli_json_number((double)gla_description_kv_bytes(d, 65536, kv) / 65536));
    json_object_set_new(o, "kv_dtype", json_string(args.kv));
    json_object_set_new(o, "crossover_tokens", json_count(gla_description_crossover(d, kv)));
    for (uint32_t i = 0; i < n_contexts; i++) {
        json_t *c = json_object();
        gla_memory m;

        gla_description_session(d, contexts[i], kv, 0, &m);
        json_object_set_new(c, "tokens", json_count(contexts[i]));
        json_object_set_new(c, "kv_bytes", json_count(m.kv));
        json_object_set_new(c, "state_bytes", json_count(m.state));
        json_object_set_new(c, "history_bytes", json_count(m.history));
        json_object_set_new(c, "flops_per_token",
                            cli_json_number(gla_description_flops(d, contexts[i])));
        json_array_append_new(list, c);
    }
    json_object_set_new(o, "contexts", list);
    json_object_set_new(o, "layers", json_layers(d));
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
    if (!cli_parse_list(args.context, contexts, MAX_CONTEXTS, &n_contexts))
        return cli_usage_error("--context: '%s' is no list of up to %d numbers", args.context,
                               MAX_CONTEXTS);
    path = cli.operands.items[0];
    kv = gla_dtype_parse(args.kv);
    if (cli_registry(&registry, &diag) || gla_arch_read(path, &arch, &diag) ||
        gla_describe(arch, registry, &d, &diag)) {
        status = cli_fail(&diag);
    } else {
        if (cli.json)
            print_json(path, arch, d, kv);
        else
            print_text(path, arch, d, kv);
        if (args.weights && !cli.json)
            print_weights(d);
        status = cli_finish(0);
    }
    gla_description_free(d);
    gla_arch_free(arch);
    gla_registry_unref(registry);
    return status;
}
