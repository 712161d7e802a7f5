/* SPDX-License-Identifier: Apache-2.0
 *
 * temp_file.h - files that a test writes
 *
 * Every Criterion test is a process of its own: its number makes the path unique.  A test removes
 * what it made; what a failed one leaves is in the build folder.
 */
#ifndef GLA_TESTS_TEMP_FILE_H
#define GLA_TESTS_TEMP_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_PATH 512

/* GLA_BINARY_DIR/tmp/PID-NAME */
static inline const char *temp_path(char path[TEMP_PATH], const char *name)
{
    mkdir(GLA_BINARY_DIR "/tmp", 0777);
    snprintf(path, TEMP_PATH, "%s/tmp/%ld-%s", GLA_BINARY_DIR, (long)getpid(), name);
    return path;
}

/* 0 on failure. */
static inline int write_file(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    int ok = f && fwrite(data, 1, n, f) == n;

    if (f)
        ok = !fclose(f) && ok;
    return ok;
}

/* malloc()ed; NULL on failure. */
static inline uint8_t *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;

    *n = 0;
    if (f && !fseek(f, 0, SEEK_END)) {
        const long size = ftell(f);

        data = size >= 0 ? malloc((size_t)size + 1) : NULL;
        rewind(f);
        if (data)
            *n = fread(data, 1, (size_t)size, f);
    }
    if (f)
        fclose(f);
    return data;
}

#endif
