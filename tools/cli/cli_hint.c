/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_hint.c - hints: the programs' own, and the library's in words of the command line
 *
 * The library tells its caller what to do in names of its API.  Who typed a command has options
 * instead; what he has none for is no help to him.
 */
#include "cli/cli.h"

#include <stdarg.h>
#include <string.h>

static const struct {
    const char *api, *words;
    const char *option; /* the program must have it; NULL: any program's user can do so */
} said[] = {
    {"limits.max_bytes", "--max-bytes", "max-bytes"},
    {"options.overwrite", "--overwrite", "overwrite"},
    {"options.keep", "--keep", "keep"},
    {"gla_convert_config()", "--arch-only", "arch-only"},
    {"gla_convert()", "gla-convert", NULL},
    {"gla_registry_load()", "--plugin", "plugin"},
    {"gla_describe() and gla_model_random()", "gla-inspect, gla-compare and gla-bench --arch",
     NULL},
    {"gla_registry_find() of", "gla-inspect --layer", NULL},
};

static bool has_option(const char *name)
{
    for (const cli_option *o = cli__program ? cli__program->options : NULL; o && o->help; o++)
        if (o->name && !strcmp(o->name, name))
            return true;
    return false;
}

void cli__hint_in_words(gla_diag *diag)
{
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        char text[2 * sizeof(diag->hint)];
        const char *at = strstr(diag->hint, said[i].api);

        if (!at)
            continue;
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - diag->hint), diag->hint, said[i].words,
                 at + strlen(said[i].api));
        if (said[i].option && !has_option(said[i].option))
            text[0] = '\0';
        snprintf(diag->hint, sizeof(diag->hint), "%.*s", (int)sizeof(diag->hint) - 1, text);
    }
}

gla_status cli_hint(gla_diag *diag, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(diag->hint, sizeof(diag->hint), format, args);
    va_end(args);
    return diag->status;
}
