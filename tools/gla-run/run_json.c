/* SPDX-License-Identifier: Apache-2.0
 *
 * run_json.c - what the results of --json have in common
 */
#include "gla-run/run.h"

static json_t *json_ids(const int32_t *ids, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

json_t *run_json_text(const continuation *c)
{
    return json_pack("{s:o, s:o, s:o, s:s?}", "text",
                     json_stringn(c->text ? c->text : "", c->text_size), "prompt_ids",
                     json_ids(c->prompt, c->n_prompt), "ids", json_ids(c->out, c->n_out), "stop",
                     c->stop);
}

json_t *run_json_memory(const gla_memory *memory)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "kv", cli_json_count(memory->kv), "state",
                     cli_json_count(memory->state), "history", cli_json_count(memory->history),
                     "cache", cli_json_count(memory->cache));
}

json_t *run_json_prefix(const gla_cache_stats *stats)
{
    json_t *why = json_object();

    for (uint32_t i = 0; i < GLA_CACHE_REASON_COUNT; i++)
        if (stats->by_reason[i])
            json_object_set_new(why, gla_cache_reason_text(i), cli_json_count(stats->by_reason[i]));
    return json_pack("{s:o, s:o, s:o, s:o}", "asked", cli_json_count(stats->tokens_asked), "reused",
                     cli_json_count(stats->tokens_reused), "replayed",
                     cli_json_count(stats->tokens_replayed), "why", why);
}

json_t *run_json_snapshots(const gla_session *s)
{
    gla_snapshot_info info;

    gla_session_snapshots(s, &info, sizeof(info));
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "stride",
                     info.stride == GLA_SNAPSHOT_NONE ? json_null() : cli_json_count(info.stride),
                     "count", cli_json_count(info.count), "bytes", cli_json_count(info.bytes),
                     "budget", cli_json_count(info.budget), "worst_replay",
                     cli_json_count(info.worst_replay));
}

json_t *run_json(const run *r, const char *schema, uint64_t n_read, uint64_t n_written)
{
    char hash[24];

    snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)gla_model_hash(r->m.model));
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o}", "schema", schema, "seed",
                     cli_json_count(run_arg.seed), "temperature",
                     cli_json_number(run_arg.greedy ? 0 : run_arg.temp), "top_p",
                     cli_json_number(run_arg.top_p), "threads", cli_json_count(gla_threads()),
                     "model_hash", hash, "version", gla_version(), "prefill_tokens_per_s",
                     cli_json_number((double)n_read / r->prefill_seconds), "decode_tokens_per_s",
                     cli_json_number((double)n_written / r->decode_seconds));
}
