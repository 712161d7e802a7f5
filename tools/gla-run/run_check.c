/* SPDX-License-Identifier: Apache-2.0
 *
 * run_check.c - --check-plugin: does a plugin keep the contract of gla/plugin.h
 *
 * Every check is a process of its own, with the checking proxy on (gla_set_validate), so that a
 * plugin that crashes or hangs ends one check and names the function it was in.  The parent never
 * loads the plugin.
 */
#define _XOPEN_SOURCE 700 /* sigaltstack */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gla-run/run.h"

enum {
    VOCAB = 61,
    WIDTH = 64,
    PROMPT = 100,
    SECONDS = 120,
    MOST_VARIANTS = 48,
    TEXT = 4096,
    LIST = 1 << 16
};

/* One check of one layer type in one place. */
typedef struct check {
    const char *path; /* of the plugin */
    char type[160];
    uint64_t place; /* one of GLA_LAYER_* */
    uint32_t variant;
    uint32_t dtype;
    const char *name; /* "runs", ... */
    int (*fn)(const struct check *c);
} check;

/* ---- the child: what it has to say goes through a pipe ---- */

static int child_pipe = -1;

__attribute__((format(printf, 1, 2))) static int say(const char *format, ...)
{
    char text[TEXT];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n > 0)
        (void)!write(child_pipe, text, strlen(text)); /* without a parent nobody listens */
    return 1;
}

static int say_diag(const char *what, const gla_diag *diag)
{
    char text[1024];

    return say("%s%s", what, gla_diag_format(diag, text, sizeof(text)));
}

/* What a plugin's crash looks like; only async-signal-safe calls. */
static void on_signal(int number)
{
    const char *now = gla_validate_now();
    const char *text = number == SIGSEGV   ? "crashes (SIGSEGV) in "
                       : number == SIGBUS  ? "crashes (SIGBUS) in "
                       : number == SIGFPE  ? "crashes (SIGFPE) in "
                       : number == SIGILL  ? "crashes (SIGILL) in "
                       : number == SIGABRT ? "calls abort() in "
                                           : "does not come back from ";
    if (!now[0])
        now = "a constructor, a thread or an exit handler of the plugin";
    if (write(child_pipe, text, strlen(text)) > 0 && write(child_pipe, now, strlen(now)) > 0)
        _exit(1);
    _exit(1);
}

/* exit() within a plugin; the child itself leaves with _exit(). */
static void on_exit_called(void)
{
    const char *now = gla_validate_now();

    say("calls exit() in %s", now[0] ? now : "a constructor or a thread of the plugin");
    _exit(1);
}

static void catch_crashes(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
    static char stack[65536];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    struct sigaction action = {.sa_flags = SA_ONSTACK};

    action.sa_handler = on_signal;
    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
    atexit(on_exit_called);
    alarm(SECONDS);
}

/* ---- memory: counted, and refused to the plugin when a check says so ---- */

static atomic_llong living, asked; /* allocations; asked: from within a plugin's function */
static long long refuse;           /* the number of the one that fails; 0 = none */

static void *counted_alloc(void *ctx, size_t bytes, size_t alignment)
{
    void *p;

    (void)ctx;
    if (gla_validate_now()[0] && atomic_fetch_add(&asked, 1) + 1 == refuse)
        return NULL;
    p = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (p)
        atomic_fetch_add(&living, 1);
    return p;
}

static void counted_free(void *ctx, void *p)
{
    (void)ctx;
    if (p)
        atomic_fetch_sub(&living, 1);
    free(p);
}

/* ---- a small model with the layer in it ---- */

static bool varies(const gla_param_desc *p)
{
    return p->kind == GLA_PARAM_BOOL || p->kind == GLA_PARAM_ENUM;
}

static uint32_t n_values(const gla_param_desc *p)
{
    uint32_t n = 2; /* a boolean */

    if (p->kind == GLA_PARAM_ENUM)
        for (n = 0; p->enum_values[n]; n++)
            ;
    return n;
}

/* Besides the defaults: each other value of each switch. */
static uint32_t count_variants(const gla_layer_desc *d)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < d->n_params; i++)
        if (varies(&d->params[i]))
            n += n_values(&d->params[i]) - (d->params[i].required ? 0 : 1);
    return n < MOST_VARIANTS ? n : MOST_VARIANTS;
}

static double clamp(double x, const gla_param_desc *p)
{
    return x < p->min ? p->min : x > p->max ? p->max : x;
}

/* "name: value" of the switch that this variant turns, 1 .. count_variants(). */
static void variant_name(char *text, size_t size, const gla_layer_desc *d, uint32_t variant)
{
    text[0] = '\0';
    for (uint32_t i = 0; i < d->n_params; i++) {
        const gla_param_desc *p = &d->params[i];
        const uint32_t n = varies(p) ? n_values(p) : 0;

        for (uint32_t v = 0; v < n; v++)
            if ((p->required || v != (uint32_t)p->def) && !--variant) {
                snprintf(text, size, "%.64s: %.64s", p->name,
                         p->kind == GLA_PARAM_ENUM ? p->enum_values[v]
                         : v                       ? "true"
                                                   : "false");
                return;
            }
    }
}

/* Appends ", name: value" for what is required, and for the switch that this variant turns. */
static void write_params(char *text, size_t size, const gla_layer_desc *d, uint32_t variant)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < d->n_params && used + 200 < size; i++) {
        const gla_param_desc *p = &d->params[i];
        const uint32_t n = varies(p) ? n_values(p) : 0;
        uint32_t value = 0;
        bool set = p->required != 0;

        for (uint32_t v = 0; v < n; v++)
            if ((p->required || v != (uint32_t)p->def) && variant && !--variant) {
                value = v;
                set = true;
            }
        if (!set)
            continue;
        used += (size_t)snprintf(text + used, size - used, ", %.64s: ", p->name);
        if (p->kind == GLA_PARAM_BOOL)
            used += (size_t)snprintf(text + used, size - used, "%s", value ? "true" : "false");
        else if (p->kind == GLA_PARAM_ENUM)
            used += (size_t)snprintf(text + used, size - used, "\"%.64s\"", p->enum_values[value]);
        else if (p->kind == GLA_PARAM_LIST)
            used += (size_t)snprintf(text + used, size - used, "[1]");
        else
            used += (size_t)snprintf(text + used, size - used, "%.12g",
                                     clamp(p->kind == GLA_PARAM_INT ? 4 : 1, p));
    }
}

static gla_status make_arch(const check *c, const gla_layer_desc *d, gla_arch **out, gla_diag *diag)
{
    const bool mixer = c->place == GLA_LAYER_MIXER, ffn = c->place == GLA_LAYER_FFN;
    char params[TEXT / 2], layer[TEXT / 2 + 256], place[TEXT / 2 + 300] = "", text[2 * TEXT];
    int n;

    write_params(params, sizeof(params), d, c->variant);
    snprintf(layer, sizeof(layer), "{type: %s%s}", c->type, params);
    if (!mixer && !ffn)
        snprintf(place, sizeof(place), "%s: %s\n",
                 c->place == GLA_LAYER_NORM        ? "norm"
                 : c->place == GLA_LAYER_EMBEDDING ? "embedding"
                                                   : "head",
                 layer);
    n = snprintf(text, sizeof(text),
                 "gla: 1\nname: check\nvocab_size: %d\nd_model: %d\nmax_positions: 4096\n%s"
                 "blocks:\n  a: {mixer: %s, ffn: %s}\nlayers: 2*a\n",
                 VOCAB, WIDTH, place, mixer ? layer : "{type: gla, heads: 2}",
                 ffn ? layer : "{type: mlp, d_ff: 64}");
    return gla_arch_parse(text, (size_t)n, "the model of the check", out, diag);
}

/* Loads the plugin and makes the model. */
static gla_status make_model(const check *c, gla_model **out, uint64_t *flags, gla_diag *diag)
{
    gla_model_options o = {.max_batch_rows = 64,
                           .max_sequences = 4,
                           .weights_dtype = c->dtype,
                           .kv_dtype = GLA_DTYPE_F32,
                           .seed = 1};
    const gla_layer_desc *d;
    gla_arch *arch = NULL;
    gla_status st = gla_registry_create(&o.registry, diag);

    *out = NULL;
    *flags = 0;
    if (!st)
        st = gla_registry_load(o.registry, c->path, diag);
    d = st ? NULL : gla_registry_find(o.registry, c->type);
    if (!st && !d)
        st = cli_diag(diag, GLA_E_NO_LAYER, c->type, "not there when loaded again");
    if (d) {
        *flags = d->flags;
        st = make_arch(c, d, &arch, diag);
        if (!st)
            st = gla_model_random(arch, &o, out, diag);
    }
    gla_arch_free(arch);
    gla_registry_unref(o.registry);
    return st;
}

static void make_tokens(int32_t *ids, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (int32_t)((seed >> 33) % VOCAB);
    }
}

/* ---- the checks ---- */

/* A long text, single tokens after it, then ragged batches of three texts. */
static gla_status feed_all(gla_model *m, float *logits, gla_diag *diag)
{
    gla_session *s[3] = {NULL, NULL, NULL};
    int32_t ids[PROMPT + 8];
    gla_status st = GLA_OK;

    make_tokens(ids, PROMPT + 8, 5);
    for (int i = 0; i < 3 && !st; i++)
        st = gla_session_create(m, NULL, &s[i], diag);
    if (!st)
        st = gla_session_feed(s[0], ids, PROMPT, logits, diag);
    for (int i = 0; i < 4 && !st; i++)
        st = gla_session_feed(s[0], ids + PROMPT + i, 1, logits, diag);
    if (!st) {
        const gla_feed_item items[] = {{s[0], ids, 1, logits, 1},
                                       {s[1], ids + 1, 23, logits + VOCAB, 1},
                                       {s[2], ids + 24, 2, logits + 2 * VOCAB, 1}};

        st = gla_feed(items, 3, NULL, NULL, diag);
    }
    for (int i = 0; i < 3; i++)
        gla_session_destroy(s[i]);
    return st;
}

/* A refusal of a switch is an answer, a failed check is not. */
static bool refuses(const check *c, gla_status st)
{
    return c->variant && (st == GLA_E_INVALID || st == GLA_E_UNSUPPORTED || st == GLA_E_SCHEMA ||
                          st == GLA_E_LIMIT || st == GLA_E_SHAPE);
}

static int check_runs(const check *c)
{
    float logits[3 * VOCAB];
    gla_diag diag = {.offset = UINT64_MAX};
    gla_model *m;
    uint64_t flags;
    gla_status st = make_model(c, &m, &flags, &diag);

    if (st)
        return refuses(c, st) ? 0 : say_diag("", &diag);
    st = feed_all(m, logits, &diag);
    gla_model_close(&m);
    return st ? say_diag("", &diag) : 0;
}

/* Every allocation that the layer makes fails once; then nothing may be left behind. */
static int check_memory(const check *c)
{
    float logits[3 * VOCAB];
    gla_diag diag = {.offset = UINT64_MAX};
    gla_model *m;
    uint64_t flags;
    long long before, wanted;
    gla_status st = make_model(c, &m, &flags, &diag); /* what is made once is made now */

    if (!st)
        st = feed_all(m, logits, &diag);
    gla_model_close(&m);
    if (st)
        return say_diag("", &diag);
    before = atomic_load(&living);
    wanted = atomic_exchange(&asked, 0);
    for (refuse = 0; refuse <= wanted && refuse <= 500; refuse++) {
        atomic_store(&asked, 0);
        st = make_model(c, &m, &flags, &diag);
        if (!st)
            st = feed_all(m, logits, &diag);
        gla_model_close(&m);
        if (refuse && atomic_load(&asked) >= refuse && !st)
            return say("allocation %lld of the layer failed and nothing came of it: create() or "
                       "bind() must return GLA_E_NOMEM",
                       refuse);
        if (atomic_load(&living) != before)
            return say("%lld allocations are not freed%s: destroy() gets every layer that create() "
                       "made, half-made ones too",
                       atomic_load(&living) - before, refuse ? " after one failed" : "");
        if (!refuse)
            wanted = atomic_load(&asked);
    }
    return 0;
}

static int check_threads(const check *c)
{
    float one[3 * VOCAB], two[3 * VOCAB];
    gla_diag diag = {.offset = UINT64_MAX};
    gla_model *m;
    uint64_t flags;
    gla_status st;

    gla_set_validate(0); /* speed; the other checks have it on */
    gla_set_threads(1);
    st = make_model(c, &m, &flags, &diag);
    if (!st)
        st = feed_all(m, one, &diag);
    gla_set_threads(3);
    if (!st)
        st = feed_all(m, two, &diag);
    gla_model_close(&m);
    if (st)
        return say_diag("", &diag);
    if (flags & GLA_LAYER_DETERMINISTIC && memcmp(one, two, sizeof(one)))
        return say("gives other bits with three threads than with one, and says "
                   "GLA_LAYER_DETERMINISTIC");
    return 0;
}

/* Largest difference, relative to the largest number. */
static double off(const float *a, const float *b)
{
    double most = 1e-30, worst = 0;

    for (int i = 0; i < VOCAB; i++) {
        const double d = (double)a[i] - b[i];

        most = a[i] > most ? (double)a[i] : -a[i] > most ? -(double)a[i] : most;
        worst = !(d <= worst) ? d : -d > worst ? -d : worst;
    }
    return worst / most;
}

typedef struct three {
    gla_session *s, *fork, *loaded;
} three;

static gla_status follow(gla_model *m, three *t, float logits[4][VOCAB], gla_diag *diag)
{
    char path[] = "/tmp/gla-check-XXXXXX";
    const int fd = mkstemp(path);
    int32_t ids[PROMPT], other[PROMPT];
    gla_status st;

    make_tokens(ids, PROMPT, 5);
    make_tokens(other, PROMPT, 6);
    st = gla_session_create(m, NULL, &t->s, diag);
    if (!st)
        st = gla_session_feed(t->s, ids, PROMPT, logits[0], diag); /* without a stop */
    gla_session_reset(t->s);
    if (!st)
        st = gla_session_feed(t->s, ids, 60, NULL, diag);
    if (!st)
        st = gla_session_mark(t->s, diag);
    if (!st)
        st = gla_session_fork(t->s, &t->fork, diag);
    if (!st)
        st = gla_session_feed(t->fork, other, 20, NULL, diag);
    if (!st)
        st = gla_session_save(t->s, path, diag);
    if (!st)
        st = gla_session_feed(t->s, ids + 60, PROMPT - 60, logits[1], diag);
    if (!st)
        st = gla_session_truncate(t->fork, 60, diag);
    if (!st)
        st = gla_session_feed(t->fork, ids + 60, PROMPT - 60, logits[2], diag);
    if (!st)
        st = gla_session_load(m, path, NULL, &t->loaded, diag);
    if (!st)
        st = gla_session_feed(t->loaded, ids + 60, PROMPT - 60, logits[3], diag);
    if (fd >= 0)
        close(fd);
    unlink(path);
    return st;
}

/* The host moves states about: forked, cut back, saved and loaded, a text must go on alike. */
static int check_sessions(const check *c)
{
    static const char *const ways[] = {"", "fed in two parts", "cut back to where it was forked",
                                       "saved and loaded"};
    float logits[4][VOCAB];
    gla_diag diag = {.offset = UINT64_MAX};
    gla_model *m;
    three t = {NULL, NULL, NULL};
    uint64_t flags;
    int status = 0;
    gla_status st;

    gla_set_validate(0);
    st = make_model(c, &m, &flags, &diag);
    if (!st)
        st = follow(m, &t, logits, &diag);
    gla_session_destroy(t.s);
    gla_session_destroy(t.fork);
    gla_session_destroy(t.loaded);
    gla_model_close(&m);
    if (st)
        return say_diag("", &diag);
    for (int i = 1; i < 4 && !status; i++)
        if (!(off(logits[0], logits[i]) < 1e-3))
            status = say("a text goes on differently when it is %s (by %.2g): what belongs to a "
                         "sequence must be in declared states, not in the layer",
                         ways[i], off(logits[0], logits[i]));
    return status;
}

/* Says which layers there are: a line "type flags variants", then one "=..." per variant. */
static int check_loads(const check *c)
{
    gla_diag diag = {.offset = UINT64_MAX};
    gla_registry *r = NULL;
    uint32_t built_in = 0;
    gla_status st = gla_registry_create(&r, &diag);

    if (!st) {
        built_in = gla_registry_count(r);
        st = gla_registry_load(r, c->path, &diag);
    }
    if (st)
        return say_diag("", &diag);
    if (gla_registry_count(r) == built_in)
        return say("has only layer types that are built in already: give them names of your own");
    for (uint32_t i = built_in; i < gla_registry_count(r); i++) {
        const gla_layer_desc *d = gla_registry_get(r, i);

        say("%s %llu %u\n", d->type_id, (unsigned long long)d->flags, count_variants(d));
        for (uint32_t v = 1; v <= count_variants(d); v++) {
            char name[160];

            variant_name(name, sizeof(name), d, v);
            say("=%s\n", name);
        }
    }
    gla_registry_unref(r);
    return 0;
}

/* ---- the parent ---- */

typedef struct report {
    json_t *checks;
    uint32_t n, failed;
} report;

static const char *place_name(uint64_t place)
{
    return place == GLA_LAYER_MIXER       ? "mixer"
           : place == GLA_LAYER_FFN       ? "ffn"
           : place == GLA_LAYER_NORM      ? "norm"
           : place == GLA_LAYER_EMBEDDING ? "embedding"
           : place == GLA_LAYER_HEAD      ? "head"
                                          : "";
}

/* Runs a check in a child; text receives what it said. */
static bool run_child(const check *c, char *text, size_t size)
{
    size_t used = 0;
    int fd[2], status = 0;
    ssize_t n;
    pid_t pid;

    snprintf(text, size, "cannot start a process: %s", strerror(errno));
    if (pipe(fd))
        return false;
    fflush(stdout);
    pid = fork();
    if (!pid) {
        static const gla_allocator allocator = {counted_alloc, counted_free, NULL};

        close(fd[0]);
        child_pipe = fd[1];
        catch_crashes();
        gla_set_allocator(&allocator);
        gla_set_validate(1);
        _exit(c->fn(c));
    }
    close(fd[1]);
    while (pid > 0 && used + 1 < size &&
           ((n = read(fd[0], text + used, size - 1 - used)) > 0 || (n < 0 && errno == EINTR)))
        used += n > 0 ? (size_t)n : 0;
    close(fd[0]);
    if (pid < 0)
        return false;
    text[used] = '\0';
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        snprintf(text + used, size - used, "%sends the process with signal %d", used ? "; " : "",
                 WTERMSIG(status));
    else if (WEXITSTATUS(status) && !used)
        snprintf(text, size, "ends the process with exit status %d", WEXITSTATUS(status));
    return WIFEXITED(status) && !WEXITSTATUS(status);
}

static void add_result(report *r, const check *c, bool ok, const char *message)
{
    char label[256];

    r->n++;
    r->failed += !ok;
    snprintf(label, sizeof(label), "%s%s%s: %s", c->type, c->type[0] ? " as " : "",
             c->type[0] ? place_name(c->place) : "the plugin", c->name);
    if (!cli.json) {
        printf("%-4s %s%s%s\n", ok ? "ok" : "FAIL", label, ok ? "" : ": ", ok ? "" : message);
        return;
    }
    json_array_append_new(r->checks, json_pack("{s:s, s:s, s:s, s:b, s:s}", "layer", c->type,
                                               "place", place_name(c->place), "check", c->name,
                                               "ok", (int)ok, "message", ok ? "" : message));
}

static bool run_one(report *r, const check *c)
{
    char text[TEXT];
    const bool ok = run_child(c, text, sizeof(text));

    add_result(r, c, ok, text);
    return ok;
}

/* One layer in one place. */
static void check_layer(report *r, const char *path, const char *type, uint64_t place,
                        const char *const *variants, uint32_t n_variants)
{
    static const struct {
        const char *name;
        int (*fn)(const check *c);
        uint32_t dtype;
    } checks[] = {{"keeps its contract", check_runs, GLA_DTYPE_F32},
                  {"takes bf16 weights", check_runs, GLA_DTYPE_BF16},
                  {"takes int8 weights", check_runs, GLA_DTYPE_I8},
                  {"survives failed allocations", check_memory, GLA_DTYPE_F32},
                  {"does not depend on threads", check_threads, GLA_DTYPE_F32},
                  {"keeps sequences in states", check_sessions, GLA_DTYPE_F32}};
    check c = {.path = path, .place = place};

    snprintf(c.type, sizeof(c.type), "%s", type);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        c.name = checks[i].name;
        c.fn = checks[i].fn;
        c.dtype = checks[i].dtype;
        if (!run_one(r, &c) && !i)
            return; /* the others would say it again */
    }
    for (uint32_t v = 0; v < n_variants; v++) {
        char name[200];

        snprintf(name, sizeof(name), "keeps it with %s", variants[v]);
        c.name = name;
        c.fn = check_runs;
        c.dtype = GLA_DTYPE_F32;
        c.variant = v + 1;
        run_one(r, &c);
    }
}

static void check_layers(report *r, const char *path, char *list)
{
    const char *variants[MOST_VARIANTS];
    char *rest = NULL, *line = strtok_r(list, "\n", &rest);

    while (line) {
        unsigned long long flags = 0;
        char type[160] = "";
        uint32_t n = 0;

        if (sscanf(line, "%159s %llu", type, &flags) != 2)
            return;
        while ((line = strtok_r(NULL, "\n", &rest)) && line[0] == '=')
            if (n < MOST_VARIANTS)
                variants[n++] = line + 1;
        for (uint64_t place = GLA_LAYER_MIXER; place <= GLA_LAYER_HEAD; place <<= 1)
            if (flags & place)
                check_layer(r, path, type, place, variants, n);
    }
}

int run_check_plugin(const char *file)
{
    static char text[LIST];
    char path[4096];
    report r = {.checks = json_array()};
    check loads = {.path = path, .name = "loads", .fn = check_loads};
    bool ok;

    snprintf(path, sizeof(path), "%s%s", strchr(file, '/') ? "" : "./", file);
    ok = run_child(&loads, text, sizeof(text));
    add_result(&r, &loads, ok, text);
    if (ok)
        check_layers(&r, path, text);
    if (cli.json) {
        json_t *o = json_pack("{s:s, s:s, s:b, s:o}", "schema", "gla.check-plugin/1", "plugin",
                              file, "ok", !r.failed, "checks", r.checks);

        cli_json_print(o, 2);
    } else {
        printf("%s: %u of %u checks passed\n", file, (unsigned)(r.n - r.failed), (unsigned)r.n);
        json_decref(r.checks);
    }
    return cli_finish(r.failed ? 1 : 0);
}
