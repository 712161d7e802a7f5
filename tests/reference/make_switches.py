"""Makes the reference cases of transformers' hybrids with the switches that make_reference.py leaves alone:
multipliers other than 1, groups of experts, biases, mixtures for Qwen3.5, positions in Granite; and small ones with
every number that can be unlike its default (epsilons above all, which hide nowhere at 0.05).

Uses make_reference.py's perturb(), so that every parameter moves the logits.  The three of fla (rwkv6-hybrid, rwkv7-alt, samba) need
its source on PYTHONPATH and TRITON_INTERPRET=1: then its recurrent kernels run on a CPU.  The others are made without
it, because transformers would take its kernels.
usage: make_switches.py OUT [only-name ...]
"""
import os, sys
import torch, transformers
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "make_reference.py")) as f:
    source = f.read()
scope = {}
for first, last in (("try:", "OUT, SEED"), ("def perturb", "def hf_case"), ("def save(", "def main")):
    exec("import json, math, os, sys, torch, types\nfrom safetensors.torch import save_file\n" +
         source[source.index(first):source.index(last)], scope)

OUT, V, ONLY = sys.argv[1], 160, set(sys.argv[2:])
S, H = (dict(hidden_size=64, vocab_size=V, num_hidden_layers=n) for n in (2, 4))
A = dict(intermediate_size=96, num_attention_heads=4, num_key_value_heads=2)
M2 = dict(mamba_d_head=16, mamba_n_groups=2, mamba_chunk_size=32)
T, SMALL = 90, lambda n: dict(hidden_size=32, vocab_size=64, num_hidden_layers=n, tie_word_embeddings=True)
TA = dict(intermediate_size=40, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=0.05)
R = lambda kind, **k: dict(rope_type=kind, rope_theta=10000.0, **k)
TOKENS = dict(pad_token_id=0, bos_token_id=1, eos_token_id=2)

def case(cls, **kw):
    config = getattr(transformers, cls + "Config")(**kw)
    config._attn_implementation = "eager"
    return getattr(transformers, cls + "ForCausalLM")(config)

def qwen3_5_moe():
    from transformers.models.qwen3_5_moe import configuration_qwen3_5_moe as c, modeling_qwen3_5_moe as m
    config = c.Qwen3_5MoeTextConfig(**H, num_attention_heads=4, num_key_value_heads=2, head_dim=32, linear_key_head_dim=16,
        linear_value_head_dim=8, linear_num_key_heads=2, linear_num_value_heads=6, num_experts=6, num_experts_per_tok=3,
        moe_intermediate_size=24, shared_expert_intermediate_size=40,
        rope_parameters=dict(rope_type="default", rope_theta=1e6, partial_rotary_factor=0.25, mrope_section=[2, 1, 1], mrope_interleaved=True))
    config._attn_implementation = "eager"
    return m.Qwen3_5MoeForCausalLM(config)

CASES = {
    "falcon-h1-multipliers": lambda: case("FalconH1", **S, **A, **M2, mamba_d_ssm=96, mamba_n_heads=6, mamba_d_state=16, mamba_rms_norm=True,
        mamba_norm_before_gate=False, lm_head_multiplier=0.7, embedding_multiplier=2.5, mlp_multipliers=[0.8, 0.6], key_multiplier=0.5,
        attention_out_multiplier=0.9, attention_in_multiplier=1.1, ssm_multipliers=[0.9, 0.8, 1.2, 0.7, 1.3], ssm_in_multiplier=1.25,
        ssm_out_multiplier=0.4, projectors_bias=True, mamba_proj_bias=True, attention_bias=True, mlp_bias=True, mamba_conv_bias=False),
    "granite-dense-rope": lambda: case("GraniteMoeHybrid", **H, **A, **M2, layer_types=["attention", "mamba", "attention", "mamba"],
        mamba_n_heads=8, mamba_d_state=8, num_local_experts=0, num_experts_per_tok=0, shared_intermediate_size=48, embedding_multiplier=12,
        logits_scaling=8, residual_multiplier=0.22, attention_multiplier=0.1, position_embedding_type="rope", attention_bias=True,
        mamba_proj_bias=True, tie_word_embeddings=True),
    "kimi-linear-groups": lambda: case("KimiLinear", **H, **TOKENS, intermediate_size=96, moe_intermediate_size=24, num_attention_heads=2,
        num_key_value_heads=2, kv_lora_rank=24, q_lora_rank=20, qk_rope_head_dim=4, qk_nope_head_dim=12, v_head_dim=20, num_local_experts=8,
        num_experts_per_tok=3, n_group=4, topk_group=2, n_shared_experts=2, routed_scaling_factor=1.7, norm_topk_prob=False, linear_head_dim=8,
        linear_num_heads=3, linear_conv_kernel_dim=3, layer_types=["full_attention", "linear_attention"] * 2,
        mlp_layer_types=["sparse", "dense", "sparse", "sparse"], tie_word_embeddings=True, rms_norm_eps=1e-4),
    "minimax-factors": lambda: case("MiniMax", **{**H, "num_hidden_layers": 3}, **A, head_dim=24, num_local_experts=3, num_experts_per_tok=2,
        layer_types=["linear_attention", "full_attention", "linear_attention"], block_size=16, full_attn_alpha_factor=1.5,
        full_attn_beta_factor=0.8, linear_attn_alpha_factor=2.5, linear_attn_beta_factor=0.7, mlp_alpha_factor=1.7, mlp_beta_factor=0.6),
    "nemotron-h-groups": lambda: case("NemotronH", hidden_size=64, vocab_size=V, intermediate_size=80, num_attention_heads=4,
        layers_block_type=["moe", "linear_attention", "full_attention", "moe", "mlp", "linear_attention"], num_key_value_heads=1, head_dim=24,
        ssm_state_size=8, mamba_num_heads=6, mamba_head_dim=8, n_groups=3, chunk_size=32, n_routed_experts=8, num_experts_per_tok=3, n_group=4,
        topk_group=2, moe_intermediate_size=24, moe_shared_expert_intermediate_size=40, routed_scaling_factor=2.5, use_bias=True,
        use_conv_bias=False, use_mamba_kernels=False, time_step_min=0.05),
    "qwen3_5-moe": qwen3_5_moe,
    "qwen3-window-yarn": lambda: case("Qwen3", **SMALL(3), **TA, head_dim=12, attention_bias=True, use_sliding_window=True, sliding_window=16,
        max_window_layers=2, hidden_act="gelu_pytorch_tanh", max_position_embeddings=128, rope_parameters=R("yarn", factor=4.0,
        original_max_position_embeddings=32)),
    "bamba-limits": lambda: case("Bamba", **SMALL(3), **TA, attn_layer_indices=[0, 2], mamba_n_heads=4, mamba_d_head=8, mamba_expand=1,
        mamba_n_groups=2, mamba_d_state=6, mamba_d_conv=3, mamba_conv_bias=False, mamba_proj_bias=True, attention_bias=True, mlp_bias=True,
        time_step_limit=(0.3, 0.7), mamba_chunk_size=32),
    "jamba-alt": lambda: case("Jamba", **SMALL(3), **TA, attn_layer_period=2, attn_layer_offset=0, expert_layer_period=3, expert_layer_offset=2,
        num_experts=3, num_experts_per_tok=2, mamba_d_state=5, mamba_d_conv=3, mamba_expand=1, mamba_dt_rank="auto", mamba_conv_bias=False,
        mamba_proj_bias=True, use_mamba_kernels=False),
    "lfm2-alt": lambda: case("Lfm2", **{**SMALL(3), "tie_word_embeddings": False}, intermediate_size=50, num_attention_heads=4,
        num_key_value_heads=2, norm_eps=0.05, conv_bias=True, conv_L_cache=4, block_multiple_of=16, block_ffn_dim_multiplier=1.3,
        layer_types=["conv", "full_attention", "conv"], rope_parameters=R("linear", factor=2.0)),
    "qwen3-next-sparse": lambda: case("Qwen3Next", **SMALL(4), **TA, head_dim=16, linear_key_head_dim=8, linear_value_head_dim=4,
        linear_num_key_heads=2, linear_num_value_heads=6, linear_conv_kernel_dim=3, num_experts=4, num_experts_per_tok=3, moe_intermediate_size=8,
        shared_expert_intermediate_size=20, attention_bias=True, norm_topk_prob=False, decoder_sparse_step=2, mlp_only_layers=[3],
        layer_types=["linear_attention", "linear_attention", "full_attention", "linear_attention"]),
    "recurrent-gemma-alt": lambda: case("RecurrentGemma", **SMALL(4), **{**TA, "intermediate_size": 80}, lru_width=48, attention_window_size=7,
        block_types=["attention", "recurrent", "recurrent"], logits_soft_cap=5.0, conv1d_width=3, attention_bias=True, hidden_activation="gelu",
        partial_rotary_factor=0.5),
    "rwkv6-hybrid": scope["fla_case"]("rwkv6", "RWKV6", **SMALL(3), norm_eps=0.02, num_heads=2, hidden_ratio=2.2, proj_low_rank_dim=3,
        gate_low_rank_dim=5, attn=dict(layers=[1], num_heads=4, num_kv_heads=2, window_size=24, qkv_bias=True, rope_theta=500.0)),
    "rwkv7-alt": scope["fla_case"]("rwkv7", "RWKV7", **SMALL(3), norm_eps=0.02, head_dim=8, norm_first=False, norm_bias=False, intermediate_size=50,
        decay_low_rank_dim=3, gate_low_rank_dim=4, a_low_rank_dim=5, v_low_rank_dim=6),
    "samba": scope["fla_case"]("samba", "Samba", **{**SMALL(3), "tie_word_embeddings": False}, norm_eps=0.05, state_size=5, conv_kernel=3, expand=3,
        use_bias=True, time_step_rank=7, hidden_ratio=2, attn=dict(layers=[0], num_heads=4, num_kv_heads=2, window_size=16, qkv_bias=True, rope_theta=500.0)),
}

for name, build in CASES.items():
    if ONLY and name not in ONLY: continue
    torch.manual_seed(7)
    model = scope["perturb"](build().float().eval(), 2 * len(name) + 1)
    g = torch.Generator().manual_seed(3)
    fla = type(model).__module__.startswith("fla.")
    ids = torch.randint(0, model.config.vocab_size, (1, 60 if fla else T), generator=g)   # fla: up to 64 it takes its recurrent kernels
    with torch.no_grad():
        for key, buffer in model.named_buffers():
            if "e_score" in key:                       # chooses, so it had better be something
                buffer.copy_(0.2 * torch.randn(buffer.shape, generator=g))
        out = model(ids, use_cache=False, output_hidden_states=True)
    hidden = torch.stack([torch.cat([h[0, :8], h[0, -8:]]) for h in out.hidden_states]) if out.hidden_states else torch.zeros(1)
    folder = os.path.join(OUT, name)
    os.makedirs(folder, exist_ok=True)
    scope["save"](model, folder, fla)
    save_file({"input_ids": ids[0].int(), "logits": out.logits[0].contiguous(), "hidden_edges": hidden.contiguous()}, os.path.join(folder, "golden.safetensors"))
    print(name, "spread", float(out.logits.std()))
