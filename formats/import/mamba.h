/* SPDX-License-Identifier: Apache-2.0
 *
 * mamba.h - Mamba, and Mamba-2 as Bamba's relatives spell it
 */
#ifndef GLA_FORMATS_IMPORT_MAMBA_H
#define GLA_FORMATS_IMPORT_MAMBA_H

#include "formats/import/common.h"

/* mixer: mamba with expand, state_size, time_step_rank, conv_kernel, use_bias as Mamba and Samba
 * have them; the rank of dt follows the tensors of first_layer. */
void gla__mamba(gla__import *im, gla_arch_block *b, uint32_t first_layer, bool conv_bias);

typedef struct gla__mamba2_defaults {
    uint32_t heads, head_dim, state, groups; /* head_dim 0: follows from mamba_expand */
    const char *out_bias;                    /* NULL: mamba_proj_bias */
} gla__mamba2_defaults;

/* Adds a mixer: mamba2 with mamba_n_heads, mamba_d_head, mamba_d_state, mamba_n_groups,
 * mamba_d_conv, biases, time_step_limit (and Nemotron-H's names of them); its norm is "whole". */
gla_arch_layer *gla__mamba2(gla__import *im, gla_arch_block *b, const gla__mamba2_defaults *d);

/* MLX keeps the taps of a convolution as [C, W, 1], which is published as [C, 1, W]; it changes the
 * weights of some families.  NULL is none. */
bool gla__is_mlx_conv(const gla_tensor_info *taps);

#endif
