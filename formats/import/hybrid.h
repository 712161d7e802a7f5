/* SPDX-License-Identifier: Apache-2.0
 *
 * hybrid.h - what transformers' hybrid families have in common
 *
 * Lists of layer types, and the blocks made from them.
 */
#ifndef GLA_FORMATS_IMPORT_HYBRID_H
#define GLA_FORMATS_IMPORT_HYBRID_H

#include "formats/import/common.h"

/* Which of the NULL-terminated words layer_types (layers_block_type) gives this layer; def if the
 * config has no such list.  "mamba" and "attention" are read as "linear_attention" and
 * "full_attention", which is how configs spelt them first.  Other words are refused. */
uint32_t gla__layer_type(gla__import *im, uint32_t layer, const char *const *words, uint32_t def);

#define GLA__MAX_KINDS 16

/* Fills im->layers: one block, names[kind], for each kind that kind_of() finds among them, filled
 * by make() when it is met first. */
void gla__hybrid_blocks(gla__import *im, const char *const *names,
                        uint32_t (*kind_of)(gla__import *im, uint32_t layer),
                        void (*make)(gla__import *im, gla_arch_block *b, uint32_t kind));

/* transformers ties some families never, whatever their config says: a head in the source counts.
 */
void gla__never_tied(gla__import *im);

#endif
