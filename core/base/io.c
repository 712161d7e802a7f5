/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* renameat2 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"

static int os_open(const char *path, int flags, unsigned mode)
{
    return open(path, flags | O_CLOEXEC, (mode_t)mode);
}

static int os_mkdir(const char *path, unsigned mode)
{
    return mkdir(path, (mode_t)mode);
}

static int os_size(int fd, uint64_t *out, bool *regular)
{
    struct stat st;

    if (fstat(fd, &st))
        return -1;
    *out = (uint64_t)st.st_size;
    *regular = S_ISREG(st.st_mode);
    return 0;
}

static int os_exchange(const char *a, const char *b)
{
#ifdef RENAME_EXCHANGE
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
#else
    (void)a;
    (void)b;
    errno = ENOSYS;
    return -1;
#endif
}

static const gla__io os_io = {os_open, close,  pread,    write,   pwrite,     fsync,
                              rename,  unlink, os_mkdir, os_size, os_exchange};
static const gla__io *io = &os_io;

void gla__io_set(const gla__io *table)
{
    io = table ? table : &os_io;
}

gla__io gla__io_get(void)
{
    return *io;
}

/* ---- reading ---- */

gla_status gla__file_open(gla__file *f, const char *path, gla_diag *diag)
{
    gla_status st = GLA_OK;
    bool regular = false;

    memset(f, 0, sizeof(*f));
    f->fd = -1;
    f->path = gla__strdup(path);
    if (!f->path) {
        st = gla__fail_nomem(diag, "a path");
        goto fail;
    }
    do {
        f->fd = io->open(path, O_RDONLY | O_NONBLOCK, 0); /* a FIFO must not hang us */
    } while (f->fd < 0 && errno == EINTR);
    if (f->fd < 0) {
        st = gla__fail_errno(diag, errno, "cannot open");
        goto fail;
    }
    if (io->size(f->fd, &f->size, &regular)) {
        st = gla__fail_errno(diag, errno, "cannot examine");
        goto fail;
    }
    if (!regular) {
        st = gla__fail(diag, GLA_E_IO, "not a regular file");
        goto fail;
    }
    return GLA_OK;

fail:
    gla__at(diag, path);
    gla__file_close(f);
    return st;
}

void gla__file_close(gla__file *f)
{
    if (f->path && f->fd >= 0)
        io->close(f->fd);
    gla__free(f->path);
    memset(f, 0, sizeof(*f));
    f->fd = -1;
}

gla_status gla__file_read(const gla__file *f, uint64_t offset, void *dst, size_t n, gla_diag *diag)
{
    uint64_t end;
    size_t done = 0;

    if (!gla__add_u64(offset, n, &end) || end > f->size) {
        gla__fail(diag, GLA_E_CORRUPT, "file ends early: %zu bytes wanted, file has %" PRIu64, n,
                  f->size);
        gla__at_offset(diag, offset);
        gla__at(diag, f->path);
        return GLA_E_CORRUPT;
    }
    while (done < n) {
        const ssize_t got = io->pread(f->fd, (char *)dst + done, n - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            const gla_status st =
                got < 0 ? gla__fail_errno(diag, errno, "cannot read")
                        : gla__fail(diag, GLA_E_CORRUPT, "file became shorter while it was read");

            gla__at_offset(diag, offset + done);
            gla__at(diag, f->path);
            return st;
        }
        done += (size_t)got;
    }
    return GLA_OK;
}

gla_status gla__read_all(const char *path, uint64_t limit, char **data, size_t *size,
                         gla_diag *diag)
{
    gla__file f;
    gla_status st;

    *data = NULL;
    *size = 0;
    st = gla__file_open(&f, path, diag);
    if (st)
        return st;
    if (f.size > limit) {
        st = gla__fail(diag, GLA_E_LIMIT, "file of %" PRIu64 " bytes, at most %" PRIu64 " allowed",
                       f.size, limit);
        gla__at(diag, path);
        goto out;
    }
    *data = gla__alloc((size_t)f.size + 1);
    if (!*data) {
        st = gla__fail_nomem(diag, path);
        goto out;
    }
    st = gla__file_read(&f, 0, *data, (size_t)f.size, diag);
    if (st) {
        gla__free(*data);
        *data = NULL;
        goto out;
    }
    (*data)[f.size] = '\0';
    *size = (size_t)f.size;
out:
    gla__file_close(&f);
    return st;
}

/* ---- writing ---- */

char *gla__path_join(const char *dir, const char *name)
{
    const size_t n = strlen(dir) + strlen(name) + 2;
    char *path = gla__alloc(n);

    if (path)
        snprintf(path, n, "%s%s%s", dir, dir[0] && dir[strlen(dir) - 1] == '/' ? "" : "/", name);
    return path;
}

char *gla__path_dir(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return gla__strdup(".");
    return gla__strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

void gla__path_aside(const char *path, unsigned attempt, char *out)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    snprintf(out, strlen(path) + GLA__ASIDE_MORE, "%.*s.%s.%ld-%u.tmp", (int)(name - path), path,
             name, (long)getpid(), attempt);
}

/* The file that path stands for, allocated, and its mode, 0 if there is none yet.  Renaming would
 * put a file in the place of a link, a device, a pipe: a link is followed, the others refused. */
static gla_status find_target(const char *path, char **out, mode_t *mode, gla_diag *diag)
{
    char target[PATH_MAX];
    struct stat st;

    *mode = 0;
    *out = NULL;
    if (!lstat(path, &st)) {
        if (stat(path, &st))
            return gla__fail_errno(diag, errno, "cannot write where this link leads");
        if (!S_ISREG(st.st_mode))
            return gla__fail(diag, GLA_E_IO, "not a regular file: nothing is put in its place");
        if (realpath(path, target))
            path = target;
        *mode = st.st_mode & 07777;
    }
    *out = gla__strdup(path);
    return *out ? GLA_OK : gla__fail_nomem(diag, "a path");
}

/* Beside w->path, under a name that nobody has. */
static gla_status create_aside(gla__writer *w, gla_diag *diag)
{
    w->temp = gla__alloc(strlen(w->path) + GLA__ASIDE_MORE);
    if (!w->temp)
        return gla__fail_nomem(diag, "a path");
    for (unsigned attempt = 0; w->fd < 0 && attempt < 1000; attempt++) {
        gla__path_aside(w->path, attempt, w->temp);
        w->fd = io->open(w->temp, O_WRONLY | O_CREAT | O_EXCL, 0666);
        if (w->fd < 0 && errno != EEXIST && errno != EINTR)
            break;
    }
    return w->fd < 0 ? gla__fail_errno(diag, errno, "cannot create a file there") : GLA_OK;
}

gla_status gla__writer_open(gla__writer *w, const char *path, gla_diag *diag)
{
    gla_status st;
    mode_t mode;

    memset(w, 0, sizeof(*w));
    w->fd = -1;
    st = find_target(path, &w->path, &mode, diag);
    if (!st)
        st = create_aside(w, diag);
    if (st)
        goto fail;
    if (mode) /* what was private stays so; a file system without modes has none to keep */
        (void)!fchmod(w->fd, mode);
    return GLA_OK;

fail:
    gla__at(diag, path);
    gla__free(w->path);
    gla__free(w->temp);
    memset(w, 0, sizeof(*w));
    w->fd = -1;
    return st;
}

gla_status gla__writer_write_at(gla__writer *w, uint64_t offset, const void *data, size_t n,
                                gla_diag *diag)
{
    size_t done = 0;

    while (done < n) {
        const ssize_t put =
            io->pwrite(w->fd, (const char *)data + done, n - done, (off_t)(offset + done));

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            const gla_status st = gla__fail_errno(diag, put < 0 ? errno : ENOSPC, "cannot write");

            gla__at(diag, w->path);
            return st;
        }
        done += (size_t)put;
    }
    if (offset + n > w->written)
        w->written = offset + n;
    return GLA_OK;
}

gla_status gla__writer_write(gla__writer *w, const void *data, size_t n, gla_diag *diag)
{
    return gla__writer_write_at(w, w->written, data, n, diag);
}

/* Makes the rename durable.  Some file systems cannot sync a folder: not an error. */
static void sync_dir_of(const char *path)
{
    char *dir = gla__path_dir(path);
    int fd;

    if (!dir)
        return;
    fd = io->open(dir, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        io->fsync(fd);
        io->close(fd);
    }
    gla__free(dir);
}

gla_status gla__writer_commit(gla__writer *w, gla_diag *diag)
{
    gla_status st = GLA_OK;
    int err = 0;

    if (io->fsync(w->fd))
        err = errno;
    if (io->close(w->fd) && !err)
        err = errno;
    w->fd = -1;
    if (!err && io->rename(w->temp, w->path))
        err = errno;
    if (err) {
        st = gla__fail_errno(diag, err, "cannot write");
        gla__at(diag, w->path);
        gla__writer_abort(w);
        return st;
    }
    sync_dir_of(w->path);
    gla__free(w->temp);
    w->temp = NULL;
    gla__writer_abort(w);
    return GLA_OK;
}

void gla__writer_abort(gla__writer *w)
{
    if (w->path && w->fd >= 0)
        io->close(w->fd);
    if (w->temp)
        io->unlink(w->temp);
    gla__free(w->temp);
    gla__free(w->path);
    memset(w, 0, sizeof(*w));
    w->fd = -1;
}

gla_status gla__write_all(const char *path, const void *data, size_t n, gla_diag *diag)
{
    gla__writer w;
    gla_status st = gla__writer_open(&w, path, diag);

    if (st)
        return st;
    st = gla__writer_write(&w, data, n, diag);
    if (st) {
        gla__writer_abort(&w);
        return st;
    }
    return gla__writer_commit(&w, diag);
}

gla_status gla__make_dir(const char *path, gla_diag *diag)
{
    gla_status st;

    if (!io->mkdir(path, 0777))
        return GLA_OK;
    st = gla__fail_errno(diag, errno, "cannot make the folder");
    gla__at(diag, path);
    return st;
}

gla_status gla__rename_dir(const char *from, const char *to, gla_diag *diag)
{
    gla_status st;

    if (io->rename(from, to)) {
        st = gla__fail_errno(diag, errno, "cannot put the folder there");
        gla__at(diag, to);
        return st;
    }
    sync_dir_of(to);
    return GLA_OK;
}

/* b -> old, a -> b, old -> a.  errno when a step failed: the way back was taken then, and what
 * fails on that as well leaves b as *old. */
static int exchange_in_steps(const char *a, const char *b, const char *old)
{
    int err;

    if (io->rename(b, old))
        return errno;
    if (io->rename(a, b)) {
        err = errno;
    } else {
        if (!io->rename(old, a))
            return 0;
        err = errno;
        if (io->rename(b, a))
            return err;
    }
    (void)io->rename(old, b);
    return err;
}

gla_status gla__exchange_dirs(const char *a, const char *b, gla_diag *diag)
{
    const size_t n = strlen(a) + sizeof(".old");
    char *old = gla__alloc(n);
    gla_status st = GLA_OK;
    int err;

    if (!old)
        return gla__fail_nomem(diag, "a path");
    snprintf(old, n, "%s.old", a);
    err = io->exchange(a, b) ? errno : 0;
    if (err == ENOSYS || err == EINVAL || err == EOPNOTSUPP)
        err = exchange_in_steps(a, b, old);
    if (err) {
        st = gla__fail_errno(diag, err, "cannot replace the folder");
        if (gla__exists(old))
            gla__hint(diag, "what was there is now in %s", old);
        else
            gla__hint(diag, "write to a new folder");
        gla__at(diag, b);
    } else {
        sync_dir_of(b);
    }
    gla__free(old);
    return st;
}

bool gla__exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool gla__is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}
