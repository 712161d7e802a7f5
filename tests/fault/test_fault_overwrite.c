/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fault_overwrite.c - a model folder that is replaced is the old one or the new one, whole,
 * whatever fails on the way and wherever the process is killed; what a user laid there stays
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gla/gla.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/io.h"

#define REFERENCE GLA_SOURCE_DIR "/tests/reference/"

static char top[64], dst[96];
static long calls, fail_at;
static bool kill_instead, in_steps; /* in_steps: the file system cannot exchange */

/* True when this system call is to fail; none returns from a kill. */
static bool now(void)
{
    const bool hit = ++calls == fail_at;

    if (hit && kill_instead)
        _exit(99);
    errno = EIO;
    return hit;
}

static int io_open(const char *path, int flags, unsigned mode)
{
    return now() ? -1 : open(path, flags, (mode_t)mode);
}

static ssize_t io_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    return now() ? -1 : pwrite(fd, buf, n, offset);
}

static int io_fsync(int fd)
{
    (void)fd; /* no real one: there are thousands */
    return now() ? -1 : 0;
}

static int io_rename(const char *from, const char *to)
{
    return now() ? -1 : rename(from, to);
}

static int io_mkdir(const char *path, unsigned mode)
{
    return now() ? -1 : mkdir(path, (mode_t)mode);
}

static gla__io system_io;

static int io_exchange(const char *a, const char *b)
{
    if (now())
        return -1;
    errno = ENOSYS;
    return in_steps ? -1 : system_io.exchange(a, b);
}

/* ---- what lies there ---------------------------------------------------------- */

/* Names and contents of a folder's files; 0: it is not there. */
static uint64_t fingerprint(const char *folder)
{
    DIR *d = opendir(folder);
    uint64_t sum = 0;

    for (struct dirent *e; d && (e = readdir(d));) {
        char path[400], *data;
        size_t n;
        gla_diag diag;

        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        cr_assert_eq(gla__read_all(path, UINT64_MAX, &data, &n, &diag), GLA_OK, "%s", path);
        sum += XXH3_64bits_withSeed(data, n, XXH3_64bits(e->d_name, strlen(e->d_name)));
        gla__free(data);
    }
    if (d)
        closedir(d);
    return sum;
}

/* Removes folders beside dst; returns how many there were, the last one's name in *name. */
static int clean_beside(char name[400])
{
    DIR *d = opendir(top);
    int n = 0;

    for (struct dirent *e; (e = readdir(d));) {
        char command[512];

        if (e->d_name[0] != '.' || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(name, 400, "%s/%s", top, e->d_name);
        snprintf(command, sizeof(command), "rm -r '%s'", name);
        cr_assert_eq(system(command), 0);
        n++;
    }
    closedir(d);
    return n;
}

static gla_status convert(const char *name)
{
    const gla_convert_options o = {GLA_SIZED(gla_convert_options), .overwrite = 1};
    char src[200];
    gla_diag diag;
    gla_status st;

    snprintf(src, sizeof(src), REFERENCE "%s", name);
    st = gla_convert(src, dst, &o, NULL, 0, &diag);
    cr_assert(st == GLA_OK || st == GLA_E_IO, "%s: %s", diag.where, diag.message);
    return st;
}

static uint64_t old_model, new_model;

/* dst holds a model and a note of its user; what it will hold is known. */
static void prepare(void)
{
    char note[128];
    FILE *f;

    strcpy(top, "/tmp/gla-test-XXXXXX");
    cr_assert_not_null(mkdtemp(top));
    snprintf(dst, sizeof(dst), "%s/model", top);
    system_io = gla__io_get();
    gla_set_threads(1); /* a child of fork() has no others */
    cr_assert_eq(convert("retnet"), GLA_OK);
    snprintf(note, sizeof(note), "%s/note.txt", dst);
    f = fopen(note, "w");
    fputs("do not lose me", f);
    fclose(f);
    old_model = fingerprint(dst);
    cr_assert_eq(convert("hgrn"), GLA_OK);
    new_model = fingerprint(dst);
    cr_assert_neq(old_model, new_model);
    cr_assert_eq(convert("retnet"), GLA_OK);
    cr_assert_eq(fingerprint(dst), old_model);
}

static void finish(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r '%s'", top);
    cr_assert_eq(system(command), 0);
}

static gla_status convert_failing(long n)
{
    gla__io io = system_io;
    gla_status st;

    io.open = io_open;
    io.pwrite = io_pwrite;
    io.fsync = io_fsync;
    io.rename = io_rename;
    io.mkdir = io_mkdir;
    io.exchange = io_exchange;
    gla__io_set(&io);
    calls = 0;
    fail_at = n;
    st = convert("hgrn");
    gla__io_set(NULL);
    return st;
}

static void every_failure(bool steps)
{
    char name[400];

    in_steps = steps;
    prepare();
    for (long n = 1;; n++) {
        const gla_status st = convert_failing(n);
        const uint64_t there = fingerprint(dst);

        cr_expect_eq(clean_beside(name), 0, "call %ld leaves %s", n, name);
        cr_expect(there == (st ? old_model : new_model), "call %ld gives %s and %s", n,
                  gla_status_name(st), there == old_model ? "the old model" : "a mixture");
        if (calls < n) {
            cr_assert_gt(n, 20);
            break;
        }
        cr_assert_eq(convert("retnet"), GLA_OK);
        cr_assert_eq(fingerprint(dst), old_model);
    }
    finish();
}

Test(fault_overwrite, every_call_fails)
{
    every_failure(false);
}

Test(fault_overwrite, every_call_fails_without_an_exchange)
{
    every_failure(true);
}

/* Between its renames the way without an exchange has a moment with no model in place; the old one
 * is then beside it. */
static void every_kill(bool steps)
{
    int status;
    char name[400];

    in_steps = steps;
    kill_instead = true;
    prepare();
    for (long n = 1;; n++) {
        pid_t child = fork();
        uint64_t there;

        if (!child) {
            convert_failing(n);
            _exit(0);
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status));
        there = fingerprint(dst);
        if (!there && steps) {
            snprintf(name, sizeof(name), "%s/.model.%ld-0.tmp.old", top, (long)child);
            cr_assert_eq(rename(name, dst), 0, "call %ld: no old model", n);
            there = fingerprint(dst);
        }
        cr_expect(there == old_model || there == new_model, "killed at call %ld: a mixture", n);
        if (WEXITSTATUS(status) != 99) {
            cr_assert_gt(n, 20);
            cr_expect_eq(there, new_model);
            break;
        }
        cr_expect_leq(clean_beside(name), 1);
        cr_assert_eq(convert("retnet"), GLA_OK);
        cr_assert_eq(fingerprint(dst), old_model);
    }
    finish();
}

Test(fault_overwrite, killed_at_every_call)
{
    every_kill(false);
}

Test(fault_overwrite, killed_at_every_call_without_an_exchange)
{
    every_kill(true);
}
