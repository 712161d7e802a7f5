/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/model_args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Before the model, which takes longer; but where there is no model at all, that is to be said. */
static gla_status open_tokenizer(const char *dir, gla_tokenizer **out, gla_diag *diag)
{
    char path[4096];
    struct stat is;
    gla_arch *arch;
    gla_status st;

    if (stat(dir, &is) || !S_ISDIR(is.st_mode))
        return GLA_OK;
    st = gla_arch_read(dir, &arch, diag);
    gla_arch_free(arch);
    if (st)
        return st;
    st = gla_tokenizer_open(dir, out, diag);
    if (st && snprintf(path, sizeof(path), "%s/tokenizer.json", dir) < (int)sizeof(path) &&
        stat(path, &is) && !diag->hint[0])
        snprintf(diag->hint, sizeof(diag->hint),
                 "put the model's tokenizer.json there; gla-eval --ids, gla-bench and gla-inspect "
                 "need none");
    return st;
}

gla_status cli_model_open(cli_model *m, const char *dir, uint32_t kv_dtype, bool with_tokenizer,
                          gla_diag *diag)
{
    gla_model_options options = {GLA_SIZED(gla_model_options), .kv_dtype = kv_dtype,
                                 .progress = cli_progress};
    gla_status st;

    memset(m, 0, sizeof(*m));
    st = cli_registry(&m->registry, diag);
    options.registry = m->registry;
    if (!st && with_tokenizer)
        st = open_tokenizer(dir, &m->tokenizer, diag);
    if (!st)
        st = gla_model_open(dir, &options, &m->model, diag);
    cli_progress_clear();
    if (st)
        cli_model_close(m);
    return st;
}

void cli_model_close(cli_model *m)
{
    gla_model_free(m->model);
    gla_tokenizer_free(m->tokenizer);
    gla_registry_free(m->registry);
    memset(m, 0, sizeof(*m));
}

/* A tokenizer of another model may know more tokens than this one has rows for. */
static gla_status check_ids(const cli_model *m, const int32_t *ids, size_t n, gla_diag *diag)
{
    const uint32_t vocab = gla_model_vocab_size(m->model);

    for (size_t i = 0; i < n; i++)
        if ((uint32_t)ids[i] >= vocab) {
            cli_diag(diag, GLA_E_INVALID, "",
                     "the tokenizer makes token %d of it ('%.40s'), the model has %u", ids[i],
                     gla_tokenizer_token(m->tokenizer, ids[i]), vocab);
            return cli_hint(diag, "is tokenizer.json of this model?");
        }
    return GLA_OK;
}

gla_status cli_encode(const cli_model *m, const char *text, size_t size, bool with_bos,
                      int32_t **ids, size_t *n, gla_diag *diag)
{
    const int32_t bos = gla_model_arch(m->model)->bos_token;
    int32_t *found = NULL;
    size_t n_found = 0, lead;
    gla_status st;

    *ids = NULL;
    *n = 0;
    st = gla_tokenizer_encode(m->tokenizer, text, size, with_bos ? GLA_ENCODE_SPECIAL : 0, &found,
                              &n_found, diag);
    if (!st)
        st = check_ids(m, found, n_found, diag);
    if (st) {
        gla_ids_free(found);
        return st;
    }
    lead = with_bos && bos >= 0 && !(n_found && found[0] == bos);
    *ids = malloc((n_found + lead + 1) * sizeof(**ids));
    if (!*ids) {
        gla_ids_free(found);
        return cli_diag(diag, GLA_E_NOMEM, "the text", "out of memory");
    }
    (*ids)[0] = bos;
    if (n_found)
        memcpy(*ids + lead, found, n_found * sizeof(**ids));
    *n = n_found + lead;
    gla_ids_free(found);
    return GLA_OK;
}

gla_status cli_read_file(const char *path, char **data, size_t *size, gla_diag *diag)
{
    const size_t limit = (size_t)1 << 30;
    FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    size_t capacity = 1 << 16, got;
    char *buf = NULL, *more;

    *data = NULL;
    *size = 0;
    if (!f)
        return cli_interrupted() ? cli_diag(diag, GLA_E_CANCELLED, path, "interrupted")
                                 : cli_diag(diag, GLA_E_IO, path, "%s", strerror(errno));
    do {
        more = capacity <= limit ? realloc(buf, capacity *= 2) : NULL;
        if (!more) {
            free(buf);
            if (f != stdin)
                fclose(f);
            return cli_diag(diag, GLA_E_LIMIT, path, "larger than 1 GiB, or out of memory");
        }
        buf = more;
        got = fread(buf + *size, 1, capacity - *size - 1, f);
        *size += got;
    } while (got);
    if (ferror(f)) {
        free(buf);
        *size = 0;
        if (f != stdin)
            fclose(f);
        return cli_interrupted() ? cli_diag(diag, GLA_E_CANCELLED, path, "interrupted")
                                 : cli_diag(diag, GLA_E_IO, path, "cannot read");
    }
    if (f != stdin)
        fclose(f);
    buf[*size] = '\0';
    *data = buf;
    return GLA_OK;
}
