/* SPDX-License-Identifier: Apache-2.0
 *
 * structs_v0_1.h - the structs that a program shares with the library, as version 0.1 has them:
 * offsets and sizes on 64-bit machines
 */
/* clang-format off */

#define STRUCTS_V0_1(X) \
    X(gla_registry_options, struct_size, 0); \
    X(gla_registry_options, log_level, 4); \
    X(gla_registry_options, log, 8); \
    X(gla_registry_options, log_ctx, 16); \
    X(gla_model_options, struct_size, 0); \
    X(gla_model_options, max_batch_rows, 4); \
    X(gla_model_options, max_sequences, 8); \
    X(gla_model_options, threads, 12); \
    X(gla_model_options, kv_dtype, 16); \
    X(gla_model_options, recurrence_chunk, 20); \
    X(gla_model_options, weights_dtype, 24); \
    X(gla_model_options, reserved, 28); \
    X(gla_model_options, seed, 32); \
    X(gla_model_options, registry, 40); \
    X(gla_model_options, limits, 48); \
    X(gla_model_options, progress, 56); \
    X(gla_model_options, ctx, 64); \
    X(gla_limits, struct_size, 0); \
    X(gla_limits, max_layers, 4); \
    X(gla_limits, max_index_bytes, 8); \
    X(gla_limits, max_tensors, 16); \
    X(gla_limits, max_bytes, 24); \
    X(gla_limits, no_verify, 32); \
    X(gla_limits, reserved, 36); \
    X(gla_session_options, struct_size, 0); \
    X(gla_session_options, kv_dtype, 4); \
    X(gla_session_options, prefix_cache, 8); \
    X(gla_session_options, snapshot_stride, 12); \
    X(gla_session_options, bypass, 16); \
    X(gla_session_options, reserved, 20); \
    X(gla_session_options, snapshot_bytes, 24); \
    X(gla_session_options, saved_bytes, 32); \
    X(gla_sampler_options, struct_size, 0); \
    X(gla_sampler_options, top_k, 4); \
    X(gla_sampler_options, temperature, 8); \
    X(gla_sampler_options, top_p, 16); \
    X(gla_sampler_options, seed, 24); \
    X(gla_convert_options, struct_size, 0); \
    X(gla_convert_options, weights_dtype, 4); \
    X(gla_convert_options, level, 8); \
    X(gla_convert_options, overwrite, 12); \
    X(gla_convert_options, quantise_head, 16); \
    X(gla_convert_options, n_keep, 20); \
    X(gla_convert_options, keep, 24); \
    X(gla_convert_options, limits, 32); \
    X(gla_convert_options, registry, 40); \
    X(gla_convert_options, progress, 48); \
    X(gla_convert_options, note, 56); \
    X(gla_convert_options, ctx, 64); \
    X(gla_feed_item, session, 0); \
    X(gla_feed_item, tokens, 8); \
    X(gla_feed_item, n_tokens, 16); \
    X(gla_feed_item, logits, 24); \
    X(gla_feed_item, n_logits, 32); \
    X(gla_feed_item, flags, 40); \
    X(gla_feed_item, reserved, 44); \
    X(gla_chat_message, role, 0); \
    X(gla_chat_message, content, 8); \
    X(gla_memory, weights, 0); \
    X(gla_memory, workspace, 8); \
    X(gla_memory, kv, 16); \
    X(gla_memory, state, 24); \
    X(gla_memory, history, 32); \
    X(gla_memory, cache, 40); \
    X(gla_snapshot_info, stride, 0); \
    X(gla_snapshot_info, count, 4); \
    X(gla_snapshot_info, bytes, 8); \
    X(gla_snapshot_info, budget, 16); \
    X(gla_snapshot_info, worst_replay, 24); \
    X(gla_cache_stats, lookups, 0); \
    X(gla_cache_stats, hits, 8); \
    X(gla_cache_stats, tokens_asked, 16); \
    X(gla_cache_stats, tokens_matched, 24); \
    X(gla_cache_stats, tokens_reused, 32); \
    X(gla_cache_stats, tokens_replayed, 40); \
    X(gla_cache_stats, evictions, 48); \
    X(gla_cache_stats, blocks, 56); \
    X(gla_cache_stats, snapshots, 64); \
    X(gla_cache_stats, bytes, 72); \
    X(gla_cache_stats, budget, 80); \
    X(gla_cache_stats, by_reason, 88); \
    X(gla_convert_report, n_tensors, 0); \
    X(gla_convert_report, n_unused, 4); \
    X(gla_convert_report, n_quantised, 8); \
    X(gla_convert_report, reserved, 12); \
    X(gla_convert_report, raw_bytes, 16); \
    X(gla_convert_report, stored_bytes, 24); \
    X(gla_convert_report, seconds, 32); \
    X(gla_convert_report, family, 40); \
    X(gla_diag, status, 0); \
    X(gla_diag, line, 4); \
    X(gla_diag, column, 8); \
    X(gla_diag, offset, 16); \
    X(gla_diag, where, 24); \
    X(gla_diag, message, 216); \
    X(gla_diag, hint, 536); \
    X(gla_diag, reserved, 696);

#define STRUCT_SIZES_V0_1(X) \
    X(gla_registry_options, 24); \
    X(gla_model_options, 72); \
    X(gla_limits, 40); \
    X(gla_session_options, 40); \
    X(gla_sampler_options, 32); \
    X(gla_convert_options, 72); \
    X(gla_feed_item, 48); \
    X(gla_chat_message, 16); \
    X(gla_memory, 48); \
    X(gla_snapshot_info, 32); \
    X(gla_cache_stats, 344); \
    X(gla_convert_report, 104); \
    X(gla_diag, 760);
