/* SPDX-License-Identifier: Apache-2.0
 *
 * driver.c - runs a fuzz target without libFuzzer
 *
 *     fuzz_NAME [--mutations=N] [--seconds=S] [--seed=N] [--dict=FILE] [--write-seeds=DIR]
 * [FILE|DIR]...
 *
 * Every seed and every file first, then N mutations of them: bits, bytes, numbers at their limits,
 * pieces cut, doubled, moved or taken from another input, words of the dictionary.  The same seed
 * number gives the same inputs.  S bounds the time.  An input that crashes is left in the file
 * crash-NAME.
 */
#define _DEFAULT_SOURCE /* DT_DIR */
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "support/rng.h"

enum { CAPACITY = 1 << 20, MOST_INPUTS = 8192, MOST_WORDS = 1024 };

typedef struct blob {
    uint8_t *data;
    size_t size;
} blob;

static blob inputs[MOST_INPUTS], words[MOST_WORDS];
static size_t n_inputs, n_words;
static const char *program = "target";

/* The input that runs. */
static uint8_t current[CAPACITY];
static size_t current_size;

static void add(blob *list, size_t *n, size_t most, const void *data, size_t size)
{
    if (*n == most || size > CAPACITY)
        return;
    list[*n].data = malloc(size + 1);
    if (!list[*n].data)
        exit(3);
    memcpy(list[*n].data, data, size);
    list[(*n)++].size = size;
}

static void add_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(current, 1, sizeof(current), f) : 0;

    if (!f) {
        perror(path);
        exit(3);
    }
    fclose(f);
    add(inputs, &n_inputs, MOST_INPUTS, current, n);
}

static void add_path(const char *path)
{
    struct dirent **names;
    struct stat info;
    int n;

    if (stat(path, &info) || !S_ISDIR(info.st_mode)) {
        add_file(path);
        return;
    }
    n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char full[4096];

        snprintf(full, sizeof(full), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            add_path(full);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}

/* libFuzzer's dictionaries: lines name="text with \" \\ \x41", # comments. */
static void add_dictionary(const char *path)
{
    char line[1024];
    FILE *f = fopen(path, "r");

    if (!f) {
        perror(path);
        exit(3);
    }
    while (fgets(line, sizeof(line), f)) {
        const char *p = strchr(line, '"');
        uint8_t word[256];
        size_t n = 0;

        if (line[0] == '#' || !p)
            continue;
        for (p++; *p && *p != '"' && n < sizeof(word); p++) {
            unsigned code;

            if (*p == '\\' && p[1] == 'x' && sscanf(p + 2, "%2x", &code) == 1) {
                word[n++] = (uint8_t)code;
                p += 3;
            } else {
                p += *p == '\\' && p[1];
                word[n++] = (uint8_t)*p;
            }
        }
        add(words, &n_words, MOST_WORDS, word, n);
    }
    fclose(f);
}

/* ---- mutations: current[] changes in one place ---- */

static void cut(size_t at, size_t n)
{
    memmove(current + at, current + at + n, current_size - at - n);
    current_size -= n;
}

static void insert(size_t at, const uint8_t *data, size_t n)
{
    if (n > CAPACITY - current_size)
        return;
    memmove(current + at + n, current + at, current_size - at);
    memcpy(current + at, data, n);
    current_size += n;
}

static void put_number(rng *r, size_t at)
{
    static const uint64_t limits[] = {0,
                                      1,
                                      0x7f,
                                      0x80,
                                      0xff,
                                      0x7fff,
                                      0xffff,
                                      0x7fffffff,
                                      1u << 31,
                                      0xffffffff,
                                      UINT64_C(1) << 32,
                                      UINT64_C(1) << 40,
                                      INT64_MAX,
                                      UINT64_C(1) << 63,
                                      UINT64_MAX,
                                      UINT64_MAX - 7};
    const uint64_t v = limits[rng_below(r, sizeof(limits) / sizeof(limits[0]))];
    const size_t width = (size_t)1 << rng_below(r, 4);

    for (size_t i = 0; i < width && at + i < current_size; i++)
        current[at + i] = (uint8_t)(v >> (8 * i));
}

/* A decimal number somewhere is replaced: most formats are texts. */
static void put_decimal(rng *r, size_t at)
{
    static const char *const numbers[] = {"0",
                                          "1",
                                          "-1",
                                          "2",
                                          "255",
                                          "65536",
                                          "2147483648",
                                          "4294967295",
                                          "1e9",
                                          "1e-9",
                                          "1e400",
                                          "9223372036854775807",
                                          "18446744073709551616",
                                          "0.5",
                                          ".inf",
                                          "null",
                                          "true",
                                          "[]",
                                          "{}",
                                          "\"\""};
    const char *text = numbers[rng_below(r, sizeof(numbers) / sizeof(numbers[0]))];
    size_t n = 0;

    while (at < current_size && (current[at] < '0' || current[at] > '9'))
        at++;
    while (at + n < current_size && current[at + n] >= '0' && current[at + n] <= '9')
        n++;
    cut(at, n);
    insert(at, (const uint8_t *)text, strlen(text));
}

static void mutate(rng *r)
{
    const size_t at = current_size ? rng_below(r, (uint32_t)current_size) : 0;
    const size_t left = current_size - at;
    const blob *other = &inputs[rng_below(r, (uint32_t)n_inputs)];
    size_t n = 1 + rng_below(r, rng_below(r, 4) ? 8 : 64), from;
    uint8_t piece[64];

    n = n < left ? n : left;
    switch (rng_below(r, n_words ? 10 : 9)) {
    case 0:
        if (left)
            current[at] ^= (uint8_t)(1u << rng_below(r, 8));
        break;
    case 1:
        if (left)
            current[at] = (uint8_t)rng_next(r);
        break;
    case 2:
        put_number(r, at);
        break;
    case 3:
        put_decimal(r, at);
        break;
    case 4:
        cut(at, n);
        break;
    case 5: /* doubled */
        memcpy(piece, current + at, n);
        insert(at, piece, n);
        break;
    case 6: /* moved */
        memcpy(piece, current + at, n);
        cut(at, n);
        insert(current_size ? rng_below(r, (uint32_t)current_size) : 0, piece, n);
        break;
    case 7: /* of another input */
        from = other->size ? rng_below(r, (uint32_t)other->size) : 0;
        n = 1 + rng_below(r, 256);
        n = n < other->size - from ? n : other->size - from;
        insert(at, other->data + from, n);
        break;
    case 8: /* the end */
        if (!rng_below(r, 4))
            current_size = at;
        break;
    default:
        other = &words[rng_below(r, (uint32_t)n_words)];
        insert(at, other->data, other->size);
    }
}

/* ---- running ---- */

static void on_crash(int number)
{
    char path[256] = "crash-";
    FILE *f;

    strncat(path, program, sizeof(path) - 32);
    f = fopen(path, "wb"); /* nothing is safe now; this works as a rule */
    if (f) {
        fwrite(current, 1, current_size, f);
        fclose(f);
    }
    fprintf(stderr, "%s: signal %d; the input is in %s\n", program, number, path);
    signal(number, SIG_DFL);
    raise(number);
}

static double run_current(void)
{
    uint8_t *exact = malloc(current_size ? current_size : 1); /* so that a sanitizer sees its end */
    struct timespec a, b;

    if (!exact)
        exit(3);
    memcpy(exact, current, current_size);
    clock_gettime(CLOCK_MONOTONIC, &a);
    (void)LLVMFuzzerTestOneInput(exact, current_size);
    clock_gettime(CLOCK_MONOTONIC, &b);
    free(exact);
    return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

static void write_seeds(const char *dir)
{
    for (size_t i = 0; i < n_inputs; i++) {
        char path[4096];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s-%04zu", dir, program, i);
        f = fopen(path, "wb");
        if (!f || fwrite(inputs[i].data, 1, inputs[i].size, f) != inputs[i].size || fclose(f)) {
            perror(path);
            exit(3);
        }
    }
}

static const char *option(const char *arg, const char *name)
{
    const size_t n = strlen(name);

    return !strncmp(arg, name, n) && arg[n] == '=' ? arg + n + 1 : NULL;
}

int main(int argc, char **argv)
{
    uint64_t mutations = 0, done = 0;
    double seconds = 1e9, slowest = 0, total = 0;
    const char *seeds_to = NULL, *v;
    rng r = {1};
    size_t n;

    program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    for (uint32_t i = 0; (n = fuzz_seed(i, current, CAPACITY)); i++)
        add(inputs, &n_inputs, MOST_INPUTS, current, n);
    for (int i = 1; i < argc; i++)
        if ((v = option(argv[i], "--mutations")))
            mutations = strtoull(v, NULL, 10);
        else if ((v = option(argv[i], "--seconds")))
            seconds = strtod(v, NULL);
        else if ((v = option(argv[i], "--seed")))
            r.state = strtoull(v, NULL, 10);
        else if ((v = option(argv[i], "--dict")))
            add_dictionary(v);
        else if ((v = option(argv[i], "--write-seeds")))
            seeds_to = v;
        else
            add_path(argv[i]);
    if (!n_inputs) {
        fprintf(stderr, "%s: no inputs\n", program);
        return 3;
    }
    if (seeds_to) {
        write_seeds(seeds_to);
        return 0;
    }
    signal(SIGABRT, on_crash);
    signal(SIGSEGV, on_crash);
    for (uint64_t i = 0; i < n_inputs + mutations && total < seconds; i++, done++) {
        const blob *b = &inputs[i < n_inputs ? i : rng_below(&r, (uint32_t)n_inputs)];
        double took;

        memcpy(current, b->data, b->size);
        current_size = b->size;
        for (uint32_t k = i < n_inputs ? 0 : 1 + rng_below(&r, 4); k; k--)
            mutate(&r);
        took = run_current();
        total += took;
        slowest = took > slowest ? took : slowest;
    }
    printf("%s: %llu inputs of %zu seeds in %.1f s, the slowest %.0f ms\n", program,
           (unsigned long long)done, n_inputs, total, 1e3 * slowest);
    for (size_t i = 0; i < n_inputs; i++)
        free(inputs[i].data);
    for (size_t i = 0; i < n_words; i++)
        free(words[i].data);
    return 0;
}
