/* SPDX-License-Identifier: Apache-2.0
 *
 * cli_file.c - files that programs write themselves
 */
#define _XOPEN_SOURCE 700 /* realpath */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

static void forget(cli_file *out)
{
    free(out->path);
    free(out->aside);
    *out = (cli_file){NULL, NULL, NULL};
}

bool cli_file_open(cli_file *out, const char *path)
{
    char target[PATH_MAX];
    struct stat is;
    const bool exists = !stat(path, &is), whole = !exists || S_ISREG(is.st_mode);
    const size_t n = strlen(path) + PATH_MAX;

    *out = (cli_file){NULL, strdup(exists && whole && realpath(path, target) ? target : path),
                      whole ? malloc(n) : NULL};
    if (out->aside && out->path)
        snprintf(out->aside, n, "%s.%ld.tmp", out->path, (long)getpid());
    if (out->path && (out->aside || !whole))
        out->f = out->aside ? fopen(out->aside, "wx") : fopen(out->path, "w");
    if (!out->f) {
        forget(out);
        return false;
    }
    if (exists && whole) /* what was private stays so */
        (void)!fchmod(fileno(out->f), is.st_mode & 07777);
    return true;
}

bool cli_file_close(cli_file *out)
{
    int err = fflush(out->f) ? errno : ferror(out->f) ? EIO : 0;

    if (fclose(out->f) && !err)
        err = errno;
    if (!err && out->aside && rename(out->aside, out->path))
        err = errno;
    if (err && out->aside)
        remove(out->aside);
    forget(out);
    errno = err;
    return !err;
}

int cli_check_output(const char *path)
{
    char folder[PATH_MAX], *slash;
    struct stat is;
    const bool exists = !stat(path, &is);
    int err = 0;

    if (!exists || !realpath(path, folder))
        snprintf(folder, sizeof(folder), "%s", path);
    slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    if (exists && S_ISDIR(is.st_mode))
        err = EISDIR;
    else if (exists && !S_ISREG(is.st_mode))
        err = access(path, W_OK) ? errno : 0;
    else if (!*path || access(slash ? folder : ".", W_OK | X_OK))
        err = *path ? errno : ENOENT;
    return err ? cli_error("%s: cannot be written: %s", path, strerror(err)) : 0;
}
