/* SPDX-License-Identifier: Apache-2.0
 *
 * rwkv.h - what fla's RWKV-6 and RWKV-7 share: layer norms with biases, one of them after
 * the embedding, and channel mixing with a state of its own
 */
#ifndef GLA_FORMATS_IMPORT_RWKV_H
#define GLA_FORMATS_IMPORT_RWKV_H

#include "formats/import/fla.h"

/* Norms, and the ffn of every block: inner width hidden_ratio * hidden_size, a multiple of 32
 * above. Returns the block of the time mixing, NULL when there is nothing more to do. */
gla_arch_block *gla__rwkv_blocks(gla__import *im, const gla__model_defaults *d, const char *type,
                                 double hidden_ratio, bool receptance);
void gla__rwkv_tensors(gla__import *im, const char *const *renamed, const char *const *ffn_renamed);

#endif
