"""Makes the reference cases of transformers' hybrids with the switches that make_reference.py leaves alone:
multipliers other than 1, groups of experts, biases, mixtures for Qwen3.5, positions in Granite.

Uses make_reference.py's perturb(), so that every parameter moves the logits.
usage: make_switches.py OUT
"""
import os, sys
import torch, transformers
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "make_reference.py")) as f:
    source = f.read()
scope = {}
exec("import math, torch\n" + source[source.index("def perturb"):source.index("def fla_case")], scope)

OUT, V = sys.argv[1], 160
S, H = (dict(hidden_size=64, vocab_size=V, num_hidden_layers=n) for n in (2, 4))
A = dict(intermediate_size=96, num_attention_heads=4, num_key_value_heads=2)
M2 = dict(mamba_d_head=16, mamba_n_groups=2, mamba_chunk_size=32)
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
}

for name, build in CASES.items():
    torch.manual_seed(7)
    model = scope["perturb"](build().float().eval(), 2 * len(name) + 1)
    g = torch.Generator().manual_seed(3)
    ids = torch.randint(0, V, (1, 90), generator=g)
    with torch.no_grad():
        for key, buffer in model.named_buffers():
            if "e_score" in key:                       # chooses, so it had better be something
                buffer.copy_(0.2 * torch.randn(buffer.shape, generator=g))
        out = model(ids, use_cache=False, output_hidden_states=True)
    hidden = torch.stack([torch.cat([h[0, :8], h[0, -8:]]) for h in out.hidden_states]) if out.hidden_states else torch.zeros(1)
    folder = os.path.join(OUT, name)
    model.save_pretrained(folder)
    save_file({"input_ids": ids[0].int(), "logits": out.logits[0].contiguous(), "hidden_edges": hidden.contiguous()}, os.path.join(folder, "golden.safetensors"))
    print(name, "spread", float(out.logits.std()))
