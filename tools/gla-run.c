/* SPDX-License-Identifier: Apache-2.0
 *
 * gla-run - continues texts with a model and chats, streaming what it writes
 *
 * The options, and which of the ways (gla-run/run.h) they ask for.
 */
#include "gla-run/run.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const kv_choices[] = {"f32", "bf16", "int8", NULL};
static const char *const usage[] = {
    "-m DIR -p TEXT [-n N] [OPTION]...",
    "-m DIR --resume FILE [-p TEXT] [OPTION]...",
    "-m DIR --sessions FILE [OPTION]...",
    "-m DIR --chat [--system TEXT] [OPTION]...",
    NULL,
};
static const char *const examples[] = {
    "gla-run -m models/tiny-hybrid -p 'Once upon a time' -n 100",
    "gla-run -m models/tiny-hybrid -p 'One day' --greedy --json",
    "gla-run -m models/tiny-hybrid -f notes.txt --save notes.session -n 0",
    "gla-run -m models/tiny-hybrid --sessions prompts.txt -n 40 --json",
    NULL,
};
static const cli_option options[] = {
    CLI_HEADING("Model"),
    {'m', "model", "DIR", CLI_STRING, &run_arg.model, .help = "model folder"},
    {0, "kv", "TYPE", CLI_CHOICE, &run_arg.kv,
     .help = "number type of the KV cache: f32, bf16, int8",
     .def = "f32 for f32 weights, else bf16", .choices = kv_choices},
    CLI_HEADING("Text"),
    {'p', "prompt", "TEXT", CLI_STRING, &run_arg.prompt, .help = "text to continue"},
    {'f', "file", "FILE", CLI_STRING, &run_arg.file,
     .help = "text to continue, from a file; - is stdin"},
    {'n', "tokens", "N", CLI_U32, &run_arg.n, .help = "write at most N tokens",
     .def = "128; an answer in a chat: 1024", .min = 0, .max = 1 << 24},
    {0, "sessions", "FILE", CLI_STRING, &run_arg.sessions,
     .help = "continue every line of the file (a JSON string, or text as it is), all together"},
    {0, "bos", NULL, CLI_TOGGLE, &run_arg.bos, .help = "begin with the beginning-of-text token",
     .def = "on, if the model has one"},
    {0, "echo", NULL, CLI_TOGGLE, &run_arg.echo, .help = "print the prompt too", .def = "on"},
    {0, "ignore-eos", NULL, CLI_FLAG, &run_arg.ignore_eos,
     .help = "go on after an end-of-text token"},
    CLI_HEADING("Sampling"),
    {0, "greedy", NULL, CLI_FLAG, &run_arg.greedy, .help = "always the likeliest token"},
    {0, "temp", "X", CLI_FLOAT, &run_arg.temp, .help = "temperature; 0 is greedy", .def = "0.8",
     .min = 0, .max = 100},
    {0, "top-p", "X", CLI_FLOAT, &run_arg.top_p,
     .help = "sample from the likeliest tokens that make up this share; 0 and 1: all",
     .def = "0.95", .min = 0, .max = 1},
    {0, "top-k", "N", CLI_U32, &run_arg.top_k,
     .help = "sample from the N likeliest tokens; 0 = all", .def = "0", .min = 0, .max = 1 << 24},
    {0, "seed", "N", CLI_U64, &run_arg.seed, .help = "the same seed gives the same text",
     .def = "from the clock; --json says which", .max = 1e18},
    CLI_HEADING("Sessions"),
    {0, "save", "FILE", CLI_STRING, &run_arg.save, .help = "save the session when done"},
    {0, "resume", "FILE", CLI_STRING, &run_arg.resume, .help = "go on with a saved session"},
    {0, "stride", "N", CLI_U32, &run_arg.stride,
     .help = "tokens between snapshots of recurrent states; 0: only at the ends of turns",
     .def = "512", .max = 1 << 24},
    {0, "snapshots", "SIZE", CLI_SIZE, &run_arg.snapshot_bytes,
     .help = "memory for the snapshots of a session", .def = "64M, or four of them if more",
     .min = 1, .max = 1e15},
    {0, "memory", "SIZE", CLI_SIZE, &run_arg.memory,
     .help = "KV, states, snapshots and prefix cache of all sessions take at most so much",
     .def = "no limit", .min = 1, .max = 1e15},
    CLI_HEADING("Chat"),
    {0, "chat", NULL, CLI_FLAG, &run_arg.chat,
     .help = "lines from stdin are what the user says; /help lists the commands"},
    {0, "system", "TEXT", CLI_STRING, &run_arg.system, .help = "begin with this system message"},
    {0, "template", "FILE", CLI_STRING, &run_arg.template,
     .help = "chat template (Jinja) instead of the model's own"},
    CLI_HEADING("Plugins"),
    {0, "check-plugin", "FILE.so", CLI_STRING, &run_arg.check_plugin,
     .help = "the same as gla-check FILE.so, which is a program of its own"},
    CLI_COMMON_OPTIONS,
    CLI_MODEL_OPTIONS,
    CLI_END,
};
static const char *const description[] = {
    "A model folder (arch.yaml, weights.glaw, tokenizer.json) continues a text and prints "
    "what it writes as it writes. With --sessions every line of a file is continued, all of "
    "them in the same batches; with --chat the model's own chat template turns lines from "
    "stdin into a conversation.",
    "A session can be saved and resumed: what was read once is not read again. The file "
    "belongs to the model it was made with; another model refuses it.",
    NULL,
};
static const cli_program program = {
    .name = "gla-run",
    .summary = "Continues texts with a model and chats, streaming what it writes.",
    .usage = usage,
    .options = options,
    .examples = examples,
    .description = description,
};

/* What cannot be meant together; NULL: nothing. */
static const char *contradiction(void)
{
    const bool text = run_arg.prompt || run_arg.file;

    if (run_arg.check_plugin)
        return run_arg.model || text || run_arg.chat || run_arg.sessions || run_arg.resume
                   ? "--check-plugin makes its own models: no other input goes with it"
                   : NULL;
    if (!run_arg.model)
        return "which model? -m DIR";
    if (run_arg.prompt && run_arg.file)
        return "--prompt and --file exclude each other";
    if (run_arg.chat && run_arg.sessions)
        return "--chat and --sessions exclude each other";
    if (run_arg.chat && text)
        return "--chat takes what the user says from stdin, not from --prompt or --file";
    if (run_arg.sessions && text)
        return "--sessions has the prompts in its file: no --prompt or --file";
    if (run_arg.sessions && (run_arg.save || run_arg.resume))
        return "--save and --resume are for one session, not for --sessions";
    if (!run_arg.chat && (run_arg.system || run_arg.template))
        return "--system and --template go with --chat";
    if (run_arg.system && run_arg.resume)
        return "a chat that is resumed has its system message already";
    if (!run_arg.chat && !run_arg.sessions && !text && !run_arg.resume)
        return "nothing to continue: give -p TEXT, -f FILE or --resume FILE";
    return NULL;
}

/* For scripts of the time when this program did it: becomes the gla-check that lies beside it. */
static int become_gla_check(void)
{
    const char *args[6] = {"gla-check"};
    char here[4096] = "", path[sizeof(here) + sizeof("gla-check")];
    const ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);
    const char *slash = n > 0 ? strrchr(here, '/') : NULL;
    int n_args = 1;

    snprintf(path, sizeof(path), "%.*sgla-check", slash ? (int)(slash + 1 - here) : 0, here);
    if (cli.json)
        args[n_args++] = "--json";
    if (cli.quiet)
        args[n_args++] = "--quiet";
    args[n_args++] = "--";
    args[n_args] = run_arg.check_plugin;
    cli_note("--check-plugin is a program of its own: gla-check %s", run_arg.check_plugin);
    execvp(path, (char *const *)(uintptr_t)args);
    return cli_error("cannot run %s: %s", path, strerror(errno));
}

int main(int argc, char **argv)
{
    run r = {0};
    gla_diag diag = {.offset = UINT64_MAX};
    const char *wrong;
    int status;

    if (cli_start(&program, argc, argv, &status))
        return status;
    wrong = contradiction();
    if (wrong)
        return cli_usage_error("%s", wrong);
    if (run_arg.check_plugin)
        return become_gla_check();
    if (run_arg.save && (status = cli_check_output(run_arg.save)))
        return status;
    if (run_arg.seed == UINT64_MAX)
        run_arg.seed = (uint64_t)time(NULL);
    if (run_arg.n == UINT32_MAX)
        run_arg.n = run_arg.chat ? 1024 : 128;
    if (run_open(&r, &diag))
        status = cli_fail(&diag);
    else if (run_arg.chat)
        status = run_chat(&r);
    else
        status = run_arg.sessions ? run_batch(&r) : run_text(&r);
    run_close(&r);
    return status;
}
