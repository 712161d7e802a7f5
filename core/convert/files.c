/* SPDX-License-Identifier: Apache-2.0
 *
 * files.c - the folder of a conversion, and the small files in it
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/io.h"
#include "convert/conversion.h"

#define MAX_STAGED    16
#define MAX_COMPANION (512u << 20) /* bytes */

const char *const gla__convert_companions[] = {"tokenizer.json",          "tokenizer_config.json",
                                               "special_tokens_map.json", "generation_config.json",
                                               "chat_template.jinja",     NULL};

/* ---- may it be written there -------------------------------------------------------- */

static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;

    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Calls fn for every entry but "." and "..", until it says false.  True: all said true. */
static bool for_entries(const char *path, bool (*fn)(void *ctx, const char *name), void *ctx)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    bool go_on = d != NULL;

    while (go_on && (e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            go_on = fn(ctx, e->d_name);
    if (d)
        closedir(d);
    return go_on;
}

static bool is_none(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return false;
}

static gla_status check_folder(const char *dst, const char *mark, bool overwrite, gla_diag *diag)
{
    char *path = gla__path_join(dst, mark);
    bool marked;

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
    gla__hint(diag, "options.overwrite replaces it");
    return GLA_E_IO;
}

/* ---- the folder aside ----------------------------------------------------------------- */

/* dst as it is swapped: no links on the way, no slash at the end. */
static gla_status resolve(const char *dst, char **out, gla_diag *diag)
{
    char buf[PATH_MAX];
    size_t n;

    *out = gla__strdup(gla__exists(dst) && realpath(dst, buf) ? buf : dst);
    if (!*out)
        return gla__fail_nomem(diag, "a path");
    for (n = strlen(*out); n > 1 && (*out)[n - 1] == '/'; n--)
        (*out)[n - 1] = '\0';
    return GLA_OK;
}

static gla_status check_parent(const char *dst, gla_diag *diag)
{
    char *parent = gla__path_dir(dst);
    gla_status st = GLA_OK;

    if (!parent)
        return gla__fail_nomem(diag, "a path");
    if (!gla__is_dir(parent)) {
        st = gla__fail(diag, GLA_E_IO, "there is no folder '%s'", parent);
        gla__hint(diag, "make it first");
    }
    gla__free(parent);
    return st;
}

/* Makes "DIR/.NAME.PID-N.tmp" beside dst: a new folder, for a number of a process comes again. */
static gla_status make_aside(gla__output *o, gla_diag *diag)
{
    gla_status st = check_parent(o->dst, diag);

    if (st)
        return st;
    o->path = gla__alloc(strlen(o->dst) + GLA__ASIDE_MORE);
    if (!o->path)
        return gla__fail_nomem(diag, "a path");
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        gla__path_aside(o->dst, attempt, o->path);
        if (!gla__exists(o->path))
            break;
    }
    st = gla__make_dir(o->path, diag);
    o->aside = !st;
    return st;
}

gla_status gla__output_open(gla__output *o, const char *src, const char *dst, const char *mark,
                            bool overwrite, gla_diag *diag)
{
    gla_status st = resolve(dst, &o->dst, diag);

    if (st)
        return st;
    o->replaces = gla__exists(o->dst);
    if (!o->dst[0])
        st = gla__fail(diag, GLA_E_INVALID, "the name of the folder to write is empty");
    else if (o->replaces && same_folder(src, o->dst))
        st = gla__fail(diag, GLA_E_INVALID, "source and destination are the same folder");
    else if (o->replaces && !gla__is_dir(o->dst))
        st = gla__fail(diag, GLA_E_IO, "exists and is no folder");
    else if (o->replaces && for_entries(o->dst, is_none, NULL))
        o->path = gla__strdup(o->dst); /* empty: nothing to lose, and it may be a mount point */
    else if (o->replaces)
        st = check_folder(o->dst, mark, overwrite, diag);
    if (!st && !o->path)
        st = make_aside(o, diag);
    if (st)
        gla__at(diag, dst);
    return st;
}

/* ---- at the end ------------------------------------------------------------------------- */

typedef struct two_folders {
    const char *from, *to;
} two_folders;

/* Runs fn on from/name and to/name. */
static void with_paths(const two_folders *f, const char *name,
                       void (*fn)(const char *from, const char *to))
{
    char *from = gla__path_join(f->from, name), *to = gla__path_join(f->to, name);

    if (from && to)
        fn(from, to);
    gla__free(from);
    gla__free(to);
}

static void link_file(const char *from, const char *to)
{
    struct stat st;

    if (!lstat(from, &st) && S_ISREG(st.st_mode) && lstat(to, &st))
        (void)!link(from, to); /* where that cannot be, clear_away() moves it */
}

static bool keep_link(void *ctx, const char *name)
{
    with_paths(ctx, name, link_file);
    return true;
}

/* What the new folder has goes, anything else moves there. */
static void remove_or_move(const char *from, const char *to)
{
    struct stat st;

    if (!lstat(to, &st))
        unlink(from);
    else
        rename(from, to);
}

static bool clear_away(void *ctx, const char *name)
{
    with_paths(ctx, name, remove_or_move);
    return true;
}

static void unlink_first(const char *path, const char *ignored)
{
    (void)ignored;
    unlink(path);
}

static bool remove_entry(void *ctx, const char *name)
{
    with_paths(ctx, name, unlink_first);
    return true;
}

/* The new folder takes the place of dst in one step.  Files of the old one that the new one does
 * not have, a user's notes or a tokenizer laid there by hand, are linked into it before. */
static gla_status replace(const gla__output *o, gla_diag *diag)
{
    two_folders old_to_new = {o->dst, o->path};
    struct stat old;
    gla_status st;

    if (!o->replaces)
        return gla__rename_dir(o->path, o->dst, diag);
    if (!stat(o->dst, &old))
        chmod(o->path, old.st_mode & 07777);
    for_entries(o->dst, keep_link, &old_to_new);
    st = gla__exchange_dirs(o->path, o->dst, diag);
    if (st)
        return st;
    old_to_new = (two_folders){o->path, o->dst};
    for_entries(o->path, clear_away, &old_to_new);
    rmdir(o->path);
    return GLA_OK;
}

gla_status gla__output_close(gla__output *o, gla_status st, gla_diag *diag)
{
    if (!st && o->aside)
        st = replace(o, diag);
    if (st && o->aside) {
        for_entries(o->path, remove_entry, &(two_folders){o->path, o->path});
        rmdir(o->path);
    }
    gla__free(o->path);
    gla__free(o->dst);
    memset(o, 0, sizeof(*o));
    return st;
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

gla_status gla__staged_copy_file(gla__staged *s, const char *src, const char *name, uint64_t max,
                                 bool optional, gla_diag *diag)
{
    char *path = gla__path_join(src, name), *data;
    gla_status st = GLA_OK;
    size_t n;

    if (!path)
        return gla__fail_nomem(diag, "a path");
    if (!optional || gla__exists(path)) {
        st = gla__read_all(path, max, &data, &n, diag);
        if (!st) {
            st = gla__staged_add(s, name, data, n, diag);
            gla__free(data);
        }
    }
    gla__free(path);
    return st;
}

gla_status gla__staged_copy(gla__staged *s, const char *src, gla_diag *diag)
{
    gla_status st = GLA_OK;

    for (const char *const *name = gla__convert_companions; *name && !st; name++)
        st = gla__staged_copy_file(s, src, *name, MAX_COMPANION, true, diag);
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
