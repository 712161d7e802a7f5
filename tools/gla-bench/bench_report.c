/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_report.c - medians and their spread, for people and as JSON (gla.bench/1)
 *
 * What was interrupted before its first sample is left out.
 */
#include <math.h>

#include "bench.h"

static double rest(const work_time *w)
{
    double rest = w->wall;

    for (uint32_t i = 0; i < GLA_WORK_COUNT; i++)
        rest -= w->seconds[i];
    return rest;
}

static double total(const traffic *t)
{
    return t->weights + t->state + t->kv;
}

/* ---- JSON ---- */

static void put(json_t *o, const char *key, double x)
{
    json_object_set_new(o, key, cli_json_number(x));
}

/* The median under the key itself, the extremes under KEY_range. */
static void put_series(json_t *o, const char *key, const series *s)
{
    json_t *range = json_array();
    char name[64];

    put(o, key, series_median(s));
    json_array_append_new(range, cli_json_number(series_min(s)));
    json_array_append_new(range, cli_json_number(series_max(s)));
    snprintf(name, sizeof(name), "%s_range", key);
    json_object_set_new(o, name, range);
}

/* Shares of the time. */
static void put_work(json_t *o, const work_time *w)
{
    json_t *shares = json_object();

    for (uint32_t i = 0; i < GLA_WORK_COUNT; i++)
        put(shares, gla_work_name(i), w->seconds[i] / w->wall);
    put(shares, "rest", rest(w) / w->wall);
    json_object_set_new(o, "time_shares", shares);
}

static json_t *json_gemms(const bench *b)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < b->n_gemms; i++) {
        const gemm_item *g = &b->gemms[i];
        json_t *o = json_object();

        if (!g->rate.n) {
            json_decref(o);
            continue;
        }
        put(o, "tokens", g->tokens);
        put(o, "rows", g->rows);
        put(o, "out", g->out);
        put(o, "in", g->in);
        json_object_set_new(o, "arithmetic", json_string(gla_dtype_name(g->dtype)));
        put(o, "model_flops_per_token", g->flops_per_token);
        put_series(o, "flops_per_s", &g->rate);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_prefills(const bench *b)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < b->n_prefills; i++) {
        const prefill_item *p = &b->prefills[i];
        json_t *o;

        if (!p->rate.n)
            continue;
        o = json_object();
        put(o, "tokens", (double)p->tokens);
        put(o, "flops", p->flops);
        put(o, "linear_flops_per_token", p->linear_flops);
        put(o, "flops_per_s", series_median(&p->rate) * p->flops / (double)p->tokens);
        put_series(o, "prefill_tokens_per_s", &p->rate);
        put_series(o, "prefill_gemm_fraction", &p->fraction);
        put_work(o, &p->work);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_decodes(const bench *b)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < b->n_decodes; i++) {
        const decode_item *d = &b->decodes[i];
        json_t *o;

        if (!d->rate.n)
            continue;
        o = json_object();
        put(o, "depth", (double)d->depth);
        put(o, "batch", d->batch);
        put(o, "tokens", b->decode_tokens);
        put(o, "flops_per_token", d->flops);
        put(o, "bytes_per_step", total(&d->bytes));
        put(o, "weight_bytes_per_step", d->bytes.weights);
        put(o, "state_bytes_per_step", d->bytes.state);
        put(o, "kv_bytes_per_step", d->bytes.kv);
        put_series(o, "decode_tokens_per_s", &d->rate);
        put_series(o, "decode_bytes_per_s", &d->reading);
        put_series(o, "decode_bandwidth_fraction", &d->fraction);
        put_work(o, &d->work);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_sessions(const bench *b)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < b->n_sessions; i++) {
        const session_item *s = &b->sessions[i];
        json_t *o, *rollbacks;

        if (!s->fork_seconds.n)
            continue;
        o = json_object();
        rollbacks = json_array();
        put(o, "depth", (double)s->depth);
        put_series(o, "fork_s", &s->fork_seconds);
        put(o, "fork_bytes", (double)s->fork_bytes);
        put_series(o, "save_s", &s->save_seconds);
        put_series(o, "load_s", &s->load_seconds);
        put(o, "file_bytes", (double)s->file_bytes);
        put(o, "recompute_s", s->recompute_seconds);
        put(o, "turn_tokens", TURN_TOKENS);
        put_series(o, "turn_s", &s->turn_seconds);
        put_series(o, "turn_cached_s", &s->cached_seconds);
        put(o, "turn_tokens_reused", (double)s->reused);
        for (uint32_t k = 0; k < s->n_rollbacks; k++) {
            json_t *r = json_object();

            put(r, "tokens", (double)s->rollbacks[k].tokens);
            put(r, "tokens_replayed", (double)s->rollbacks[k].replayed);
            put_series(r, "rollback_s", &s->rollbacks[k].seconds);
            json_array_append_new(rollbacks, r);
        }
        json_object_set_new(o, "rollbacks", rollbacks);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_shared(const bench *b)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < b->n_shared; i++) {
        const shared_item *x = &b->shared[i];
        json_t *o;

        if (!x->seconds.n)
            continue;
        o = json_object();
        put(o, "prompts", PROMPTS);
        put(o, "tokens_shared", (double)x->tokens);
        put(o, "snapshot_stride", x->stride);
        put(o, "hits", (double)x->hits);
        put(o, "tokens_reused_least", (double)x->reused_least);
        put(o, "tokens_reused_most", (double)x->reused_most);
        put(o, "first_s", x->first_seconds);
        put_series(o, "others_s", &x->seconds);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *json_many(const many_item *m)
{
    json_t *o = json_object();

    put(o, "tokens_shared", (double)m->tokens);
    put(o, "wanted", m->wanted);
    put(o, "sessions", m->reached);
    put(o, "seconds", m->seconds);
    put(o, "bytes", (double)m->bytes);
    put(o, "bytes_unshared", (double)m->bytes_unshared);
    put(o, "bytes_limit", (double)m->limit);
    return o;
}

static json_t *json_memory(const bench *b)
{
    json_t *o = json_object();

    put(o, "weights", (double)b->held.weights);
    put(o, "workspace", (double)b->held.workspace);
    put(o, "kv", (double)b->held.kv);
    put(o, "state", (double)b->held.state);
    put(o, "history", (double)b->held.history);
    put(o, "cache", (double)b->held.cache);
    put(o, "peak", (double)b->peak_bytes);
    return o;
}

void bench_report_json(const bench *b, bool interrupted)
{
    const gla_description *d = gla_model_description(b->model);
    char hash[24];
    json_t *o;

    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)gla_model_hash(b->model));
    o = json_pack("{s:s, s:o, s:s, s:b, s:s, s:b, s:s, s:o, s:o, s:o, s:o}", "schema",
                  "gla.bench/1", "model", cli_json_text(b->name), "model_hash", hash,
                  "random_weights", (int)b->random, "build", gla_build_info(), "interrupted",
                  (int)interrupted, "kv", gla_dtype_name(b->kv_dtype), "memory_bytes",
                  json_memory(b), "gemm", json_gemms(b), "prefill", json_prefills(b), "decode",
                  json_decodes(b));
    put(o, "params", (double)d->params);
    put(o, "active_params", (double)d->active_params);
    put(o, "threads", gla_threads());
    put(o, "rounds", b->done);
    put(o, b->random ? "make_weights_s" : "load_s", b->load_seconds);
    put(o, "time_to_first_token_s", b->first_token_seconds);
    put_series(o, "read_bytes_per_s", &b->reading);
    if (b->with_sessions)
        cli_json_add(o, json_pack("{s:o, s:o}", "sessions", json_sessions(b), "shared_prompts",
                                  json_shared(b)));
    if (b->many.reached)
        json_object_set_new(o, "many_sessions", json_many(&b->many));
    cli_json_print(o, 2);
}

/* ---- table ---- */

/* "412 (398..420)" */
static const char *spread(char buf[64], const series *s, double factor)
{
    const double m = series_median(s) * factor;
    const int digits = m >= 100 ? 0 : m >= 10 ? 1 : m >= 1 ? 2 : 3;

    snprintf(buf, 64, "%.*f (%.*f..%.*f)", digits, m, digits, series_min(s) * factor, digits,
             series_max(s) * factor);
    return buf;
}

static void print_work(const work_time *w)
{
    printf("   ");
    for (uint32_t i = 0; i < GLA_WORK_COUNT; i++)
        if (w->seconds[i] >= 0.0005 * w->wall)
            printf(" %s %.1f%%", gla_work_name(i), 100 * w->seconds[i] / w->wall);
    printf(" rest %.1f%%\n", 100 * rest(w) / w->wall);
}

static void print_model(const bench *b)
{
    const gla_description *d = gla_model_description(b->model);
    char a[32], c[32], e[32];

    printf("%s: %s parameters (%s active), %s of weights%s, KV %s, %u thread%s\n", b->name,
           cli_format_count(a, (double)d->params), cli_format_count(c, (double)d->active_params),
           cli_format_bytes(e, b->held.weights), b->random ? " made at random" : "",
           gla_dtype_name(b->kv_dtype), gla_threads(), gla_threads() == 1 ? "" : "s");
    printf("%s %.3f s, first token after %.3f s, peak memory %s\n",
           b->random ? "made in" : "loaded in", b->load_seconds, b->first_token_seconds,
           cli_format_bytes(a, b->peak_bytes));
}

static void print_limits(const bench *b)
{
    char text[64];

    printf("\nThe machine: median of %u round%s (least..most)\n", b->done, b->done == 1 ? "" : "s");
    if (b->reading.n)
        printf("  memory read  %s GB/s\n", spread(text, &b->reading, 1e-9));
    for (uint32_t i = 0; i < b->n_gemms; i++) {
        const gemm_item *g = &b->gemms[i];

        if (g->rate.n)
            printf("  %-4s product [%u, %u] x [%u, %u]  %s G%s/s\n", gla_dtype_name(g->dtype),
                   g->rows, g->in, g->in, g->out, spread(text, &g->rate, 1e-9),
                   g->dtype == GLA_DTYPE_I8 ? "OP" : "FLOP");
    }
}

static void print_prefills(const bench *b)
{
    char rate[64], share[64];

    if (b->n_prefills)
        printf("\nPrefill: tokens, tokens/s, %% of the rate that its matrix products alone would "
               "have\n");
    for (uint32_t i = 0; i < b->n_prefills; i++) {
        const prefill_item *p = &b->prefills[i];

        if (!p->rate.n)
            continue;
        printf("  %-8llu %-28s %s\n", (unsigned long long)p->tokens, spread(rate, &p->rate, 1),
               spread(share, &p->fraction, 100));
        print_work(&p->work);
    }
}

static void print_decodes(const bench *b)
{
    char rate[64], share[64], bytes[32];

    if (b->n_decodes)
        printf("\nDecode: depth, batch, bytes a step, tokens/s, GB/s, %% of the memory's rate\n");
    for (uint32_t i = 0; i < b->n_decodes; i++) {
        const decode_item *d = &b->decodes[i];

        if (!d->rate.n)
            continue;
        printf("  %-8llu x%-4u %-10s %-26s %-6.2f %s\n", (unsigned long long)d->depth, d->batch,
               cli_format_bytes(bytes, (uint64_t)total(&d->bytes)), spread(rate, &d->rate, 1),
               1e-9 * series_median(&d->reading), spread(share, &d->fraction, 100));
        print_work(&d->work);
    }
}

static void print_sessions(const bench *b)
{
    char text[64], bytes[32];

    for (uint32_t i = 0; i < b->n_sessions; i++) {
        const session_item *s = &b->sessions[i];

        if (!s->fork_seconds.n)
            continue;
        printf("\nSessions at %llu tokens: ms\n", (unsigned long long)s->depth);
        printf("  fork            %-26s %s new\n", spread(text, &s->fork_seconds, 1e3),
               cli_format_bytes(bytes, s->fork_bytes));
        for (uint32_t k = 0; k < s->n_rollbacks; k++)
            printf("  rollback %-6llu %-26s %llu replayed\n",
                   (unsigned long long)s->rollbacks[k].tokens,
                   spread(text, &s->rollbacks[k].seconds, 1e3),
                   (unsigned long long)s->rollbacks[k].replayed);
        if (s->save_seconds.n)
            printf("  save            %-26s %s\n", spread(text, &s->save_seconds, 1e3),
                   cli_format_bytes(bytes, s->file_bytes));
        if (s->load_seconds.n)
            printf("  load            %s\n", spread(text, &s->load_seconds, 1e3));
        if (s->turn_seconds.n)
            printf("  next turn       %-26s first token after %d new ones; %.0f to compute all\n",
                   spread(text, &s->turn_seconds, 1e3), TURN_TOKENS, 1e3 * s->recompute_seconds);
        if (s->cached_seconds.n)
            printf("  by prefix cache %-26s %llu reused\n", spread(text, &s->cached_seconds, 1e3),
                   (unsigned long long)s->reused);
    }
}

static void print_shared(const bench *b)
{
    const many_item *m = &b->many;
    char text[64], bytes[32], other[32];
    uint32_t stride = 0;

    if (b->n_shared && b->shared[0].seconds.n)
        printf("\n%d prompts that share their first tokens and then differ: shared, reused by "
               "each, ms to the first token\n",
               PROMPTS);
    for (uint32_t i = 0; i < b->n_shared; i++) {
        const shared_item *x = &b->shared[i];

        if (!x->seconds.n)
            continue;
        stride = x->stride;
        printf("  %-8llu %llu..%llu in %llu of %d, %-24s %.0f the first\n",
               (unsigned long long)x->tokens, (unsigned long long)x->reused_least,
               (unsigned long long)x->reused_most, (unsigned long long)x->hits, PROMPTS - 1,
               spread(text, &x->seconds, 1e3), 1e3 * x->first_seconds);
    }
    if (stride && stride != GLA_SNAPSHOT_NONE)
        printf("  (reused up to the last snapshot in what is shared: one every %u tokens)\n",
               stride);
    if (m->reached)
        printf("\n%u sessions%s on a prompt of %llu tokens: %s, %s if nothing were shared; "
               "%.2f s\n",
               m->reached, m->reached < m->wanted ? " (memory for more is not there)" : "",
               (unsigned long long)m->tokens, cli_format_bytes(bytes, m->bytes),
               cli_format_bytes(other, m->bytes_unshared), m->seconds);
}

void bench_report(const bench *b)
{
    print_model(b);
    print_limits(b);
    print_prefills(b);
    print_decodes(b);
    print_sessions(b);
    print_shared(b);
}
