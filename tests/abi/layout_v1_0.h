/* SPDX-License-Identifier: Apache-2.0
 *
 * layout_v1_0.h - made by make_layout.py from plugin_v1_0.h: offsets, sizes and values on 64-bit
 * machines
 */
/* clang-format off */

#define LAYOUT_V1_0(X) \
    X(gla_tensor, data, 0); \
    X(gla_tensor, aux, 8); \
    X(gla_tensor, dtype, 16); \
    X(gla_tensor, ndim, 20); \
    X(gla_tensor, dims, 24); \
    X(gla_host, struct_size, 0); \
    X(gla_host, abi_major, 4); \
    X(gla_host, abi_minor, 8); \
    X(gla_host, reserved, 12); \
    X(gla_host, ctx, 16); \
    X(gla_host, name, 24); \
    X(gla_host, version, 32); \
    X(gla_host, log, 40); \
    X(gla_host, explain, 48); \
    X(gla_host, get_extension, 56); \
    X(gla_host_alloc, struct_size, 0); \
    X(gla_host_alloc, alloc, 8); \
    X(gla_host_alloc, free, 16); \
    X(gla_host_parallel, struct_size, 0); \
    X(gla_host_parallel, for_range, 8); \
    X(gla_host_parallel, width, 16); \
    X(gla_param_desc, name, 0); \
    X(gla_param_desc, kind, 8); \
    X(gla_param_desc, required, 12); \
    X(gla_param_desc, def, 16); \
    X(gla_param_desc, min, 24); \
    X(gla_param_desc, max, 32); \
    X(gla_param_desc, enum_values, 40); \
    X(gla_param_desc, help, 48); \
    X(gla_param_value, i, 0); \
    X(gla_param_value, f, 8); \
    X(gla_param_value, list, 16); \
    X(gla_param_value, n_list, 24); \
    X(gla_param_value, is_set, 28); \
    X(gla_weight_desc, name, 0); \
    X(gla_weight_desc, role, 8); \
    X(gla_weight_desc, ndim, 12); \
    X(gla_weight_desc, dims, 16); \
    X(gla_weight_desc, active, 80); \
    X(gla_weight_desc, flags, 88); \
    X(gla_weight_desc, struct_size, 92); \
    X(gla_state_desc, name, 0); \
    X(gla_state_desc, kind, 8); \
    X(gla_state_desc, ndim, 12); \
    X(gla_state_desc, dims, 16); \
    X(gla_state_desc, kv_heads, 80); \
    X(gla_state_desc, k_dim, 84); \
    X(gla_state_desc, v_dim, 88); \
    X(gla_state_desc, window, 92); \
    X(gla_state_desc, q_heads, 96); \
    X(gla_state_desc, struct_size, 100); \
    X(gla_state_desc, flops, 104); \
    X(gla_declare, struct_size, 0); \
    X(gla_declare, reserved, 4); \
    X(gla_declare, ctx, 8); \
    X(gla_declare, weight, 16); \
    X(gla_declare, state, 24); \
    X(gla_declare, scratch, 32); \
    X(gla_declare, shared, 40); \
    X(gla_layer_config, struct_size, 0); \
    X(gla_layer_config, d_in, 4); \
    X(gla_layer_config, d_out, 8); \
    X(gla_layer_config, d_model, 12); \
    X(gla_layer_config, vocab_size, 16); \
    X(gla_layer_config, layer_index, 20); \
    X(gla_layer_config, n_layers, 24); \
    X(gla_layer_config, max_positions, 28); \
    X(gla_layer_config, norm_eps, 32); \
    X(gla_layer_config, params, 40); \
    X(gla_layer_config, declare, 48); \
    X(gla_batch, struct_size, 0); \
    X(gla_batch, n_sequences, 4); \
    X(gla_batch, n_rows, 8); \
    X(gla_batch, n_states, 12); \
    X(gla_batch, row_offset, 16); \
    X(gla_batch, position, 24); \
    X(gla_batch, tokens, 32); \
    X(gla_batch, x, 40); \
    X(gla_batch, y, 48); \
    X(gla_batch, states, 56); \
    X(gla_batch, scratch, 64); \
    X(gla_batch, shared, 72); \
    X(gla_batch, host, 80); \
    X(gla_batch, exec, 88); \
    X(gla_linear_spec, struct_size, 0); \
    X(gla_linear_spec, n_parts, 4); \
    X(gla_linear_spec, weights, 8); \
    X(gla_linear_spec, biases, 16); \
    X(gla_linear_spec, groups, 24); \
    X(gla_linear_spec, transpose, 28); \
    X(gla_conv_spec, struct_size, 0); \
    X(gla_conv_spec, n_parts, 4); \
    X(gla_conv_spec, width, 8); \
    X(gla_conv_spec, activation, 12); \
    X(gla_conv_spec, weights, 16); \
    X(gla_conv_spec, biases, 24); \
    X(gla_conv_spec, channels, 32); \
    X(gla_rope_spec, struct_size, 0); \
    X(gla_rope_spec, dims, 4); \
    X(gla_rope_spec, interleaved, 8); \
    X(gla_rope_spec, scaling, 12); \
    X(gla_rope_spec, theta, 16); \
    X(gla_rope_spec, factor, 24); \
    X(gla_rope_spec, low_freq_factor, 32); \
    X(gla_rope_spec, high_freq_factor, 40); \
    X(gla_rope_spec, original_positions, 48); \
    X(gla_rope_spec, max_positions, 56); \
    X(gla_rope_spec, beta_fast, 64); \
    X(gla_rope_spec, beta_slow, 72); \
    X(gla_rope_spec, mscale, 80); \
    X(gla_rope_spec, mscale_all_dim, 88); \
    X(gla_rope_spec, attention_factor, 96); \
    X(gla_rope_spec, short_factor, 104); \
    X(gla_rope_spec, long_factor, 112); \
    X(gla_norm, struct_size, 0); \
    X(gla_norm, kind, 4); \
    X(gla_norm, groups, 8); \
    X(gla_norm, width, 12); \
    X(gla_norm, weight_per_group, 16); \
    X(gla_norm, gate_activation, 20); \
    X(gla_norm, gate_first, 24); \
    X(gla_norm, eps, 28); \
    X(gla_norm, weight_offset, 32); \
    X(gla_norm, weight, 40); \
    X(gla_norm, bias, 48); \
    X(gla_norm, gate, 56); \
    X(gla_norm, ld_gate, 64); \
    X(gla_recurrence, struct_size, 0); \
    X(gla_recurrence, decay, 4); \
    X(gla_recurrence, write, 8); \
    X(gla_recurrence, normaliser, 12); \
    X(gla_recurrence, read_before, 16); \
    X(gla_recurrence, heads, 20); \
    X(gla_recurrence, k_dim, 24); \
    X(gla_recurrence, v_dim, 28); \
    X(gla_recurrence, q_heads, 32); \
    X(gla_recurrence, k_heads, 36); \
    X(gla_recurrence, v_heads, 40); \
    X(gla_recurrence, decay_heads, 44); \
    X(gla_recurrence, beta_heads, 48); \
    X(gla_recurrence, state, 52); \
    X(gla_recurrence, z_state, 56); \
    X(gla_recurrence, scale, 60); \
    X(gla_recurrence, eps, 64); \
    X(gla_recurrence, q, 72); \
    X(gla_recurrence, k, 80); \
    X(gla_recurrence, v, 88); \
    X(gla_recurrence, log_decay, 96); \
    X(gla_recurrence, beta, 104); \
    X(gla_recurrence, a, 112); \
    X(gla_recurrence, b, 120); \
    X(gla_recurrence, bonus, 128); \
    X(gla_recurrence, ld_q, 136); \
    X(gla_recurrence, ld_k, 144); \
    X(gla_recurrence, ld_v, 152); \
    X(gla_recurrence, ld_decay, 160); \
    X(gla_recurrence, ld_beta, 168); \
    X(gla_recurrence, ld_a, 176); \
    X(gla_recurrence, ld_b, 184); \
    X(gla_recurrence, ld_o, 192); \
    X(gla_recurrence, o, 200); \
    X(gla_attention, struct_size, 0); \
    X(gla_attention, state, 4); \
    X(gla_attention, heads, 8); \
    X(gla_attention, scale, 12); \
    X(gla_attention, soft_cap, 16); \
    X(gla_attention, sinks, 24); \
    X(gla_attention, q, 32); \
    X(gla_attention, k, 40); \
    X(gla_attention, v, 48); \
    X(gla_attention, o, 56); \
    X(gla_attention, v_out_dim, 64); \
    X(gla_attention, reserved, 68); \
    X(gla_attention, ld_q, 72); \
    X(gla_attention, ld_k, 80); \
    X(gla_attention, ld_v, 88); \
    X(gla_attention, ld_o, 96); \
    X(gla_selective_scan, struct_size, 0); \
    X(gla_selective_scan, state, 4); \
    X(gla_selective_scan, inner, 8); \
    X(gla_selective_scan, n_state, 12); \
    X(gla_selective_scan, u, 16); \
    X(gla_selective_scan, dt, 24); \
    X(gla_selective_scan, b, 32); \
    X(gla_selective_scan, c, 40); \
    X(gla_selective_scan, a, 48); \
    X(gla_selective_scan, d, 56); \
    X(gla_selective_scan, ld_u, 64); \
    X(gla_selective_scan, ld_dt, 72); \
    X(gla_selective_scan, ld_b, 80); \
    X(gla_selective_scan, ld_c, 88); \
    X(gla_selective_scan, ld_y, 96); \
    X(gla_selective_scan, y, 104); \
    X(gla_scan, struct_size, 0); \
    X(gla_scan, state, 4); \
    X(gla_scan, width, 8); \
    X(gla_scan, reserved, 12); \
    X(gla_scan, log_decay, 16); \
    X(gla_scan, x, 24); \
    X(gla_scan, ld_decay, 32); \
    X(gla_scan, ld_x, 40); \
    X(gla_scan, ld_y, 48); \
    X(gla_scan, y, 56); \
    X(gla_math, struct_size, 0); \
    X(gla_math, reserved, 4); \
    X(gla_math, linear_create, 8); \
    X(gla_math, linear_destroy, 16); \
    X(gla_math, conv_create, 24); \
    X(gla_math, conv_destroy, 32); \
    X(gla_math, rope_create, 40); \
    X(gla_math, rope_destroy, 48); \
    X(gla_math, linear, 56); \
    X(gla_math, linear_grouped, 64); \
    X(gla_math, gather, 72); \
    X(gla_math, conv1d, 80); \
    X(gla_math, recurrence, 88); \
    X(gla_math, attention, 96); \
    X(gla_math, selective_scan, 104); \
    X(gla_math, scan, 112); \
    X(gla_math, rope, 120); \
    X(gla_math, norm, 128); \
    X(gla_math, activation, 136); \
    X(gla_math, glu, 144); \
    X(gla_math, scale, 152); \
    X(gla_math, scale_channels, 160); \
    X(gla_math, clamp, 168); \
    X(gla_math, for_rows, 176); \
    X(gla_math, shift, 184); \
    X(gla_math, mix, 192); \
    X(gla_layer_desc, struct_size, 0); \
    X(gla_layer_desc, revision, 4); \
    X(gla_layer_desc, type_id, 8); \
    X(gla_layer_desc, summary, 16); \
    X(gla_layer_desc, flags, 24); \
    X(gla_layer_desc, params, 32); \
    X(gla_layer_desc, n_params, 40); \
    X(gla_layer_desc, param_size, 44); \
    X(gla_layer_desc, create, 48); \
    X(gla_layer_desc, destroy, 56); \
    X(gla_layer_desc, bind, 64); \
    X(gla_layer_desc, forward, 72); \
    X(gla_layer_desc, get_extension, 80); \
    X(gla_plugin_entry, magic, 0); \
    X(gla_plugin_entry, struct_size, 4); \
    X(gla_plugin_entry, abi_major, 8); \
    X(gla_plugin_entry, abi_minor, 10); \
    X(gla_plugin_entry, pointer_bytes, 12); \
    X(gla_plugin_entry, max_dims, 13); \
    X(gla_plugin_entry, reserved, 14); \
    X(gla_plugin_entry, tensor_size, 16); \
    X(gla_plugin_entry, batch_size, 20); \
    X(gla_plugin_entry, math_size, 24); \
    X(gla_plugin_entry, layer_desc_size, 28); \
    X(gla_plugin_entry, name, 32); \
    X(gla_plugin_entry, version, 40); \
    X(gla_plugin_entry, license, 48); \
    X(gla_plugin_entry, init, 56); \
    X(gla_plugin_entry, deinit, 64); \
    X(gla_plugin_entry, layers, 72); \
    X(gla_plugin_entry, n_layers, 80); \
    X(gla_plugin_entry, reserved2, 84);

#define SIZES_V1_0(X) \
    X(gla_tensor, 88); \
    X(gla_host, 64); \
    X(gla_host_alloc, 24); \
    X(gla_host_parallel, 24); \
    X(gla_param_desc, 56); \
    X(gla_param_value, 32); \
    X(gla_weight_desc, 96); \
    X(gla_state_desc, 112); \
    X(gla_declare, 48); \
    X(gla_layer_config, 56); \
    X(gla_batch, 96); \
    X(gla_linear_spec, 32); \
    X(gla_conv_spec, 40); \
    X(gla_rope_spec, 120); \
    X(gla_norm, 72); \
    X(gla_recurrence, 208); \
    X(gla_attention, 104); \
    X(gla_selective_scan, 112); \
    X(gla_scan, 64); \
    X(gla_math, 200); \
    X(gla_layer_desc, 88); \
    X(gla_plugin_entry, 88);

#define VALUES_V1_0(X) \
    X(GLA_OK, 0); \
    X(GLA_DTYPE_F32, 1); \
    X(GLA_DTYPE_BF16, 2); \
    X(GLA_DTYPE_F16, 3); \
    X(GLA_DTYPE_I8, 4); \
    X(GLA_DTYPE_I4, 5); \
    X(GLA_DTYPE_F64, 6); \
    X(GLA_DTYPE_I32, 16); \
    X(GLA_DTYPE_U8, 17); \
    X(GLA_DTYPE_I64, 18); \
    X(GLA_DTYPE_I16, 19); \
    X(GLA_DTYPE_BOOL, 20); \
    X(GLA_LOG_DEBUG, 0); \
    X(GLA_LOG_INFO, 1); \
    X(GLA_LOG_WARN, 2); \
    X(GLA_LOG_ERROR, 3); \
    X(GLA_LOG_HOST_MISBEHAVING, 4); \
    X(GLA_LOG_PLUGIN_MISBEHAVING, 5); \
    X(GLA_PARAM_INT, 1); \
    X(GLA_PARAM_FLOAT, 2); \
    X(GLA_PARAM_BOOL, 3); \
    X(GLA_PARAM_ENUM, 4); \
    X(GLA_PARAM_LIST, 5); \
    X(GLA_WEIGHT_MATRIX, 1); \
    X(GLA_WEIGHT_VECTOR, 2); \
    X(GLA_STATE_FIXED, 1); \
    X(GLA_STATE_PER_TOKEN, 2); \
    X(GLA_ACT_NONE, 0); \
    X(GLA_ACT_SILU, 1); \
    X(GLA_ACT_SIGMOID, 2); \
    X(GLA_ACT_RELU, 3); \
    X(GLA_ACT_RELU2, 4); \
    X(GLA_ACT_GELU, 5); \
    X(GLA_ACT_GELU_TANH, 6); \
    X(GLA_ACT_TANH, 7); \
    X(GLA_ACT_SOFTPLUS, 8); \
    X(GLA_ACT_LOG_SIGMOID, 9); \
    X(GLA_ACT_EXP, 10); \
    X(GLA_ACT_ELU1, 11); \
    X(GLA_ACT_SQUARE, 12); \
    X(GLA_ROPE_DEFAULT, 0); \
    X(GLA_ROPE_LINEAR, 1); \
    X(GLA_ROPE_LLAMA3, 2); \
    X(GLA_ROPE_YARN, 3); \
    X(GLA_ROPE_LONGROPE, 4); \
    X(GLA_ROPE_DYNAMIC, 5); \
    X(GLA_NORM_RMS, 1); \
    X(GLA_NORM_LAYER, 2); \
    X(GLA_NORM_L2, 3); \
    X(GLA_NORM_SUM, 4); \
    X(GLA_NORM_L2_MAX, 5); \
    X(GLA_NORM_SOFTMAX, 6); \
    X(GLA_DECAY_NONE, 0); \
    X(GLA_DECAY_CONST, 1); \
    X(GLA_DECAY_HEAD, 2); \
    X(GLA_DECAY_CHANNEL, 3); \
    X(GLA_DECAY_VALUE, 4); \
    X(GLA_WRITE_ADD, 0); \
    X(GLA_WRITE_DELTA, 1); \
    X(GLA_WRITE_DPLR, 2); \
    X(GLA_NORMALISER_NONE, 0); \
    X(GLA_NORMALISER_SUM, 1); \
    X(GLA_NORMALISER_MAX, 2); \
    X(GLA_WEIGHT_SENSITIVE, 1); \
    X(GLA_WEIGHT_LOOKUP, 2); \
    X(GLA_LAYER_MIXER, 1); \
    X(GLA_LAYER_FFN, 2); \
    X(GLA_LAYER_NORM, 4); \
    X(GLA_LAYER_EMBEDDING, 8); \
    X(GLA_LAYER_HEAD, 16); \
    X(GLA_LAYER_DETERMINISTIC, 256); \
    X(GLA_E_INVALID, -1); \
    X(GLA_E_UNSUPPORTED, -2); \
    X(GLA_E_NOMEM, -10); \
    X(GLA_E_LIMIT, -11); \
    X(GLA_E_IO, -20); \
    X(GLA_E_CORRUPT, -30); \
    X(GLA_E_CHECKSUM, -31); \
    X(GLA_E_VERSION, -32); \
    X(GLA_E_SCHEMA, -40); \
    X(GLA_E_NO_LAYER, -41); \
    X(GLA_E_SHAPE, -42); \
    X(GLA_E_ABI, -50); \
    X(GLA_E_PLUGIN, -51); \
    X(GLA_E_MISMATCH, -52); \
    X(GLA_E_CANCELLED, -60);
