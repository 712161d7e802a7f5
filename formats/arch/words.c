/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/arch/words.h"

#include <stdbool.h>
#include <string.h>

#include "base/diag.h"

/* Theirs, and ours: of several the first that there is in the place.  Letter case, "_" and "-" do
 * not count. */
static const struct {
    const char *theirs, *ours, *how;
} words[] = {
    /* heads */
    {"num_heads", "heads", ""},
    {"num_attention_heads", "heads", ""},
    {"n_heads", "heads", ""},
    {"n_head", "heads", ""},
    {"num_v_heads", "heads", ""},
    {"linear_num_value_heads", "heads", ""},
    {"mamba_num_heads", "heads", ""},
    {"mamba_n_heads", "heads", ""},
    {"num_kv_heads", "kv_heads key_heads", ""},
    {"num_key_value_heads", "kv_heads key_heads", ""},
    {"n_kv_heads", "kv_heads key_heads", ""},
    {"n_head_kv", "kv_heads key_heads", ""},
    {"num_k_heads", "key_heads kv_heads", ""},
    {"linear_num_key_heads", "key_heads kv_heads", ""},
    {"head_dim", "head_k_dim k_dim", ""},
    {"head_size", "head_dim head_k_dim k_dim", ""},
    {"d_head", "head_dim head_k_dim k_dim", ""},
    {"mamba_head_dim", "head_dim", ""},
    {"mamba_d_head", "head_dim", ""},
    {"qk_head_dim", "head_k_dim head_dim k_dim", ""},
    {"key_dim", "k_dim head_k_dim", ""},
    {"linear_key_head_dim", "head_k_dim k_dim", ""},
    {"v_head_dim", "head_v_dim v_dim", ""},
    {"value_dim", "v_dim head_v_dim", ""},
    {"linear_value_head_dim", "head_v_dim v_dim", ""},
    {"expand_k", "k_dim head_k_dim", ""},
    {"expand_v", "v_dim head_v_dim", ""},
    {"expand", "inner", ""},
    {"qk_nope_head_dim", "nope_dim", ""},
    {"qk_rope_head_dim", "rope_dim", ""},
    {"q_lora_rank", "q_rank", ""},
    {"kv_lora_rank", "kv_rank", ""},
    /* attention */
    {"sliding_window", "window", ""},
    {"window_size", "window", ""},
    {"attention_window_size", "window", ""},
    {"attention_bias", "qkv_bias", ""},
    {"use_qk_norm", "qk_norm", ""},
    {"softmax_scale", "scale", ""},
    {"attention_multiplier", "scale", ""},
    {"attn_logit_softcapping", "soft_cap", ""},
    {"rope_theta", "rope.theta", ""},
    {"rope_base", "rope.theta", ""},
    {"rope.base", "rope.theta", ""},
    {"rotary_base", "rope.theta", ""},
    {"rope_type", "rope.type", ""},
    {"rope.rope_type", "rope.type", ""},
    {"rope_scaling", "rope.type", ""},
    {"rotary_dim", "rope.dims", ""},
    {"partial_rotary_factor", "rope.dims", ""},
    {"rope.original_max_position_embeddings", "rope.original_positions", ""},
    /* recurrent layers */
    {"conv_size", "conv", ""},
    {"conv_kernel", "conv", ""},
    {"conv_kernel_size", "conv", ""},
    {"conv1d_width", "conv", ""},
    {"conv_L_cache", "conv", ""},
    {"linear_conv_kernel_dim", "conv", ""},
    {"d_conv", "conv", ""},
    {"mamba_d_conv", "conv", ""},
    {"use_short_conv", "conv", ""},
    {"use_conv_bias", "conv_bias", ""},
    {"mamba_conv_bias", "conv_bias", ""},
    {"d_inner", "inner", ""},
    {"state_size", "state", ""},
    {"ssm_state_size", "state", ""},
    {"d_state", "state", ""},
    {"mamba_d_state", "state", ""},
    {"n_groups", "groups", ""},
    {"mamba_n_groups", "groups", ""},
    {"time_step_rank", "dt_rank", ""},
    {"time_step_min", "dt_min", ""},
    {"time_step_max", "dt_max", ""},
    {"gate_logit_normalizer", "gate_normalizer", ""},
    {"gate_low_rank_dim", "gate_low_rank gate_rank", ""},
    {"proj_low_rank_dim", "proj_rank", ""},
    {"decay_low_rank_dim", "decay_rank", ""},
    {"a_low_rank_dim", "a_rank", ""},
    {"v_low_rank_dim", "v_rank", ""},
    {"use_output_gate", "output_gate", ""},
    {"use_gate", "output_gate", ""},
    {"allow_neg_eigval", "neg_eigval", ""},
    {"num_slots", "slots", ""},
    {"lru_width", "width", ""},
    /* feed-forward networks */
    {"intermediate_size", "d_ff", ""},
    {"moe_intermediate_size", "d_ff", ""},
    {"ffn_dim", "d_ff", ""},
    {"ffn_hidden_size", "d_ff", ""},
    {"hidden_dim", "d_ff", ""},
    {"n_inner", "d_ff", ""},
    {"hidden_ratio", "d_ff", ""},
    {"hidden_act", "activation", ""},
    {"hidden_activation", "activation", ""},
    {"mlp_bias", "bias", ""},
    {"use_bias", "bias", ""},
    {"num_experts", "experts", ""},
    {"num_local_experts", "experts", ""},
    {"n_routed_experts", "experts", ""},
    {"num_experts_per_tok", "top_k", ""},
    {"num_experts_per_token", "top_k", ""},
    {"active", "top_k", ""},
    {"norm_topk_prob", "renormalise", ""},
    {"moe_renormalize", "renormalise", ""},
    {"routed_scaling_factor", "scaling", ""},
    {"scoring_func", "score", ""},
    {"n_group", "groups", ""},
    {"topk_group", "top_groups", ""},
    {"shared_experts", "shared.d_ff", ""},
    {"n_shared_experts", "shared.d_ff", ""},
    {"num_shared_experts", "shared.d_ff", ""},
    {"shared_expert_intermediate_size", "shared.d_ff", ""},
    /* both ends, norms */
    {"embedding_multiplier", "multiplier", ""},
    {"lm_head_multiplier", "multiplier", ""},
    {"logits_scaling", "multiplier", ""},
    {"final_logit_softcapping", "soft_cap", ""},
    {"rms_norm_eps", "eps norm_eps norm", ""},
    {"layer_norm_eps", "eps norm_eps norm", ""},
    {"layer_norm_epsilon", "eps norm_eps norm", ""},
    {"epsilon", "eps norm_eps", ""},
    {"norm_eps", "eps", ""},
    {"eps", "norm_eps", ""},
    /* of the model */
    {"hidden_size", "d_model", ""},
    {"n_embd", "d_model", ""},
    {"dim", "d_model", ""},
    {"num_hidden_layers", "layers", ""},
    {"n_layers", "layers", ""},
    {"n_layer", "layers", ""},
    {"max_position_embeddings", "max_positions", ""},
    {"context_length", "max_positions", ""},
    {"tie_word_embeddings", "tie_embeddings", ""},
    {"bos_token_id", "bos_token", ""},
    {"eos_token_id", "eos_tokens", ""},
    {"torch_dtype", "weights", ""},
    {"dtype", "weights", ""},
    {"model_type", "family", ""},
    {"attention", "mixer", ""},
    {"attn", "mixer", ""},
    {"mlp", "ffn", ""},
    {"feed_forward", "ffn mlp", ""},
    /* types of layers */
    {"softmax", "attention", ""},
    {"softmax_attention", "attention", ""},
    {"self_attention", "attention", ""},
    {"full_attention", "attention", ""},
    {"mha", "attention", ""},
    {"gqa", "attention", "kv_heads: N"},
    {"mqa", "attention", "kv_heads: 1"},
    {"swa", "attention", "window: N"},
    {"sliding_attention", "attention", "window: N"},
    {"sliding_window_attention", "attention", "window: N"},
    {"gated_linear_attention", "gla", ""},
    {"gdn", "gated_deltanet", ""},
    {"kimi_delta_attention", "kda", ""},
    {"retnet", "retention", ""},
    {"lightning_attention", "lightning", ""},
    {"s6", "mamba", ""},
    {"ssd", "mamba2", ""},
    {"griffin", "rg_lru", ""},
    {"rwkv", "rwkv7", ""},
    {"conv", "short_conv", ""},
    {"glu", "swiglu", "activation: sigmoid"},
    {"geglu", "swiglu", "activation: gelu"},
    {"reglu", "swiglu", "activation: relu"},
    {"gated_mlp", "swiglu", ""},
    {"ffn", "mlp", ""},
    {"mixture_of_experts", "moe", ""},
    {"sparse_moe", "moe", ""},
    {"lm_head", "head", ""},
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool alike(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a == '_' || *a == '-')
            a++;
        while (*b == '_' || *b == '-')
            b++;
        if (lower(*a) != lower(*b))
            return false;
        if (!*a)
            return true;
    }
}

/* The first of the list (words between blanks) that is one of ours. */
static const char *first_of(const char *list, const char *const *ours, size_t n)
{
    while (*list) {
        const size_t length = strcspn(list, " ");

        for (size_t i = 0; i < n; i++)
            if (!strncmp(ours[i], list, length) && !ours[i][length])
                return ours[i];
        list += length;
        list += *list == ' ';
    }
    return NULL;
}

const char *gla__meant(const char *word, const char *const *ours, size_t n, const char **how)
{
    *how = "";
    for (size_t i = 0; i < n; i++)
        if (alike(word, ours[i]))
            return ours[i];
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const char *found = alike(word, words[i].theirs) ? first_of(words[i].ours, ours, n) : NULL;

        if (found) {
            *how = words[i].how;
            return found;
        }
    }
    return gla__nearest(word, ours, n);
}
