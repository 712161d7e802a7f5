/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading plugins.  Loading one is running its code (constructors run before we see anything), so
 * the file itself must be trustworthy: a regular file that nobody else could have written.  It is
 * checked and loaded through one descriptor, so it cannot be exchanged in between.
 *
 * A plugin is never unloaded: its threads and exit handlers may outlive every model.
 */
#define _GNU_SOURCE /* secure_getenv */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/io.h"
#include "runtime/entry_check.h"
#include "runtime/registry.h"

/* What this process has loaded.  The dynamic loader knows a library by the name it was opened
 * with, and ours are numbers of descriptors: a descriptor that was used once stays open, so that no
 * other file gets its name. */
typedef struct loaded {
    struct loaded *next;
    dev_t device;
    ino_t inode;
    const gla_plugin_entry *entry;
} loaded;

static pthread_mutex_t loaded_lock = PTHREAD_MUTEX_INITIALIZER;
static loaded *all_loaded;

static gla_status open_checked(const char *path, int *fd, struct stat *st, gla_diag *diag)
{
    *fd = -1;
    if (!strchr(path, '/'))
        return gla__fail(diag, GLA_E_INVALID, "a path with a slash is needed, as in ./%s", path);
    do {
        *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    } while (*fd < 0 && errno == EINTR);
    if (*fd < 0)
        return gla__fail_errno(diag, errno, "cannot open");
    if (fstat(*fd, st))
        return gla__fail_errno(diag, errno, "cannot examine");
    if (!S_ISREG(st->st_mode))
        return gla__fail(diag, GLA_E_PLUGIN, "not a regular file");
    if (st->st_mode & (S_IWGRP | S_IWOTH)) {
        gla__fail(diag, GLA_E_PLUGIN, "mode %04o: others may write to it",
                  (unsigned)(st->st_mode & 07777));
        gla__hint(diag, "chmod go-w");
        return GLA_E_PLUGIN;
    }
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return gla__fail(diag, GLA_E_PLUGIN, "owner is user %u; root or user %u expected",
                         (unsigned)st->st_uid, (unsigned)geteuid());
    return GLA_OK;
}

/* *entry stays NULL on failure; *kept says whether the descriptor must stay open. */
static gla_status load_library(int fd, const gla_plugin_entry **entry, bool *kept, gla_diag *diag)
{
    char name[64];
    void *library;

    *kept = false;
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return gla__fail(diag, GLA_E_PLUGIN, "cannot be loaded: %s", dlerror());
    *kept = true;
    *entry = (const gla_plugin_entry *)dlsym(library, GLA_PLUGIN_ENTRY_SYMBOL);
    if (!*entry)
        return gla__fail(diag, GLA_E_ABI, "has no symbol %s: not a plugin of ABI version %u",
                         GLA_PLUGIN_ENTRY_SYMBOL, GLA_ABI_MAJOR);
    return GLA_OK;
}

/* The entry of an open file, loaded now or before.  Closes fd unless it must stay open. */
static gla_status find_entry(int fd, const struct stat *st, const gla_plugin_entry **entry,
                             gla_diag *diag)
{
    gla_status status = GLA_OK;
    bool kept = false;
    loaded *l;

    *entry = NULL;
    pthread_mutex_lock(&loaded_lock);
    for (l = all_loaded; l && (l->device != st->st_dev || l->inode != st->st_ino); l = l->next)
        ;
    if (l) {
        *entry = l->entry;
    } else if ((l = gla__alloc_zero(sizeof(*l)))) {
        status = load_library(fd, entry, &kept, diag);
        if (*entry) {
            *l = (loaded){all_loaded, st->st_dev, st->st_ino, *entry};
            all_loaded = l;
        } else {
            gla__free(l);
        }
    } else {
        status = gla__fail_nomem(diag, "a plugin");
    }
    pthread_mutex_unlock(&loaded_lock);
    if (!kept)
        close(fd);
    return status;
}

gla_status gla_registry_load(gla_registry *r, const char *path, gla_diag *diag)
{
    const gla_plugin_entry *entry;
    struct stat info;
    gla_status st;
    int fd;

    st = open_checked(path, &fd, &info, diag);
    if (st) {
        if (fd >= 0)
            close(fd);
    } else {
        st = find_entry(fd, &info, &entry, diag);
    }
    if (!st)
        st = gla__registry_add(r, entry, diag);
    if (st)
        gla__at(diag, path);
    return st;
}

/* ---- GLA_PLUGIN_PATH and the installed folder ---- */

static void load_or_log(gla_registry *r, const char *path)
{
    gla_diag diag;
    char text[512];

    gla__diag_clear(&diag);
    if (gla_registry_load(r, path, &diag))
        gla__log_to(gla__registry_logger(r), GLA_LOG_WARN, "plugin skipped: %s",
                    gla_diag_format(&diag, text, sizeof(text)));
}

static int is_plugin(const struct dirent *e)
{
    const size_t n = strlen(e->d_name);

    return n > 3 && !strcmp(e->d_name + n - 3, ".so");
}

/* All plugins of a folder, by name so that "first wins" is the same everywhere. */
static void load_folder(gla_registry *r, const char *folder)
{
    struct dirent **names;
    const int n = scandir(folder, &names, is_plugin, alphasort);

    if (n < 0) {
        gla__log_to(gla__registry_logger(r), GLA_LOG_WARN, "plugins: cannot read the folder %s",
                    folder);
        return;
    }
    for (int i = 0; i < n; i++) {
        char *path = gla__path_join(folder, names[i]->d_name);

        if (path)
            load_or_log(r, path);
        gla__free(path);
        free(names[i]); /* scandir's own memory */
    }
    free(names);
}

/* "gla/plugins" beside the library, wherever that was installed; where gla is part of a program,
 * the folder it was configured for. */
static char *own_folder(void)
{
    static const char here;
    Dl_info info;
    const char *slash =
        dladdr(&here, &info) && info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
    char *beside, *folder;

    if (!slash || strncmp(slash + 1, "libgla.so", 9) != 0)
        return gla__strdup(GLA_PLUGIN_DIR);
    beside = gla__path_dir(info.dli_fname);
    folder = beside ? gla__path_join(beside, "gla/plugins") : NULL;
    gla__free(beside);
    return folder;
}

gla_status gla_registry_load_path(gla_registry *r, gla_diag *diag)
{
    char *own;
    const char *begin = secure_getenv("GLA_PLUGIN_PATH");

    while (begin && *begin) {
        const size_t n = strcspn(begin, ":");
        char *path = gla__strndup(begin, n);

        if (!path)
            return gla__fail_nomem(diag, "GLA_PLUGIN_PATH");
        if (n && gla__is_dir(path))
            load_folder(r, path);
        else if (n)
            load_or_log(r, path);
        gla__free(path);
        begin += n + (begin[n] == ':');
    }
    own = own_folder();
    if (!own)
        return gla__fail_nomem(diag, "the folder of plugins");
    if (gla__is_dir(own))
        load_folder(r, own);
    gla__free(own);
    return GLA_OK;
}
