#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_gguf.py CASE OUT.gguf [f32|f16|bf16|q8_0|q4_0] - a gguf file from a folder of tests/reference.

Needs the packages gguf, safetensors, numpy.  Conventions: those of llama.cpp's conversion; vectors, norms
and convolutions stay F32.  The files here: llama.gguf (f16), qwen3.gguf (q8_0), mamba.gguf (f32).
"""
import json
import sys

import gguf
import numpy as np
from safetensors.numpy import load_file

folder, out = sys.argv[1], sys.argv[2]
kind = sys.argv[3] if len(sys.argv) > 3 else "f32"
types = {k: getattr(gguf.GGMLQuantizationType, k.upper()) for k in ("f32", "f16", "bf16", "q8_0", "q4_0")}
config = json.load(open(f"{folder}/config.json"))
tensors = load_file(f"{folder}/model.safetensors")
arch = {"mistral": "llama"}.get(config["model_type"], config["model_type"])
names = {
    "embed_tokens.weight": "token_embd.weight", "embeddings.weight": "token_embd.weight",
    "norm.weight": "output_norm.weight", "norm_f.weight": "output_norm.weight", "lm_head.weight": "output.weight",
}
parts = {
    "input_layernorm": "attn_norm", "norm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "mixer.in_proj": "ssm_in", "mixer.conv1d": "ssm_conv1d", "mixer.x_proj": "ssm_x",
    "mixer.dt_proj": "ssm_dt", "mixer.out_proj": "ssm_out",
}


def name_of(name):
    name = name.removeprefix("model.").removeprefix("backbone.")
    if name in names:
        return names[name]
    _, layer, rest = name.split(".", 2)
    if rest in ("mixer.A_log", "mixer.D"):
        return f"blk.{layer}.ssm_" + rest[6].lower()
    part, end = rest.rsplit(".", 1)
    return f"blk.{layer}.{parts[part]}.{end}"


def pairs(w, heads):
    """Rows of a head: (half, i) to (i, half)."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(w.shape)


w = gguf.GGUFWriter(out, arch)
w.add_block_count(config["num_hidden_layers"])
w.add_embedding_length(config["hidden_size"])
w.add_context_length(config.get("max_position_embeddings", 1 << 20))
w.add_layer_norm_rms_eps(config.get("rms_norm_eps", config.get("layer_norm_epsilon")))
if arch == "mamba":
    w.add_feed_forward_length(0)
    w.add_head_count(0)
    w.add_ssm_conv_kernel(config["conv_kernel"])
    w.add_ssm_inner_size(config["intermediate_size"])
    w.add_ssm_state_size(config["state_size"])
    w.add_ssm_time_step_rank(config["time_step_rank"])
    w.add_ssm_dt_b_c_rms(False)
else:
    w.add_feed_forward_length(config["intermediate_size"])
    w.add_head_count(config["num_attention_heads"])
    w.add_head_count_kv(config["num_key_value_heads"])
    w.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    if "head_dim" in config:
        w.add_key_length(config["head_dim"])
        w.add_value_length(config["head_dim"])
    if config.get("sliding_window"):
        w.add_sliding_window(config["sliding_window"])
for name, x in tensors.items():
    ours = name_of(name)
    x = x.astype(np.float32)
    if arch == "llama" and ".self_attn.q_proj." in name:
        x = pairs(x, config["num_attention_heads"])
    if arch == "llama" and ".self_attn.k_proj." in name:
        x = pairs(x, config["num_key_value_heads"])
    if ours.endswith("ssm_a"):
        x = -np.exp(x)
    if ours.endswith("ssm_conv1d.weight"):
        x = x.squeeze(1)
    t = types[kind]
    if x.ndim < 2 or "conv1d" in ours or ours.endswith("ssm_a") or (kind[0] == "q" and x.shape[-1] % 32):
        t = types["f32"]
    w.add_tensor(ours, gguf.quants.quantize(x, t) if t not in (types["f32"], types["f16"])
                 else x.astype(np.float16 if t == types["f16"] else np.float32), raw_dtype=t)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
