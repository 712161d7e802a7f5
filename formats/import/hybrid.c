/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/import/hybrid.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- layers -------------------------------------------------------------------- */

uint32_t gla__layer_type(gla__import *im, uint32_t layer, const char *const *words, uint32_t def)
{
    gla__config *c = im->cfg;
    const char *key, *word;

    if (!gla__config_has(c, "layer_types|layers_block_type"))
        return def;
    key = gla__config_key(c, "layer_types.%u|layers_block_type.%u", layer, layer);
    word = gla__config_string(c, key, "");
    if (!strcmp(word, "mamba"))
        word = "linear_attention";
    else if (!strcmp(word, "attention"))
        word = "full_attention";
    for (uint32_t i = 0; words[i]; i++)
        if (!strcmp(word, words[i]))
            return i;
    gla__config_refuse(c, key, *word ? "no such layer in this family" : "a layer without a type");
    return def;
}

void gla__hybrid_blocks(gla__import *im, const char *const *names,
                        uint32_t (*kind_of)(gla__import *im, uint32_t layer),
                        void (*make)(gla__import *im, gla_arch_block *b, uint32_t kind))
{
    uint32_t block[GLA__MAX_KINDS];

    memset(block, 0xff, sizeof(block));
    for (uint32_t i = 0; i < im->n_layers && !im->status; i++) {
        const uint32_t kind = kind_of(im, i);

        if (block[kind] == UINT32_MAX) {
            gla_arch_block *b = gla__block_add(im, names[kind]);

            if (!b)
                return;
            make(im, b, kind);
            block[kind] = gla__block_last(im);
        }
        im->layers[i] = block[kind];
    }
}

const gla_arch_block *gla__block_of(const gla__import *im, uint32_t layer)
{
    return &im->arch->blocks[im->layers[layer]];
}

bool gla__is_type(const gla_arch_layer *l, const char *type)
{
    return l->type && !strcmp(l->type, type);
}

uint64_t gla__param_of(const gla_arch_layer *l, const char *name, uint64_t def)
{
    const gla_arch_param *p = gla_arch_param_find(l, name);

    return p ? (uint64_t)p->number : def;
}

/* ---- parameters -------------------------------------------------------------------- */

void gla__never_tied(gla__import *im)
{
    if (!im->arch->tie_embeddings || !gla__has_tensor(im, false, "lm_head.weight"))
        return;
    gla__note(im, "config.json says tie_word_embeddings, which this family's code does not do: "
                  "taking lm_head.weight");
    im->arch->tie_embeddings = false;
}

void gla__only_silu(gla__import *im, const char *key)
{
    static const char *const silu[] = {"silu", "swish", NULL};

    gla__config_only(im->cfg, key, silu);
}

gla_arch_layer *gla__moe(gla__import *im, gla_arch_block *b, uint32_t experts, uint32_t top_k,
                         const char *d_ff_key, uint32_t d_ff)
{
    gla__config *c = im->cfg;
    gla_arch_layer *l = &b->ffn;

    gla__set_type(im, l, "moe");
    gla__set_number(im, l, "experts",
                    (double)gla__config_int(c, "num_experts|num_local_experts|n_routed_experts",
                                            experts, 1, 1024));
    gla__set_number(
        im, l, "top_k",
        (double)gla__config_int(c, "num_experts_per_tok|num_experts_per_token", top_k, 1, 64));
    gla__set_number(im, l, "d_ff", (double)gla__config_int(c, d_ff_key, d_ff, 1, GLA__MAX_WIDTH));
    gla__set_activation(im, l, "activation", "mlp_hidden_act|hidden_act", "silu", "silu");
    return l;
}

void gla__moe_sigmoid(gla__import *im, gla_arch_layer *moe, double scaling)
{
    gla__config *c = im->cfg;

    gla__set_text(im, moe, "score", "sigmoid");
    gla__set_flag(im, moe, "selection_bias", true, false);
    gla__set_flag(im, moe, "renormalise",
                  gla__config_bool(c, "norm_topk_prob|moe_renormalize", true), false);
    gla__set_unless(im, moe, "groups",
                    (double)gla__config_int(c, "n_group|num_expert_group", 1, 1, 64), 1);
    gla__set_unless(im, moe, "top_groups", (double)gla__config_int(c, "topk_group", 1, 1, 64), 1);
    gla__set_unless(im, moe, "scaling", gla__config_float(c, "routed_scaling_factor", scaling), 1);
}

static uint32_t mamba_inner(gla__import *im)
{
    const double inner = gla__config_float(im->cfg, "expand", 2) * gla__hidden_size(im);

    if (inner >= 1 && inner <= GLA__MAX_WIDTH)
        return (uint32_t)inner;
    gla__config_refuse(im->cfg, "expand", "no sensible width comes out");
    return 1;
}

/* "auto" is hidden_size / 16; flash-linear-attention has read two spellings in its time, so that
 * the tensors decide. */
static uint32_t mamba_dt_rank(gla__import *im, uint32_t inner, uint32_t layer)
{
    gla__config *c = im->cfg;
    const gla_tensor_info *dt =
        gla__source_format(im, "backbone.layers.%u.mixer.dt_proj.weight", layer);
    const uint32_t automatic = (gla__hidden_size(im) + 15) / 16;
    int64_t rank = automatic;

    if (!gla__config_is(c, "time_step_rank|dt_rank", "auto"))
        rank = gla__config_int(c, "time_step_rank|dt_rank", automatic, 1, GLA__MAX_WIDTH);
    if (dt && dt->n_elements / inner != (uint64_t)rank && dt->n_elements % inner == 0 &&
        dt->n_elements / inner <= GLA__MAX_WIDTH) {
        gla__note(im, "config.json gives dt rank %d, the tensors have %d: taking that", (int)rank,
                  (int)(dt->n_elements / inner));
        rank = (int64_t)(dt->n_elements / inner);
    }
    return (uint32_t)rank;
}

void gla__mamba(gla__import *im, gla_arch_block *b, uint32_t first_layer, bool conv_bias)
{
    gla__config *c = im->cfg;
    gla_arch_layer *l = gla__set_mixer(im, b, "mamba");
    const uint32_t inner = mamba_inner(im);

    gla__config_ignore(c, "dt_scale|dt_min|dt_max|dt_init_scheme|dt_init_floor|residual_in_fp32");
    gla__config_ignore(c, "time_step_min|time_step_max|time_step_floor|time_step_scale");
    gla__config_ignore(c, "time_step_init_scheme|use_mambapy|use_associative_scan");
    gla__config_ignore(c, "intermediate_size"); /* follows from expand */
    gla__set_number(im, l, "inner", inner);
    gla__set_number(im, l, "state", (double)gla__config_int(c, "state_size", 16, 1, 4096));
    gla__set_number(im, l, "dt_rank", mamba_dt_rank(im, inner, first_layer));
    gla__set_number(im, l, "conv", (double)gla__config_int(c, "conv_kernel", 4, 1, 64));
    gla__set_flag(im, l, "conv_bias", conv_bias, true);
    gla__set_flag(im, l, "in_bias", gla__config_bool(c, "use_bias", false), false);
    gla__set_flag(im, l, "out_bias", gla__config_bool(c, "use_bias", false), false);
}

gla_arch_layer *gla__mamba2(gla__import *im, gla_arch_block *b, const gla__mamba2_defaults *d)
{
    gla__config *c = im->cfg;
    gla_arch_layer *l = &b->mixers[b->n_mixers++];
    const int64_t heads = gla__config_int(c, "mamba_n_heads|mamba_num_heads", d->heads, 1, 65536);
    const double inner = gla__config_float(
        c, "mamba_d_ssm", gla__config_float(c, "mamba_expand|expand", 2) * gla__hidden_size(im));
    int64_t head_dim = d->head_dim;

    if (!head_dim && inner >= (double)heads && inner <= GLA__MAX_WIDTH)
        head_dim = (int64_t)inner / heads;
    gla__config_ignore(c, "mamba_chunk_size|chunk_size");
    if (!gla__config_is(c, "mamba_d_head", "auto"))
        head_dim = gla__config_int(c, "mamba_d_head|mamba_head_dim", head_dim, 1, 4096);
    if (!head_dim)
        gla__config_refuse(c, "mamba_d_ssm|mamba_expand|expand",
                           "no sensible width of a head comes out");
    gla__set_type(im, l, "mamba2");
    gla__set_number(im, l, "heads", (double)heads);
    gla__set_number(im, l, "head_dim", (double)head_dim);
    gla__set_number(im, l, "state",
                    (double)gla__config_int(c, "mamba_d_state|ssm_state_size", d->state, 1, 4096));
    gla__set_unless(im, l, "groups",
                    (double)gla__config_int(c, "mamba_n_groups|n_groups", d->groups, 1, 1024), 1);
    gla__set_number(im, l, "conv",
                    (double)gla__config_int(c, "mamba_d_conv|conv_kernel", 4, 1, 64));
    gla__set_flag(im, l, "conv_bias", gla__config_bool(c, "mamba_conv_bias|use_conv_bias", true),
                  true);
    gla__set_flag(im, l, "in_bias", gla__config_bool(c, "mamba_proj_bias", false), false);
    gla__set_flag(im, l, "out_bias",
                  gla__config_bool(c, d->out_bias ? d->out_bias : "mamba_proj_bias", false), false);
    gla__set_unless(im, l, "dt_min", gla__config_float(c, "time_step_limit.0|mamba_dt_limit.0", 0),
                    0);
    gla__set_unless(im, l, "dt_max",
                    gla__config_float(c, "time_step_limit.1|mamba_dt_limit.1", INFINITY), INFINITY);
    return l;
}

bool gla__is_mlx_conv(const gla_tensor_info *taps)
{
    return taps && taps->ndim == 3 && taps->dims[1] > 1 && taps->dims[2] == 1;
}

/* ---- tensors ------------------------------------------------------------------------ */

gla__name gla__name_of(const char *format, ...)
{
    gla__name name;
    va_list args;

    va_start(args, format);
    vsnprintf(name.text, sizeof(name.text), format, args);
    va_end(args);
    return name;
}

void gla__map_cut(gla__import *im, const char *our_prefix, const char *const *ours,
                  const uint64_t *elements, const char *source_prefix, const char *const *theirs)
{
    uint64_t used = 0; /* of *theirs */

    for (; *ours; ours++, elements++) {
        const gla__name name = gla__name_of("%s%s", our_prefix, *ours);

        for (uint64_t left = *elements; left && *theirs;) {
            const gla__name source = gla__name_of("%s%s", source_prefix, *theirs);
            const gla_tensor_info *info = gla__source(im, source.text);
            const uint64_t rest = info ? info->n_elements - used : 0;
            const uint64_t n = left < rest ? left : rest;

            if (n)
                gla__map_range(im, name.text, source.text, used, n);
            left -= n;
            used += n;
            if (n == rest) {
                theirs++;
                used = 0;
            }
        }
    }
}

void gla__map_ungrouped(gla__import *im, const char *our_prefix, const char *source_prefix,
                        const gla__fused *f, uint64_t groups)
{
    const gla__name from = gla__name_of("%s%s", source_prefix, f->source);
    const uint64_t width = gla__hidden_size(im);
    uint64_t row = 0;

    for (uint64_t g = 0; g < groups; g++)
        for (uint32_t i = 0; i < 4 && f->ours[i]; i++) {
            gla__map_range(im, gla__name_of("%s%s", our_prefix, f->ours[i]).text, from.text,
                           row * width, f->rows[i] * width);
            row += f->rows[i];
        }
}

const gla__expert_names gla__experts_usual = {"gate_proj", "up_proj", "down_proj",
                                              "experts.gate_up_proj", "experts.down_proj"};
const gla__expert_names gla__experts_mixtral = {"w1", "w3", "w2", "experts.gate_up_proj",
                                                "experts.down_proj"};

static void map_packed(gla__import *im, uint32_t layer, const char *source,
                       const gla__expert_names *names, const gla_arch_layer *moe)
{
    const uint64_t experts = gla__param_of(moe, "experts", 1);
    const uint64_t size = gla__param_of(moe, "d_ff", 1) * gla__hidden_size(im);
    const gla__name gate = gla__name_of("layers.%u.ffn.experts.gate_proj.weight", layer);
    const gla__name up = gla__name_of("layers.%u.ffn.experts.up_proj.weight", layer);
    const gla__name packed = gla__name_of("%s%s", source, names->gate_up);

    for (uint64_t e = 0; e < experts; e++) {
        gla__map_range(im, gate.text, packed.text, 2 * e * size, size);
        gla__map_range(im, up.text, packed.text, (2 * e + 1) * size, size);
    }
    gla__map(im, gla__name_of("layers.%u.ffn.experts.down_proj.weight", layer).text,
             gla__name_of("%s%s", source, names->down_packed).text);
}

void gla__map_experts(gla__import *im, uint32_t layer, const char *source,
                      const gla__expert_names *names)
{
    static const char *const ours[] = {"gate_proj", "up_proj", "down_proj"};
    const char *const theirs[] = {names->gate, names->up, names->down};
    const gla_arch_layer *moe = &gla__block_of(im, layer)->ffn;
    const uint64_t experts = gla__param_of(moe, "experts", 1);

    if (names->gate_up && gla__source_format(im, "%s%s", source, names->gate_up)) {
        map_packed(im, layer, source, names, moe);
        return;
    }
    for (uint32_t i = 0; i < 3; i++)
        for (uint64_t e = 0; e < experts && theirs[i]; e++)
            gla__map(im, gla__name_of("layers.%u.ffn.experts.%s.weight", layer, ours[i]).text,
                     gla__name_of("%sexperts.%u.%s.weight", source, (uint32_t)e, theirs[i]).text);
}
