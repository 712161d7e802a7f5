/* SPDX-License-Identifier: Apache-2.0
 *
 * from_granitemoehybrid.c - Granite 4: Mamba-2 with softmax attention, mostly without positions; a
 * mixture of experts next to a shared expert, or that one alone; multipliers everywhere
 */
#include "formats/import/hybrid.h"
#include "formats/import/llama.h"
#include "formats/import/mamba.h"
#include "formats/import/moe.h"

enum { LINEAR, FULL };
static const char *const kinds[] = {"mamba", "full"};

static uint32_t kind_of(gla__import *im, uint32_t layer)
{
    static const char *const words[] = {"linear_attention", "full_attention", NULL};

    return gla__layer_type(im, layer, words, LINEAR);
}

static void ffn(gla__import *im, gla_arch_block *b)
{
    gla__config *c = im->cfg;
    const int64_t shared = gla__config_int(c, "shared_intermediate_size", 1024, 1, GLA__MAX_WIDTH);
    gla_arch_layer *l;

    if (gla__config_int(c, "num_local_experts", 8, 0, 1024)) {
        l = gla__moe(im, b, 8, 2, "intermediate_size", 11008);
        gla__set_text(im, l, "score", "softmax_top_k");
        gla__set_number(im, l, "shared.d_ff", (double)shared);
        return;
    }
    gla__set_type(im, &b->ffn, "swiglu");
    gla__set_number(im, &b->ffn, "d_ff", (double)shared);
}

static void make(gla__import *im, gla_arch_block *b, uint32_t kind)
{
    static const gla__mamba2_defaults mamba = {.heads = 128, .state = 256, .groups = 1};
    gla__config *c = im->cfg;
    const gla__llama_attention attention = {
        .no_rope = !gla__config_is(c, "position_embedding_type", "rope")};

    if (kind == FULL) {
        gla__llama_attention_set(im, b, &attention);
        gla__set_number(im, &b->mixers[0], "scale",
                        gla__config_float(c, "attention_multiplier", 1));
    } else {
        gla__mamba2(im, b, &mamba);
    }
    ffn(im, b);
    b->mixer_residual = b->ffn_residual = gla__config_float(c, "residual_multiplier", 1);
}

static void arch(gla__import *im)
{
    static const gla__model_defaults defaults = {.vocab_size = 32000,
                                                 .hidden_size = 4096,
                                                 .layers = 32,
                                                 .max_positions = 2048,
                                                 .norm_eps = 1e-6};
    static const char *const positions[] = {"rope", "nope", NULL};
    static const char *const norms[] = {"rmsnorm", NULL};
    gla__config *c = im->cfg;
    double scaling;

    gla__config_ignore(c, "router_aux_loss_coef|init_method|rope_theta|rope_scaling");
    gla__config_ignore(c, "rope_parameters|intermediate_size|num_experts_per_tok|mlp_bias");
    gla__config_only(c, "position_embedding_type", positions);
    gla__config_only(c, "normalization_function", norms);
    gla__only_silu(im, "hidden_act");
    gla__model(im, &defaults);
    scaling = gla__config_float(c, "logits_scaling", 1);
    if (!(scaling > 0))
        gla__config_refuse(c, "logits_scaling", "expected a number above 0");
    gla__set_type(im, &im->arch->embedding, "embedding");
    gla__set_unless(im, &im->arch->embedding, "multiplier",
                    gla__config_float(c, "embedding_multiplier", 1), 1);
    gla__set_type(im, &im->arch->head, "head");
    gla__set_unless(im, &im->arch->head, "multiplier", 1 / scaling, 1);
    gla__hybrid_blocks(im, kinds, kind_of, make);
}

static void moe_tensors(gla__import *im, uint32_t layer)
{
    static const gla__expert_names names = {NULL, NULL, NULL, "input_linear.weight",
                                            "output_linear.weight"};
    static const gla__expert_names in_memory = {NULL, NULL, NULL, "experts.gate_up_proj",
                                                "experts.down_proj"};
    static const char *const router[] = {"?router.weight=router.layer.weight",
                                         "?router.weight=router.weight", NULL};
    const gla__name source = gla__name_of("model.layers.%u.block_sparse_moe.", layer);
    const bool published = gla__source_format(im, "%sinput_linear.weight", source.text) != NULL;

    gla__map_names(im, gla__name_of("layers.%u.ffn.", layer).text, source.text, router);
    gla__map_experts(im, layer, source.text, published ? &names : &in_memory);
}

static void tensors(gla__import *im)
{
    static const char *const in[] = {"input_linear.weight", NULL};
    static const char *const gate_up[] = {"gate_proj.weight", "up_proj.weight", NULL};

    gla__llama_tensors(im, NULL);
    for (uint32_t i = 0; i < im->n_layers; i++) {
        const gla_arch_block *b = gla__block_of(im, i);
        const bool moe = gla__is_type(&b->ffn, "moe");
        const gla__name ours = gla__name_of("layers.%u.ffn.%s", i, moe ? "shared." : "");
        const gla__name source = gla__name_of("model.layers.%u.shared_mlp.", i);
        const uint64_t n =
            gla__param_of(&b->ffn, moe ? "shared.d_ff" : "d_ff", 1) * gla__hidden_size(im);

        if (gla__is_type(&b->mixers[0], "mamba2"))
            gla__layer_rule(im, i, "mixer.", "model.", "mamba.");
        if (moe)
            moe_tensors(im, i);
        gla__map_cut(im, ours.text, gate_up, (const uint64_t[]){n, n}, source.text, in);
        gla__map(im, gla__name_of("%sdown_proj.weight", ours.text).text,
                 gla__name_of("%soutput_linear.weight", source.text).text);
    }
}

static const char *const model_types[] = {"granitemoehybrid", NULL};
const gla__importer gla__importer_granitemoehybrid = {"hf/granitemoehybrid", model_types, arch,
                                                      tensors};
