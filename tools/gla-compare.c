/* SPDX-License-Identifier: Apache-2.0
 *
 * gla-compare - which mix is worth having: several models side by side
 *
 * Candidates are model folders, arch.yaml files, and sweeps over one architecture.  What they cost
 * in memory and FLOPs is exact and needs no running; --text says how well trained ones predict,
 * --recall what they find again, --ablate which of their layers do the work, --measure how fast
 * they are here.
 */
#include "gla-compare/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    cli_list arch;
    const char *mix, *mixers, *match, *context, *kv, *weights, *text, *ablate, *html, *plots;
    uint64_t memory, whole;
    uint32_t window, rounds, decode, trials;
    bool csv, measure, recall;
} args = {
    .rounds = 3, .decode = 16, .trials = 32, .whole = 8192, .context = "4K,32K,128K", .kv = "bf16"};

static comparison c;

static const char *const kv_choices[] = {"f32", "bf16", "int8", NULL};
static const char *const weight_choices[] = {"f32", "bf16", "f16", "int8", "int4", NULL};
static const char *const match_choices[] = {"params", "state", NULL};
static const char *const ablate_choices[] = {"layers", NULL};
static const char *const usage[] = {
    "[OPTION]... DIR|arch.yaml...",
    "--arch FILE --mix \"1:0,3:1,0:1\" [--mixers TYPE,...] [OPTION]...",
    NULL,
};
static const char *const examples[] = {
    "gla-compare configs/gla-1.3b.yaml configs/llama-1.3b.yaml --memory 8G",
    "gla-compare --arch configs/gla-340m-hybrid-3-1.yaml --mix 1:0,7:1,3:1,1:1,0:1",
    "gla-compare --arch configs/gla-340m-hybrid-3-1.yaml --mixers gla,mamba2 --json",
    "gla-compare --arch configs/bench-gla-415m.yaml --mix 1:0,0:1 --match params",
    "gla-compare mix-a mix-b --text val.txt --recall --measure --html page.html",
    "gla-compare models/tiny-hybrid --ablate layers --text val.txt",
    NULL,
};
static const cli_option options[] = {
    CLI_HEADING("Candidates"),
    {0, "arch", "FILE", CLI_LIST, &args.arch, .help = "architecture to vary; may be given again"},
    {0, "mix", "A:B,...", CLI_STRING, &args.mix,
     .help = "linear to softmax layers, spread evenly: 3:1 is three linear, one softmax, again "
             "and again; own: as the file has them"},
    {0, "mixers", "TYPE,...", CLI_STRING, &args.mixers,
     .help = "replace the linear mixer of --arch: gla, gated_deltanet, deltanet, kda, mamba2, "
             "hgrn2, retention"},
    {0, "match", "WHAT", CLI_CHOICE, &args.match,
     .help = "scale widths until all have what the first has: params (feed-forward), state (key "
             "channels)",
     .choices = match_choices},
    CLI_HEADING("Comparing"),
    {0, "context", "N,...", CLI_STRING, &args.context,
     .help = "say what sequences of these many tokens cost (K, M: times 1024, 1024^2)",
     .def = "4K,32K,128K"},
    {0, "kv", "TYPE", CLI_CHOICE, &args.kv, .help = "number type of the KV cache: f32, bf16, int8",
     .def = "bf16", .choices = kv_choices},
    {0, "weights", "TYPE", CLI_CHOICE, &args.weights,
     .help = "count weights as f32, bf16, f16, int8 or int4",
     .def = "as stored; bf16 for bare architectures", .choices = weight_choices},
    {0, "memory", "SIZE", CLI_SIZE, &args.memory,
     .help = "say which context fits in so much memory beside the weights"},
    CLI_HEADING("Quality"),
    {0, "text", "FILE", CLI_STRING, &args.text,
     .help = "nll and perplexity of trained candidates on this UTF-8 text"},
    {0, "window", "N", CLI_U32, &args.window, .help = "tokens per window of --text",
     .def = "1024, or the shortest context if that is less", .min = 1, .max = 1 << 24},
    {0, "ablate", "WHAT", CLI_CHOICE, &args.ablate,
     .help = "with --text: layers: what the nll rises by when each mixer in turn gives nothing",
     .choices = ablate_choices},
    {0, "recall", NULL, CLI_FLAG, &args.recall,
     .help = "ask trained candidates for what stands in their context: copying, induction, "
             "pairs, a needle"},
    {0, "trials", "N", CLI_U32, &args.trials, .help = "trials of each question of --recall",
     .def = "32", .min = 2, .max = 65536},
    CLI_HEADING("Speed"),
    {0, "measure", NULL, CLI_FLAG, &args.measure,
     .help = "prefill and decode at each context; bare architectures get random weights"},
    {0, "rounds", "N", CLI_U32, &args.rounds, .help = "times each candidate is measured",
     .def = "3", .min = 1, .max = MAX_ROUNDS},
    {0, "decode", "N", CLI_U32, &args.decode, .help = "tokens decoded at each context", .def = "16",
     .min = 1, .max = 4096},
    {0, "whole", "N", CLI_SIZE, &args.whole,
     .help = "between contexts further apart than this, compute only both ends of the prompt (K, "
             "M: times 1024, 1024^2)",
     .def = "8K"},
    CLI_HEADING("Output"),
    {0, "csv", NULL, CLI_FLAG, &args.csv, .help = "print one line a candidate, for spreadsheets"},
    {0, "html", "FILE", CLI_STRING, &args.html,
     .help = "write one page with plots; it needs no network"},
    {0, "plots", "DIR", CLI_STRING, &args.plots, .help = "write the plots as SVG files"},
    CLI_COMMON_OPTIONS,
    CLI_MODEL_OPTIONS,
    CLI_END,
};
static const char *const description[] = {
    "Candidates are model folders, architectures, and sweeps over the mix of linear and "
    "softmax layers of one architecture. What they cost in memory and FLOPs is exact and "
    "needs no running; --text adds how well trained ones predict, with intervals, --ablate "
    "which of their layers do the work, --recall what they find again in a context, and "
    "--measure how fast they are on this machine.",
    "The result is a table, JSON, CSV, or one page with plots that needs no network.",
    NULL,
};
static const cli_program program = {
    .name = "gla-compare",
    .summary = "Shows what mixes of linear and softmax layers cost and give, side by side.",
    .usage = usage,
    .options = options,
    .examples = examples,
    .max_operands = MAX_CANDIDATES,
    .operand = "DIR|arch.yaml",
    .description = description,
};

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int check_usage(void)
{
    if (!cli.operands.n && !args.arch.n)
        return cli_usage_error("what is to be compared? Model folders, arch.yaml files, or --arch");
    if ((args.mix || args.mixers) && !args.arch.n)
        return cli_usage_error("--mix and --mixers vary an architecture: --arch FILE is needed");
    if (args.arch.n && !args.mix && !args.mixers)
        return cli_usage_error("--arch: vary it with --mix, --mixers or both");
    if (args.ablate && !args.text)
        return cli_usage_error("--ablate: which layers do the work on what text? --text FILE is "
                               "needed");
    if (args.csv && cli.json)
        return cli_usage_error("either --json or --csv");
    if (!cli_parse_list(args.context, CLI_MOST_CONTEXT, c.contexts, MAX_CONTEXTS, &c.n_contexts))
        return cli_usage_error("--context: '%s' is no list of up to %d numbers up to 1T",
                               args.context, MAX_CONTEXTS);
    qsort(c.contexts, c.n_contexts, sizeof(*c.contexts), by_number);
    if (args.measure && c.contexts[c.n_contexts - 1] > 1 << 24)
        return cli_usage_error("--measure: contexts up to 16M");
    c.text = args.text;
    c.window = args.window;
    c.ablate = args.ablate != NULL;
    c.match = args.match;
    c.trials = args.trials;
    c.whole = args.whole;
    c.measured = args.measure;
    c.rounds = args.rounds;
    c.decode_tokens = args.decode;
    c.kv_dtype = gla_dtype_parse(args.kv);
    c.weights_dtype = args.weights ? gla_dtype_parse(args.weights) : 0;
    c.memory = args.memory;
    return 0;
}

/* Before the work whose results go there. */
static int check_outputs(void)
{
    if (args.plots && mkdir(args.plots, 0777) && errno != EEXIST)
        return cli_error("%s: cannot make the folder: %s", args.plots, strerror(errno));
    return args.html ? cli_check_output(args.html) : 0;
}

static int collect(void)
{
    gla_diag diag;
    int status = cli_registry(&c.registry, &diag) ? cli_fail(&diag) : 0;

    for (uint32_t i = 0; i < cli.operands.n && !status; i++)
        status = compare_add_path(&c, cli.operands.items[i]);
    for (uint32_t i = 0; i < args.arch.n && !status; i++)
        status = compare_add_sweep(&c, args.arch.items[i], args.mix, args.mixers, args.arch.n > 1);
    if (!status && args.match)
        status = compare_match(&c);
    return status;
}

static int measure(void)
{
    int status = 0;

    if (args.text || args.recall || args.measure)
        status = compare_open(&c, args.measure);
    if (!status && args.text && !c.interrupted)
        status = compare_quality(&c);
    if (!status && args.recall && !c.interrupted)
        status = compare_recall(&c);
    if (!status && args.measure && !c.interrupted)
        status = compare_speed(&c);
    return status;
}

static int report(void)
{
    int status = 0;

    if (cli.json)
        cli_json_print(compare_json(&c), 2);
    else if (args.csv)
        compare_print_csv(&c);
    else
        compare_print_table(&c);
    if (args.plots)
        status = compare_write_plots(&c, args.plots);
    if (args.html && !status)
        status = compare_write_page(&c, args.html);
    if (c.interrupted)
        cli_note("interrupted: this is what had been measured");
    return cli_finish(status ? status : c.interrupted ? 130 : 0);
}

int main(int argc, char **argv)
{
    int status;

    /* as it was typed: reading the options puts them in another order */
    c.argv = malloc((size_t)argc * sizeof(*argv));
    for (int i = 0; i < argc && c.argv; i++)
        c.argv[c.argc++] = argv[i];
    if (cli_start(&program, argc, argv, &status)) {
        free(c.argv);
        return status;
    }
    status = check_usage();
    if (!status)
        status = check_outputs();
    if (!status)
        status = collect();
    if (!status)
        status = compare_cost(&c);
    if (!status)
        status = measure();
    if (!status)
        status = report();
    compare_free(&c);
    return status;
}
