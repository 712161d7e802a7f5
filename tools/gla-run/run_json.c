/* SPDX-License-Identifier: Apache-2.0
 *
 * run_json.c - what the results of --json have in common
 */
#include "gla-run/run.h"

json_t *run_json_ids(const int32_t *ids, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

static void set(json_t *o, const char *name, uint64_t n)
{
    json_object_set_new(o, name, json_integer((json_int_t)n));
}

json_t *run_json_memory(const gla_memory *memory)
{
    json_t *o = json_object();

    set(o, "kv", memory->kv);
    set(o, "state", memory->state);
    set(o, "history", memory->history);
    set(o, "cache", memory->cache);
    return o;
}

json_t *run_json_prefix(const gla_cache_stats *stats)
{
    json_t *o = json_object(), *why = json_object();

    set(o, "asked", stats->tokens_asked);
    set(o, "reused", stats->tokens_reused);
    set(o, "replayed", stats->tokens_replayed);
    for (uint32_t i = 0; i < GLA_CACHE_REASON_COUNT; i++)
        if (stats->by_reason[i])
            set(why, gla_cache_reason_text(i), stats->by_reason[i]);
    json_object_set_new(o, "why", why);
    return o;
}

json_t *run_json_snapshots(const gla_session *s)
{
    gla_snapshot_info info;
    json_t *o = json_object();

    gla_session_snapshots(s, &info);
    if (info.stride == GLA_SNAPSHOT_NONE)
        json_object_set_new(o, "stride", json_null());
    else
        set(o, "stride", info.stride);
    set(o, "count", info.count);
    set(o, "bytes", info.bytes);
    set(o, "budget", info.budget);
    set(o, "worst_replay", info.worst_replay);
    return o;
}

json_t *run_json(const run *r, const char *schema, uint64_t n_read, uint64_t n_written)
{
    json_t *o = json_object();
    char hash[24];

    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)gla_model_hash(r->m.model));
    json_object_set_new(o, "schema", json_string(schema));
    json_object_set_new(o, "seed", json_integer((json_int_t)run_arg.seed));
    json_object_set_new(o, "temperature", cli_json_number(run_arg.greedy ? 0 : run_arg.temp));
    json_object_set_new(o, "top_p", cli_json_number(run_arg.top_p));
    json_object_set_new(o, "threads", json_integer(gla_threads()));
    json_object_set_new(o, "model_hash", json_string(hash));
    json_object_set_new(o, "version", json_string(gla_version()));
    json_object_set_new(o, "prefill_tokens_per_s",
                        cli_json_number((double)n_read / r->prefill_seconds));
    json_object_set_new(o, "decode_tokens_per_s",
                        cli_json_number((double)n_written / r->decode_seconds));
    return o;
}
