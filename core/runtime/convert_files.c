/* SPDX-License-Identifier: Apache-2.0
 *
 * convert_files.c - the folders of a conversion, and the small files in them
 */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/io.h"
#include "runtime/conversion.h"

#define MAX_STAGED    16
#define MAX_COMPANION (512u << 20) /* bytes */

const char *const gla__convert_companions[] = {"tokenizer.json",          "tokenizer_config.json",
                                               "special_tokens_map.json", "generation_config.json",
                                               "chat_template.jinja",     NULL};

/* ---- folders ---------------------------------------------------------------------- */

static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;

    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool is_empty(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    bool empty = true;

    if (!d)
        return false;
    while (empty && (e = readdir(d)) != NULL)
        empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
    closedir(d);
    return empty;
}

static gla_status check_folder(const char *dst, const char *mark, bool overwrite, gla_diag *diag)
{
    char *path;
    bool marked;

    if (!gla__is_dir(dst))
        return gla__fail(diag, GLA_E_IO, "exists and is no folder");
    if (is_empty(dst))
        return GLA_OK;
    path = gla__path_join(dst, mark);
    if (!path)
        return gla__fail_nomem(diag, "a path");
    marked = gla__exists(path);
    gla__free(path);
    if (!marked) {
        gla__fail(diag, GLA_E_IO, "this folder holds other things (there is no %s in it)", mark);
        gla__hint(diag, "choose a new folder");
        return GLA_E_IO;
    }
    if (overwrite)
        return GLA_OK;
    gla__fail(diag, GLA_E_IO, "there is a model in it already");
    gla__hint(diag, "--overwrite replaces it");
    return GLA_E_IO;
}

gla_status gla__convert_folder(const char *src, const char *dst, const char *mark, bool overwrite,
                               bool *made, gla_diag *diag)
{
    gla_status st;

    *made = !gla__exists(dst);
    if (*made)
        return gla__make_dir(dst, diag);
    if (same_folder(src, dst)) {
        st = gla__fail(diag, GLA_E_INVALID, "source and destination are the same folder");
    } else {
        st = check_folder(dst, mark, overwrite, diag);
    }
    if (st)
        gla__at(diag, dst);
    return st;
}

static void remove_file(const char *folder, const char *name)
{
    char *path = gla__path_join(folder, name);

    if (path)
        unlink(path);
    gla__free(path);
}

void gla__convert_unmake(const char *dst)
{
    static const char *const ours[] = {"weights.glaw", "arch.yaml", "config.json",
                                       "model.safetensors.index.json"};

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        remove_file(dst, ours[i]);
    for (const char *const *name = gla__convert_companions; *name; name++)
        remove_file(dst, *name);
    rmdir(dst);
}

/* ---- small files ---------------------------------------------------------------------- */

struct gla__staged {
    const char *dst;
    gla__writer writers[MAX_STAGED];
    uint32_t n;
};

gla_status gla__staged_create(const char *dst, gla__staged **out, gla_diag *diag)
{
    *out = gla__alloc_zero(sizeof(**out));
    if (!*out)
        return gla__fail_nomem(diag, "a list of files");
    (*out)->dst = dst;
    return GLA_OK;
}

gla_status gla__staged_add(gla__staged *s, const char *name, const void *data, size_t n,
                           gla_diag *diag)
{
    char *path = gla__path_join(s->dst, name);
    gla__writer *w = &s->writers[s->n];
    gla_status st;

    if (s->n == MAX_STAGED || !path) {
        gla__free(path);
        return gla__fail_nomem(diag, "a path");
    }
    st = gla__writer_open(w, path, diag);
    gla__free(path);
    if (st)
        return st;
    s->n++;
    return gla__writer_write(w, data, n, diag);
}

gla_status gla__staged_copy(gla__staged *s, const char *src, gla_diag *diag)
{
    gla_status st = GLA_OK;

    for (const char *const *name = gla__convert_companions; *name && !st; name++) {
        char *path = gla__path_join(src, *name), *data;
        size_t n;

        if (!path)
            return gla__fail_nomem(diag, "a path");
        if (gla__exists(path)) {
            st = gla__read_all(path, MAX_COMPANION, &data, &n, diag);
            if (!st) {
                st = gla__staged_add(s, *name, data, n, diag);
                gla__free(data);
            }
        }
        gla__free(path);
    }
    return st;
}

gla_status gla__staged_commit(gla__staged *s, gla_diag *diag)
{
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < s->n && !st; i++)
        st = gla__writer_commit(&s->writers[i], diag);
    return st;
}

void gla__staged_free(gla__staged *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n; i++)
        gla__writer_abort(&s->writers[i]);
    gla__free(s);
}
