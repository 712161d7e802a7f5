/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz.h - what the fuzz targets share
 *
 * A target is one file fuzz_NAME.c with libFuzzer's LLVMFuzzerTestOneInput() and fuzz_seed(), its
 * first inputs.  Built by clang with GLA_FUZZ it is a libFuzzer program; else driver.c runs it: all
 * seeds, then so many mutations of them, always the same for one seed number.
 *
 * Anything that crashes, hangs, leaks, breaks a promise (PROMISE) or is seen by a sanitizer is a
 * finding.
 */
#ifndef GLA_TESTS_FUZZ_H
#define GLA_TESTS_FUZZ_H

#include <gla/gla.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Seed i into out; 0: there are no more. */
size_t fuzz_seed(uint32_t i, uint8_t *out, size_t capacity);

#define PROMISE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition);        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* For seeds that are texts. */
static inline size_t fuzz_text(const char *text, uint8_t *out, size_t capacity)
{
    const size_t n = strlen(text) < capacity ? strlen(text) : capacity;

    memcpy(out, text, n);
    return n;
}

/* A failure says what and has a status of the list; nothing is said of success. */
static inline void fuzz_check_diag(gla_status st, const gla_diag *diag)
{
    if (!st)
        return;
    PROMISE(strcmp(gla_status_name(st), "unknown") != 0);
    PROMISE(diag->status == st && diag->message[0]);
    PROMISE(memchr(diag->message, 0, sizeof(diag->message)) &&
            memchr(diag->where, 0, sizeof(diag->where)) &&
            memchr(diag->hint, 0, sizeof(diag->hint)));
}

/* The file "/fuzz/input" has these bytes from now on; nothing of the disk is read. */
#define FUZZ_FILE "/fuzz/input"
void fuzz_file(const uint8_t *data, size_t size);
/* What the library wrote last (FUZZ_FILE or any other name). */
const uint8_t *fuzz_written(size_t *size);

#endif
