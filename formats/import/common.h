/* SPDX-License-Identifier: Apache-2.0
 *
 * common.h - pieces that importers share
 *
 * Building blocks and parameters (errors stick in the import, see import.h), activations by their
 * published names, what nearly all configs say of a model, names, remarks.
 */
#ifndef GLA_FORMATS_IMPORT_COMMON_H
#define GLA_FORMATS_IMPORT_COMMON_H

#include "formats/arch/form.h"
#include "formats/import/import.h"

#define GLA__MAX_WIDTH (1 << 24)
#define GLA__MAX_HEADS 1024

/* ---- blocks ----------------------------------------------------------------- */

/* A new named block with defaults.  NULL when out of memory; pointers to earlier blocks become
 * invalid. */
gla_arch_block *gla__block_add(gla__import *im, const char *name);
/* Index of the block added last. */
uint32_t gla__block_last(const gla__import *im);
/* A new block that says what block `from` says. */
gla_arch_block *gla__block_copy(gla__import *im, uint32_t from, const char *name);
/* Makes im->layers with n entries, all of them block 0. */
void gla__layers_make(gla__import *im, uint32_t n);

/* The block of a layer.  Valid until the next block is added. */
const gla_arch_block *gla__block_of(const gla__import *im, uint32_t layer);
bool gla__is_type(const gla_arch_layer *l, const char *type);
/* A parameter that was set before; def if it was left out. */
uint64_t gla__param_of(const gla_arch_layer *l, const char *name, uint64_t def);

/* ---- parameters ---------------------------------------------------------------- */

void gla__set_type(gla__import *im, gla_arch_layer *layer, const char *type);
/* b->mixers[0] gets this type. */
gla_arch_layer *gla__set_mixer(gla__import *im, gla_arch_block *b, const char *type);
void gla__set_number(gla__import *im, gla_arch_layer *layer, const char *name, double value);
/* Left out where the layer's own default says the same. */
void gla__set_unless(gla__import *im, gla_arch_layer *layer, const char *name, double value,
                     double def);
void gla__set_flag(gla__import *im, gla_arch_layer *layer, const char *name, bool value, bool def);
void gla__set_text(gla__import *im, gla_arch_layer *layer, const char *name, const char *value);
void gla__set_list(gla__import *im, gla_arch_layer *layer, const char *name, const double *values,
                   uint32_t n);

/* Our name of the activation that `key` names ("swish" -> "silu"); refuses the key if there is
 * none. */
const char *gla__activation(gla__import *im, const char *key, const char *def);
/* Sets `name` to it, unless it is the layer's default. */
void gla__set_activation(gla__import *im, gla_arch_layer *layer, const char *name, const char *key,
                         const char *def, const char *layer_def);

/* Refuses activations other than silu under this key: where the layer has no choice. */
void gla__only_silu(gla__import *im, const char *key);

/* ---- the model ------------------------------------------------------------------ */

/* What nearly all configs spell alike. */
typedef struct gla__model_defaults {
    uint32_t vocab_size, hidden_size, layers, max_positions;
    double norm_eps;
    bool tie;
    const char *const *hidden_acts; /* fla: what hidden_act may be; NULL: swish, silu */
    const char *norm_eps_keys;      /* NULL: "norm_eps|rms_norm_eps|layer_norm_epsilon" */
} gla__model_defaults;

/* vocab_size, hidden_size, num_hidden_layers, max_position_embeddings, tie_word_embeddings,
 * tokens, rmsnorm with "norm_eps|rms_norm_eps|...", embedding, head; makes im->layers. */
void gla__model(gla__import *im, const gla__model_defaults *d);
/* The source has a head of its own, or there is no source. */
bool gla__has_head(const gla__import *im);
/* The family's tokenizer puts nothing in front of a text, whatever bos_token_id its config has. */
void gla__never_bos(gla__import *im);
uint32_t gla__hidden_size(const gla__import *im);
/* Bias, tying and so on follow the tensors: whether the source has this tensor; `def` without a
 * source. */
__attribute__((format(printf, 3, 4))) bool gla__has_tensor(const gla__import *im, bool def,
                                                           const char *format, ...);

/* ---- texts ---------------------------------------------------------------------- */

typedef struct gla__name {
    char text[192];
} gla__name;

/* A formatted name, for one use: gla__map(im, gla__name_of("layers.%u.a", i).text, ...). */
__attribute__((format(printf, 1, 2))) gla__name gla__name_of(const char *format, ...);

/* "config.json says hidden_ratio 4, the tensors have 512 inner channels: taking the tensors" */
__attribute__((format(printf, 2, 3))) void gla__note(gla__import *im, const char *format, ...);

#endif
