/* SPDX-License-Identifier: Apache-2.0
 *
 * One file in memory, behind the library's table of system calls.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "fuzz/fuzz.h"

enum { IN_FD = 7001, OUT_FD = 7002 };

static const uint8_t *input;
static size_t input_size;
static uint8_t *output;
static size_t output_size, output_capacity;

static int memory_open(const char *path, int flags, unsigned mode)
{
    (void)mode;
    if (!strcmp(path, FUZZ_FILE))
        return IN_FD;
    if (flags & O_CREAT)
        output_size = 0;
    else if (strcmp(path, "/fuzz") != 0) { /* the folder is opened to be synchronised */
        errno = ENOENT;
        return -1;
    }
    return OUT_FD;
}

static int memory_close(int fd)
{
    (void)fd;
    return 0;
}

static ssize_t memory_pread(int fd, void *buf, size_t n, off_t offset)
{
    const size_t at = (size_t)offset;

    if (fd != IN_FD || at >= input_size)
        return 0;
    n = n < input_size - at ? n : input_size - at;
    memcpy(buf, input + at, n);
    return (ssize_t)n;
}

static ssize_t memory_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
    const size_t end = (size_t)offset + n;

    (void)fd;
    if (end > output_capacity) {
        uint8_t *more = realloc(output, 2 * end);

        PROMISE(more);
        memset(more + output_capacity, 0, 2 * end - output_capacity);
        output = more;
        output_capacity = 2 * end;
    }
    memcpy(output + offset, buf, n);
    output_size = end > output_size ? end : output_size;
    return (ssize_t)n;
}

static ssize_t memory_write(int fd, const void *buf, size_t n)
{
    return memory_pwrite(fd, buf, n, (off_t)output_size);
}

static int memory_size(int fd, uint64_t *out, bool *regular)
{
    *out = fd == IN_FD ? input_size : output_size;
    *regular = true;
    return 0;
}

static int memory_fine(int fd)
{
    (void)fd;
    return 0;
}

static int memory_rename(const char *from, const char *to)
{
    (void)from;
    (void)to;
    return 0;
}

static int memory_unlink(const char *path)
{
    (void)path;
    return 0;
}

static void install(void)
{
    static gla__io io;

    if (io.open)
        return;
    io = gla__io_get();
    io.open = memory_open;
    io.close = memory_close;
    io.pread = memory_pread;
    io.write = memory_write;
    io.pwrite = memory_pwrite;
    io.fsync = memory_fine;
    io.rename = memory_rename;
    io.unlink = memory_unlink;
    io.size = memory_size;
    gla__io_set(&io);
}

void fuzz_file(const uint8_t *data, size_t size)
{
    install();
    input = data;
    input_size = size;
}

const uint8_t *fuzz_written(size_t *size)
{
    *size = output_size;
    return output;
}
