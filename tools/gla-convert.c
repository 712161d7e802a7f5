/* SPDX-License-Identifier: Apache-2.0
 *
 * gla-convert - published checkpoints into model folders, and back
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

static struct {
    const char *output, *weights, *to;
    uint32_t level;
    bool overwrite, arch_only, head;
    cli_list keep;
    uint64_t max_bytes;
} args;

static const char *const dtypes[] = {"f32", "bf16", "f16", "int8", "int4", NULL};
static const char *const targets[] = {"safetensors", NULL};

// clang-format off
static const cli_option options[] = {
    CLI_HEADING("Output"),
    {'o', "output", "DIR", CLI_STRING, &args.output, .help = "the folder to write"},
    {0, "overwrite", NULL, CLI_FLAG, &args.overwrite, .help = "replace the model in DIR"},
    {0, "to", "FORMAT", CLI_CHOICE, &args.to, .choices = targets,
     .help = "safetensors: from a model folder back to the files it was made from"},
    {0, "arch-only", NULL, CLI_FLAG, &args.arch_only,
     .help = "only print the architecture as YAML (or write it to the file -o)"},
    CLI_HEADING("Weights"),
    {'w', "weights", "TYPE", CLI_CHOICE, &args.weights, .choices = dtypes,
     .help = "f32, bf16, f16, int8 (a scale per row) or int4 (scale and minimum per 32)",
     .def = "as they are"},
    {'k', "keep", "PATTERN", CLI_LIST, &args.keep,
     .help = "leave tensors of these names unquantised, as in 'layers.0.*'; may be given again"},
    {0, "quantise-head", NULL, CLI_FLAG, &args.head,
     .help = "quantise the head (and a tied embedding) as well"},
    {'l', "level", "N", CLI_U32, &args.level, .help = "compression level of zstd",
     .def = "fast", .min = 1, .max = 22},
    {0, "max-bytes", "SIZE", CLI_SIZE, &args.max_bytes,
     .help = "refuse sources with more bytes of tensors", .def = "no limit", .min = 1, .max = 1e18},
    CLI_COMMON_OPTIONS,
    CLI_MODEL_OPTIONS,
    CLI_END};
// clang-format on

// clang-format off
static const char *const usage[] = {
    "FOLDER -o DIR [--weights TYPE]     checkpoint (or model) -> model",
    "FILE.gguf -o DIR                   gguf -> model",
    "MODEL --to safetensors -o DIR      model folder -> published files",
    "SRC --arch-only [-o FILE]          config.json, gguf -> arch.yaml",
    NULL};
static const char *const examples[] = {
    "gla-convert ~/gla-1.3B -o gla-1.3B --weights int8",
    "gla-convert gla-1.3B --to safetensors -o published-again",
    "gla-convert config.json --arch-only > arch.yaml",
    NULL};
// clang-format on
static const char *const description[] = {
    "A published checkpoint is a folder with config.json and safetensors files as "
    "flash-linear-attention and transformers write them, or a gguf file. It becomes a model "
    "folder: arch.yaml, which a person can read, weights.glaw, compressed and checksummed, "
    "and the tokenizer.",
    "Weights of your own need no config.json: a folder with arch.yaml and safetensors files whose "
    "tensors are named as gla-inspect --weights lists them becomes a model folder as well, with a "
    "plugin's layers too.",
    "Nothing of the checkpoint is lost: unless weights were quantised, --to safetensors "
    "gives back the published files byte for byte. A folder is replaced only when asked to "
    "(--overwrite), and then as a whole: whatever happens on the way, it holds the old "
    "model or the new one.",
    NULL,
};
static const cli_program program = {
    .name = "gla-convert",
    .summary = "Turns published checkpoints into model folders, and model folders back.",
    .usage = usage,
    .options = options,
    .examples = examples,
    .min_operands = 1,
    .max_operands = 1,
    .operand = "FOLDER",
    .description = description,
};

/* ---- results --------------------------------------------------------------------- */

static void print_report(const gla_convert_report *r)
{
    char in[32], out[32], folder[4096];

    if (cli.json) {
        cli_json_print(json_pack("{s:s, s:o, s:s, s:i, s:i, s:i, s:I, s:I, s:o}", "schema",
                                 "gla.convert/1", "output", cli_json_text(args.output), "family",
                                 r->family, "tensors", (int)r->n_tensors, "unused",
                                 (int)r->n_unused, "quantised", (int)r->n_quantised, "source_bytes",
                                 (json_int_t)r->raw_bytes, "bytes", (json_int_t)r->stored_bytes,
                                 "seconds", cli_json_number(r->seconds)),
                       2);
        return;
    }
    snprintf(folder, sizeof(folder), "%s", args.output);
    printf("%s: %s, %u tensors, %s -> %s (%.3f), %.1f s\n", gla_text_clean(folder),
           r->family[0] ? r->family : "made by hand", (unsigned)r->n_tensors,
           cli_format_bytes(in, r->raw_bytes), cli_format_bytes(out, r->stored_bytes),
           r->raw_bytes ? (double)r->stored_bytes / (double)r->raw_bytes : 1.0, r->seconds);
}

/* Nothing that is there is lost unless that was asked for, and the source in no case. */
static int check_arch_output(const char *source)
{
    struct stat from, to;

    if (!args.output || stat(args.output, &to) || !S_ISREG(to.st_mode))
        return 0;
    if (!args.overwrite)
        return cli_error_hint("--overwrite replaces it", "%s: there is a file already",
                              args.output);
    if (!stat(source, &from) && from.st_dev == to.st_dev && from.st_ino == to.st_ino)
        return cli_error("%s: source and destination are the same file", args.output);
    return 0;
}

static int write_arch(const char *source, const gla_convert_options *o, gla_diag *diag)
{
    gla_arch *arch;
    cli_file out = {.f = stdout};
    char *text;
    size_t size;
    int status;

    status = check_arch_output(source);
    if (status)
        return status;
    if (gla_convert_config(source, &arch, o, diag))
        return cli_fail(diag);
    if (gla_arch_print(arch, &text, &size, diag)) {
        gla_arch_free(arch);
        return cli_fail(diag);
    }
    gla_arch_free(arch);
    if (args.output && !cli_file_open(&out, args.output)) {
        status = cli_error("%s: cannot be written: %s", args.output, strerror(errno));
    } else {
        fwrite(text, 1, size, out.f);
        if (args.output && !cli_file_close(&out))
            status = cli_error("%s: cannot write: %s", args.output, strerror(errno));
    }
    gla_text_free(text);
    return status ? status : cli_finish(0);
}

static int check_usage(void)
{
    if (args.arch_only && (args.to || args.weights || args.keep.n))
        return cli_usage_error("--arch-only looks at no weights");
    if (args.to && args.weights)
        return cli_usage_error("--to safetensors gives back what was published: no --weights");
    if (!args.arch_only && !args.output)
        return cli_usage_error("-o DIR is missing");
    if ((args.keep.n || args.head) &&
        (!args.weights || (strcmp(args.weights, "int8") && strcmp(args.weights, "int4"))))
        return cli_usage_error("%s goes with --weights int8 or int4",
                               args.head ? "--quantise-head" : "--keep");
    return 0;
}

int main(int argc, char **argv)
{
    gla_limits limits = {GLA_SIZED(gla_limits)};
    gla_convert_options o = {GLA_SIZED(gla_convert_options), .progress = cli_progress,
                             .note = cli_note_fn};
    gla_convert_report report;
    gla_diag diag;
    const char *source;
    int status;

    if (cli_start(&program, argc, argv, &status))
        return status;
    status = check_usage();
    if (status)
        return status;
    source = cli.operands.items[0];
    o.weights_dtype = args.weights ? gla_dtype_parse(args.weights) : 0;
    o.level = (int32_t)args.level;
    o.overwrite = args.overwrite;
    o.quantise_head = args.head;
    o.keep = args.keep.items;
    o.n_keep = args.keep.n;
    limits.max_bytes = args.max_bytes;
    o.limits = &limits;
    if (cli_registry(&o.registry, &diag))
        return cli_fail(&diag);
    if (args.arch_only)
        status = write_arch(source, &o, &diag);
    else if (args.to ? gla_convert_back(source, args.output, &o, &report, sizeof(report), &diag)
                     : gla_convert(source, args.output, &o, &report, sizeof(report), &diag))
        status = cli_fail(&diag);
    else {
        print_report(&report);
        status = cli_finish(0);
    }
    gla_registry_free(o.registry);
    return status;
}
