/* SPDX-License-Identifier: Apache-2.0
 *
 * checkkernels - every kernel of every instruction set against its formula, and how fast it is
 *
 *     checkkernels [--seed=N] [--test=PATTERN] [--bench] [--list] [--json]
 */
#include "ck.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kernels.def"

enum { BUFFERS = 64, GUARD = 64, GUARD_BYTE = 0x99, RESULTS = 4096, SAMPLES = 15 };
enum { ERRORS = 1 << 16 }; /* a power of two, well above the number of results compared */

typedef struct kernel {
    const char *op, *dtype;
    gla__isa isa;
    ck_any function;
    const void *table;
} kernel;

static const kernel kernels[] = {
#define GLA_KERNEL(op, dtype, isa, function)     {#op, #dtype, GLA__ISA_##isa, (ck_any)function, NULL},
#define GLA_KERNEL_TABLE(op, dtype, isa, table_) {#op, #dtype, GLA__ISA_##isa, NULL, &table_},
#include "kernels.def"
#undef GLA_KERNEL
#undef GLA_KERNEL_TABLE
};
enum { KERNELS = sizeof(kernels) / sizeof(kernels[0]) };

static void (*const checks[])(ck *c) = {
#define GLA_CHECK(name) check_##name,
#include "kernels.def"
#undef GLA_CHECK
};

typedef struct buffer {
    char *map; /* pages, the last of which must not be touched */
    size_t map_bytes;
    char *data; /* GUARD bytes before it are GUARD_BYTE; NULL: map is from malloc */
} buffer;

typedef struct result {
    char name[96];
    gla__isa isa;
    double ns, gflops, gbs;
} result;

/* What plain C was off by, in a table by the hash of case and result. */
typedef struct error {
    uint64_t key; /* 0: free */
    double worst;
} error;

struct ck {
    gla__isa isa;
    rng random;
    uint64_t seed;
    const char *pattern;
    bool bench, list, json;
    char name[96];
    bool active, failed; /* the case */
    unsigned cases, failures;
    buffer buffers[BUFFERS];
    unsigned n_buffers;
    result results[RESULTS];
    unsigned n_results;
    error errors[ERRORS];
    unsigned n_errors;
};

static sigjmp_buf crashed;

static void on_crash(int signal_number)
{
    siglongjmp(crashed, signal_number);
}

gla__isa ck_isa(const ck *c)
{
    return c->isa;
}

rng *ck_rng(ck *c)
{
    return &c->random;
}

bool ck_benching(const ck *c)
{
    return c->bench;
}

static const kernel *find(const ck *c, const char *op)
{
    for (size_t i = 0; i < KERNELS; i++)
        if (kernels[i].isa == c->isa && strcmp(kernels[i].op, op) == 0)
            return &kernels[i];
    return NULL;
}

ck_any ck_function(const ck *c, const char *op)
{
    const kernel *k = find(c, op);

    return k ? k->function : NULL;
}

const void *ck_table(const ck *c, const char *op)
{
    const kernel *k = find(c, op);

    return k ? k->table : NULL;
}

static void failure(ck *c, const char *text)
{
    c->failed = true;
    fprintf(stderr, "FAIL %s_%s: %s (--seed=%llu)\n", c->name, gla__isa_name(c->isa), text,
            (unsigned long long)c->seed);
}

bool ck_case(ck *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(c->name, sizeof(c->name), format, args);
    va_end(args);
    c->active = !c->pattern || fnmatch(c->pattern, c->name, 0) == 0;
    c->failed = false;
    if (c->active && c->list) {
        printf("%s_%s\n", c->name, gla__isa_name(c->isa));
        c->active = false;
    }
    /* the same numbers for every instruction set, whatever ran before */
    c->random.state = c->seed;
    for (const char *s = c->name; *s; s++)
        c->random.state = c->random.state * 31 + (unsigned char)*s;
    return c->active;
}

static void out_of_memory(void)
{
    fprintf(stderr, "checkkernels: out of memory\n");
    exit(2);
}

static float *take(ck *c, size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = n * sizeof(float);
    const size_t whole = (bytes + GUARD + page - 1) / page * page;
    buffer *b = &c->buffers[c->n_buffers++];

    if (c->n_buffers > BUFFERS)
        out_of_memory();
    b->map_bytes = whole + page;
    b->map = mmap(NULL, b->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->map == MAP_FAILED || mprotect(b->map + whole, page, PROT_NONE))
        out_of_memory();
    b->data = b->map + whole - bytes;
    memset(b->data - GUARD, GUARD_BYTE, GUARD);
    return (float *)(void *)b->data;
}

float *ck_zeros(ck *c, size_t n)
{
    return take(c, n);
}

float *ck_input(ck *c, size_t n)
{
    float *x = take(c, n);

    rng_fill_normal(&c->random, x, n);
    return x;
}

float *ck_output(ck *c, size_t n)
{
    float *x = take(c, n);

    for (size_t i = 0; i < n; i++)
        x[i] = NAN;
    return x;
}

double *ck_want(ck *c, size_t n)
{
    buffer *b = &c->buffers[c->n_buffers++];

    if (c->n_buffers > BUFFERS)
        out_of_memory();
    *b = (buffer){.map = calloc(n + 1, sizeof(double))};
    if (!b->map)
        out_of_memory();
    return (double *)(void *)b->map;
}

static bool guards_hold(const ck *c)
{
    for (unsigned i = 0; i < c->n_buffers; i++)
        for (int j = 1; c->buffers[i].data && j <= GUARD; j++)
            if ((unsigned char)c->buffers[i].data[-j] != GUARD_BYTE)
                return false;
    return true;
}

bool ck_run(ck *c, void (*fn)(void *arg), void *arg)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    const struct sigaction act = {.sa_handler = on_crash};
    char text[64];
    int number;

    if (!c->active || c->failed)
        return false;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &act, NULL);
    number = sigsetjmp(crashed, 1);
    if (number) {
        snprintf(text, sizeof(text), "crashed: %s", strsignal(number));
        failure(c, text);
        return false;
    }
    fn(arg);
    if (!guards_hold(c))
        failure(c, "wrote before a buffer");
    return !c->failed;
}

void ck_poison(ck *c, float *x, size_t n)
{
    static const float damage[] = {NAN, INFINITY, -INFINITY};

    x[rng_below(&c->random, (uint32_t)n)] = -0.0f;
    x[rng_below(&c->random, (uint32_t)n)] = 1e-40f;
    x[rng_below(&c->random, (uint32_t)n)] = damage[rng_below(&c->random, 3)];
}

/* The place of this case's result in the table of errors. */
static error *error_of(ck *c, const char *what)
{
    uint64_t key = 1469598103934665603u;
    size_t at;

    for (const char *s = c->name; *s; s++)
        key = (key ^ (unsigned char)*s) * 1099511628211u;
    for (const char *s = what; *s; s++)
        key = (key ^ (unsigned char)*s) * 1099511628211u;
    key |= 1;
    for (at = key % ERRORS; c->errors[at].key && c->errors[at].key != key;)
        at = (at + 1) % ERRORS;
    if (!c->errors[at].key) {
        if (++c->n_errors > ERRORS / 2) {
            fprintf(stderr, "checkkernels: ERRORS is too small\n");
            exit(2);
        }
        c->errors[at] = (error){key, -1};
    }
    return &c->errors[at];
}

/* At most four times as far off as plain C.  Among a few numbers C may hit by luck, then what
 * roundings in random directions make of so many terms is allowed. */
static bool near_plain_c(ck *c, const char *what, double worst, size_t n, double terms)
{
    const double luck = (n < 64 ? sqrt(terms) : 1) * FLT_EPSILON;
    error *e = error_of(c, what);
    char text[128];

    if (c->isa == GLA__ISA_C)
        e->worst = worst;
    if (e->worst < 0 || worst <= 4 * (e->worst + luck))
        return true;
    snprintf(text, sizeof(text), "%s: off by %.2g, plain C by %.2g", what, worst, e->worst);
    failure(c, text);
    return false;
}

bool ck_shows(ck *c, const char *what, const float *got, const double *want, size_t n)
{
    char text[128];

    if (!c->active || c->failed)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(want[i]) && isfinite(got[i])) {
            snprintf(text, sizeof(text), "%s: number %zu of %zu is %g, not %g", what, i, n,
                     (double)got[i], want[i]);
            failure(c, text);
            return false;
        }
    return true;
}

bool ck_compare(ck *c, const char *what, const float *got, const double *want, size_t n,
                double terms)
{
    tolerance t = tolerance_for(terms);
    char text[256];

    if (!c->active || c->failed)
        return false;
    t.size = n < 64 ? 1.0 : 0.0; /* inputs are of size 1 */
    if (tolerance_check(&t, got, want, n))
        return near_plain_c(c, what, t.worst, n, terms);
    snprintf(text, sizeof(text), "%s: %s", what, t.text);
    failure(c, text);
    return false;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median of SAMPLES, each of about 2 ms; in ns. */
static double measure(void (*fn)(void *arg), void *arg)
{
    double samples[SAMPLES], start, one;
    unsigned n = 1;

    for (;; n *= 2) {
        start = now();
        for (unsigned i = 0; i < n; i++)
            fn(arg);
        one = now() - start;
        if (one > 1e-3 || n > 1u << 24)
            break;
    }
    for (int s = 0; s < SAMPLES; s++) {
        start = now();
        for (unsigned i = 0; i < n; i++)
            fn(arg);
        samples[s] = (now() - start) / n * 1e9;
    }
    qsort(samples, SAMPLES, sizeof(samples[0]), by_value);
    return samples[SAMPLES / 2];
}

void ck_bench(ck *c, double flops, double bytes, void (*fn)(void *arg), void *arg)
{
    result *r;

    if (!c->active || c->failed || !c->bench || c->n_results == RESULTS)
        return;
    r = &c->results[c->n_results++];
    memcpy(r->name, c->name, sizeof(r->name));
    r->isa = c->isa;
    r->ns = measure(fn, arg);
    r->gflops = flops / r->ns;
    r->gbs = bytes / r->ns;
}

void ck_end(ck *c)
{
    for (unsigned i = 0; i < c->n_buffers; i++)
        if (c->buffers[i].data)
            munmap(c->buffers[i].map, c->buffers[i].map_bytes);
        else
            free(c->buffers[i].map);
    memset(c->buffers, 0, c->n_buffers * sizeof(c->buffers[0]));
    c->n_buffers = 0;
    c->cases += c->active;
    c->failures += c->active && c->failed;
    c->active = false;
}

static double slowest(const ck *c, const char *name) /* plain C, when it was measured */
{
    for (unsigned i = 0; i < c->n_results; i++)
        if (c->results[i].isa == GLA__ISA_C && strcmp(c->results[i].name, name) == 0)
            return c->results[i].ns;
    return 0;
}

static double copy_gbs; /* what memcpy moves, bytes read and written, in this run */
static char copy_area[2][1 << 23];

static void copy_call(void *arg)
{
    (void)arg;
    memcpy(copy_area[0], copy_area[1], sizeof(copy_area[0]));
    copy_area[1][copy_area[0][5] & 7]++; /* so that no copy is left out */
}

static void report(const ck *c)
{
    if (c->bench)
        copy_gbs = 2.0 * sizeof(copy_area[0]) / measure(copy_call, NULL);
    if (c->json)
        printf("{\"schema\": \"gla.checkkernels/1\", \"seed\": %llu, \"cases\": %u, \"failures\": "
               "%u, \"memcpy_gbs\": %.3g, \"bench\": [",
               (unsigned long long)c->seed, c->cases, c->failures, copy_gbs);
    else if (c->bench)
        printf("%-40s %-7s %12s %9s %8s %7s %7s   (memcpy of 8 MiB: %.1f GB/s)\n", "kernel", "isa",
               "ns", "GFLOP/s", "GB/s", "memcpy", "C", copy_gbs);
    for (unsigned i = 0; i < c->n_results; i++) {
        const result *r = &c->results[i];
        const double plain = slowest(c, r->name);

        if (c->json)
            printf("%s\n  {\"name\": \"%s\", \"isa\": \"%s\", \"ns\": %.9g, \"gflops\": %.4g, "
                   "\"gbs\": %.4g}",
                   i ? "," : "", r->name, gla__isa_name(r->isa), r->ns, r->gflops, r->gbs);
        else
            printf("%-40s %-7s %12.0f %9.1f %8.1f %6.0f%% %6.1fx\n", r->name, gla__isa_name(r->isa),
                   r->ns, r->gflops, r->gbs, 100 * r->gbs / copy_gbs, plain / r->ns);
    }
    if (c->json)
        printf("\n]}\n");
}

static int usage(FILE *to)
{
    fprintf(to, "usage: checkkernels [--seed=N] [--test=PATTERN] [--bench] [--list] [--json]\n"
                "Checks every kernel of every instruction set this processor has.\n");
    return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    static ck c;
    int done = 0;

    c.seed = (uint64_t)time(NULL);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--seed=", 7) == 0)
            c.seed = strtoull(argv[i] + 7, NULL, 0);
        else if (strncmp(argv[i], "--test=", 7) == 0)
            c.pattern = argv[i] + 7;
        else if (strcmp(argv[i], "--bench") == 0)
            c.bench = true;
        else if (strcmp(argv[i], "--list") == 0)
            c.list = true;
        else if (strcmp(argv[i], "--json") == 0)
            c.json = true;
        else
            return usage(strcmp(argv[i], "--help") == 0 ? stdout : stderr);
    }
    for (int isa = GLA__ISA_C; isa <= (int)gla__cpu_get()->isa; isa++)
        for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
            c.isa = (gla__isa)isa;
            checks[i](&c);
        }
    if (c.list)
        return 0;
    report(&c);
    done = fprintf(stderr, "checkkernels: %u cases, %u failed, seed %llu\n", c.cases, c.failures,
                   (unsigned long long)c.seed);
    return done < 0 || c.failures || !c.cases;
}
