/* SPDX-License-Identifier: Apache-2.0
 *
 * model_args.h - opening a model and its tokenizer from the command line
 */
#ifndef GLA_CLI_MODEL_ARGS_H
#define GLA_CLI_MODEL_ARGS_H

#include "cli/cli.h"

typedef struct cli_model {
    gla_registry *registry;
    gla_model *model;
    gla_tokenizer *tokenizer; /* NULL when not asked for */
} cli_model;

/* Registry with plugins, then the model; progress on stderr.  kv_dtype 0: the model's default. */
gla_status cli_model_open(cli_model *m, const char *dir, uint32_t kv_dtype, bool with_tokenizer,
                          gla_diag *diag);
void cli_model_close(cli_model *m);

/* Text -> ids as the model expects a text to begin: with its beginning-of-text token, once.
 * free(*ids). */
gla_status cli_encode(const cli_model *m, const char *text, size_t size, bool with_bos,
                      int32_t **ids, size_t *n, gla_diag *diag);

/* Whole file, at most 1 GiB; "-" is stdin.  free(). */
gla_status cli_read_file(const char *path, char **data, size_t *size, gla_diag *diag);

#endif
