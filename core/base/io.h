/* SPDX-License-Identifier: Apache-2.0
 *
 * io.h - files, through a table of functions that tests can replace
 *
 * Reading: gla__file (pread, any thread).  No memory mapping: a file cut by someone else is an
 * error, not a signal.  Writing: gla__writer writes aside in the same folder and renames on commit;
 * a crash or failure at any point leaves the old file.  EINTR and short transfers are handled here,
 * once.
 */
#ifndef GLA_BASE_IO_H
#define GLA_BASE_IO_H

#include <gla/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As the POSIX calls of these names: -1 and errno on failure. */
typedef struct gla__io {
    int (*open)(const char *path, int flags, unsigned mode);
    int (*close)(int fd);
    ssize_t (*pread)(int fd, void *buf, size_t n, off_t offset);
    ssize_t (*write)(int fd, const void *buf, size_t n);
    ssize_t (*pwrite)(int fd, const void *buf, size_t n, off_t offset);
    int (*fsync)(int fd);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, unsigned mode);
    int (*size)(int fd, uint64_t *out, bool *regular);
    int (*exchange)(const char *a, const char *b); /* two names at once; ENOSYS where it cannot */
} gla__io;

/* NULL: the operating system's.  [control] */
void gla__io_set(const gla__io *io);
/* A copy of the table in use, to replace a few functions of. */
gla__io gla__io_get(void);

/* ---- reading ---- */

typedef struct gla__file {
    int fd;
    uint64_t size;
    char *path;
} gla__file;

/* Regular files only. */
gla_status gla__file_open(gla__file *f, const char *path, gla_diag *diag);
void gla__file_close(gla__file *f); /* also a zeroed one */
/* Exactly n bytes at offset, else GLA_E_CORRUPT (past the end) or GLA_E_IO. */
gla_status gla__file_read(const gla__file *f, uint64_t offset, void *dst, size_t n, gla_diag *diag);
/* Whole file, NUL added; more than `limit` bytes is GLA_E_LIMIT.  gla__free(*data). */
gla_status gla__read_all(const char *path, uint64_t limit, char **data, size_t *size,
                         gla_diag *diag);

/* ---- writing ---- */

typedef struct gla__writer {
    int fd;
    uint64_t written; /* end of the file so far */
    char *path, *temp;
} gla__writer;

/* Creates "DIR/.NAME.PID-N.tmp" beside path, or beside what path links to; with the mode of the
 * file that it will replace.  Anything but a regular file is not replaced. */
gla_status gla__writer_open(gla__writer *w, const char *path, gla_diag *diag);
gla_status gla__writer_write(gla__writer *w, const void *data, size_t n, gla_diag *diag);
gla_status gla__writer_write_at(gla__writer *w, uint64_t offset, const void *data, size_t n,
                                gla_diag *diag);
/* fsync, close, rename, fsync of the folder. */
gla_status gla__writer_commit(gla__writer *w, gla_diag *diag);
/* Removes the temporary file; nothing after a commit, nothing for a zeroed writer. */
void gla__writer_abort(gla__writer *w);

gla_status gla__write_all(const char *path, const void *data, size_t n, gla_diag *diag);
gla_status gla__make_dir(const char *path, gla_diag *diag); /* a new one */
/* Renames a folder; to must not exist, or be empty. */
gla_status gla__rename_dir(const char *from, const char *to, gla_diag *diag);
/* Each takes the other's name, in one step where the file system can (Linux), else in three: a
 * crash between them leaves b under the name "a.old".  A failure leaves both as they were, unless
 * the way back fails as well: then the hint says where b is. */
gla_status gla__exchange_dirs(const char *a, const char *b, gla_diag *diag);
bool gla__exists(const char *path);
bool gla__is_dir(const char *path);
/* "dir/name", allocated; NULL when out of memory. */
char *gla__path_join(const char *dir, const char *name);
/* Everything before the last slash ("." if none), allocated. */
char *gla__path_dir(const char *path);
/* "DIR/.NAME.PID-N.tmp", where that is made which will have path's name; out has GLA__ASIDE_MORE
 * bytes more than path. */
#define GLA__ASIDE_MORE 64
void gla__path_aside(const char *path, unsigned attempt, char *out);

#endif
