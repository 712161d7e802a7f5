/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fault_formats.c - memory runs out, or the disk fails, at every single point of reading and
 * writing files
 *
 * Each case runs again and again: the n-th allocation (or system call) fails, for n = 1, 2, ...
 * until none does.  A file that was to be replaced is the old or the new one afterwards, whole, and
 * nothing else lies beside it.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <gla/gla.h>
#include <glob.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "formats/weights/glaw.h"
#include "support/failing_memory.h"
#include "support/temp_file.h"

static atomic_long calls;
static long fail_at;
static bool short_instead;
static int fail_with; /* errno of a failing system call */
static atomic_int injected;

/* True when the current system call is to fail. */
static bool now(void)
{
    const long n = atomic_fetch_add(&calls, 1) + 1;

    if (!fail_at || n != fail_at)
        return false;
    atomic_fetch_add(&injected, 1);
    return true;
}

static void arm(long n)
{
    atomic_store(&calls, 0);
    atomic_store(&injected, 0);
    fail_at = n;
}

/* ---- what is done ------------------------------------------------------------- */

static char path[TEMP_PATH];
static uint8_t data[3u << 20]; /* of several chunks */
static gla_diag diag;

static const char yaml[] =
    "gla: 1\nname: x\nvocab_size: 100\nd_model: 64\neos_tokens: [2, 3]\n"
    "norm: {type: rmsnorm, eps: 1.0e-6}\nblocks:\n  both:\n    mixer:\n"
    "    - {type: mamba2, in_multiplier: 0.5, s: text}\n"
    "    - {type: attention, rope: {theta: 10000, l: [1, 2]}}\n    ffn: swiglu\n"
    "  one: {ffn: \"mlp\"}\nlayers: {pattern: 2*both + one, repeat: 3, override: {1: one}}\n";

static gla_status use_arch(void)
{
    gla_arch *a, *b;
    char *text;
    size_t size;
    gla_status st = gla_arch_parse(yaml, sizeof(yaml) - 1, "x", &a, &diag);

    if (st)
        return st;
    st = gla_arch_print(a, &text, &size, &diag);
    gla_text_free(text);
    if (!st) {
        st = gla_arch_copy(a, &b, NULL);
        gla_arch_free(b);
    }
    gla_arch_free(a);
    return st;
}

static gla_status fill_glaw(gla__glaw_writer *w)
{
    const gla__piece piece = {.source = "q", .count = 3 * 1024};
    const gla__glaw_tensor a = {"a", GLA_DTYPE_U8, 2, {3, 1024}, &piece, 1};
    const gla__glaw_tensor b = {"b", GLA_DTYPE_BF16, 2, {1024, 1024}, NULL, 0};
    gla_status st = gla__glaw_set_metadata(w, "k", "v", &diag);

    if (!st)
        st = gla__glaw_set_family(w, "test", &diag);
    if (!st)
        st = gla__glaw_set_config(w, "{}", 2, &diag);
    if (!st)
        st = gla__glaw_add_file(w, "m.safetensors", "{}", 2, &diag);
    if (!st)
        st = gla__glaw_add(w, &a, data, &diag);
    if (!st)
        st = gla__glaw_add(w, &b, data, &diag);
    return st ? st : gla__glaw_finish(w, &diag);
}

static gla_status write_glaw(void)
{
    gla__glaw_writer *w;
    gla_status st = gla__glaw_create(path, 0, &w, &diag);

    if (st)
        return st;
    st = fill_glaw(w);
    gla__glaw_close(&w);
    return st;
}

static gla_status read_weights(void)
{
    static uint8_t dst[sizeof(data)];
    gla_weights *w;
    gla_status st = gla_weights_open(path, NULL, &w, &diag);

    for (uint32_t i = 0; !st && i < gla_weights_count(w); i++) {
        const gla_tensor_info *info = gla_weights_info(w, i);

        cr_assert_leq(info->raw_bytes, sizeof(dst));
        st = gla_weights_read(w, info, dst, &diag);
        cr_assert(st || !memcmp(dst, data, (size_t)info->raw_bytes), "wrong bytes, status 0");
    }
    gla_weights_free(w);
    return st;
}

/* ---- memory ------------------------------------------------------------------- */

typedef struct deed {
    const char *name;
    gla_status (*act)(void);
    bool jansson; /* its memory fails too */
} deed;

/* A file that was to be replaced is whole: an allocation whose failure does no harm (syncing the
 * folder) may pass unnoticed. */
static gla_status do_it(void *ctx, gla_diag *out)
{
    const deed *d = ctx;
    const gla_status st = d->act();

    memory_disarm();
    if (st)
        *out = diag;
    cr_expect_eq(read_weights(), GLA_OK, "%s left a damaged file", d->name);
    return st;
}

static void every_allocation(deed d)
{
    memory_take_over();
    if (d.jansson)
        memory_take_over_jansson();
    cr_expect_gt(memory_every(d.name, do_it, &d), 20, "%s", d.name);
    memory_give_back_jansson();
    memory_give_back();
}

static void prepare(const char *name)
{
    gla_set_threads(1);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * i >> 7 & 0x3f);
    temp_path(path, name);
    cr_assert_eq(write_glaw(), GLA_OK, "%s", diag.message);
}

Test(fault_formats, memory_runs_out)
{
    prepare("oom.glaw");
    every_allocation((deed){"architecture", use_arch, false});
    every_allocation((deed){"writing glaw", write_glaw, true});
    every_allocation((deed){"reading glaw", read_weights, false});
    unlink(path);
}

/* ---- the disk ------------------------------------------------------------------- */

static int io_open(const char *p, int flags, unsigned mode)
{
    if (now() && !short_instead) {
        errno = fail_with;
        return -1;
    }
    return open(p, flags, (mode_t)mode);
}

static int io_close(int fd)
{
    const bool fail = now() && !short_instead;
    const int got = close(fd); /* a close that fails has closed */

    errno = fail ? fail_with : errno;
    return fail ? -1 : got;
}

static ssize_t io_pread(int fd, void *buf, size_t n, off_t offset)
{
    if (now()) {
        if (short_instead)
            return n ? pread(fd, buf, (n + 1) / 2, offset) : 0;
        errno = fail_with;
        return -1;
    }
    return pread(fd, buf, n, offset);
}

static ssize_t io_write(int fd, const void *buf, size_t n)
{
    if (now()) {
        if (short_instead)
            return write(fd, buf, (n + 1) / 2);
        errno = fail_with;
        return -1;
    }
    return write(fd, buf, n);
}

static ssize_t io_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    if (now()) {
        if (short_instead)
            return pwrite(fd, buf, (n + 1) / 2, offset);
        errno = fail_with;
        return -1;
    }
    return pwrite(fd, buf, n, offset);
}

static int io_fsync(int fd)
{
    (void)fd; /* no real one: there are hundreds */
    errno = fail_with;
    return now() && !short_instead ? -1 : 0;
}

static int io_rename(const char *from, const char *to)
{
    errno = fail_with;
    return now() && !short_instead ? -1 : rename(from, to);
}

static int io_exchange(const char *a, const char *b)
{
    (void)a;
    (void)b;
    errno = now() && !short_instead ? fail_with : ENOSYS; /* three renames instead */
    return -1;
}

static int io_unlink(const char *p)
{
    return unlink(p);
}

static int io_mkdir(const char *p, unsigned mode)
{
    return mkdir(p, (mode_t)mode);
}

static int io_size(int fd, uint64_t *out, bool *regular)
{
    struct stat st;

    errno = fail_with;
    if ((now() && !short_instead) || fstat(fd, &st))
        return -1;
    *out = (uint64_t)st.st_size;
    *regular = S_ISREG(st.st_mode);
    return 0;
}

static const gla__io failing_io = {io_open,   io_close,  io_pread, io_write, io_pwrite,  io_fsync,
                                   io_rename, io_unlink, io_mkdir, io_size,  io_exchange};

/* EINTR and short transfers must pass unnoticed, everything else is GLA_E_IO. */
static void every_call(const char *name, gla_status (*act)(void), int error, bool short_ones)
{
    fail_with = error;
    short_instead = short_ones;
    for (long n = 1;; n++) {
        gla_status st;

        gla__io_set(&failing_io);
        arm(n);
        st = act();
        fail_at = 0;
        gla__io_set(NULL);
        if (!atomic_load(&injected)) {
            cr_assert_eq(st, GLA_OK, "%s: %s", name, diag.message);
            cr_assert_gt(n, 4);
            return;
        }
        cr_expect(st == GLA_OK || (st == GLA_E_IO && !short_ones), "%s: call %ld gives %s", name, n,
                  gla_status_name(st));
        cr_expect_eq(read_weights(), GLA_OK, "%s: call %ld left a damaged file: %s", name, n,
                     diag.message);
    }
}

static size_t count_temporary_files(void)
{
    char pattern[TEMP_PATH + 8];
    const char *slash = strrchr(path, '/');
    glob_t found;
    size_t n = 0;

    snprintf(pattern, sizeof(pattern), "%.*s.%s*", (int)(slash + 1 - path), path, slash + 1);
    if (!glob(pattern, 0, NULL, &found))
        n = found.gl_pathc;
    globfree(&found);
    return n;
}

Test(fault_formats, the_disk_fails)
{
    static const int errors[] = {EIO, ENOSPC};

    prepare("io.glaw");
    for (size_t i = 0; i < 2; i++) {
        every_call("writing glaw", write_glaw, errors[i], false);
        every_call("reading glaw", read_weights, errors[i], false);
    }
    every_call("writing glaw in short pieces", write_glaw, 0, true);
    every_call("reading glaw in short pieces", read_weights, 0, true);
    cr_expect_eq(count_temporary_files(), 0);
    unlink(path);
}
