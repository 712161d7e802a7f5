/* SPDX-License-Identifier: Apache-2.0
 *
 * sequence_kernels.h - convolution and elementwise scans along one sequence, from one source
 * (k_sequence.h)
 *
 * Each call takes some channels of one sequence, all its tokens; operands point at the first of
 * both.  Channels do not depend on each other.
 */
#ifndef GLA_MATH_KERNELS_SEQUENCE_KERNELS_H
#define GLA_MATH_KERNELS_SEQUENCE_KERNELS_H

#include <gla/plugin.h>

#include "base/cpu.h"

#define GLA__CONV_WIDTH_MAX 64

typedef struct gla__conv_run {
    size_t tokens, channels, width; /* width <= GLA__CONV_WIDTH_MAX */
    const float *x;
    size_t ld_x;
    float *y; /* may be x */
    size_t ld_y;
    const float *taps; /* [width, ld_taps]; the last row multiplies the current token */
    const float *bias; /* [channels] */
    float *state;      /* [width - 1, ld_taps], the newest last */
    size_t ld_taps;
    uint32_t activation; /* gla_activation */
} gla__conv_run;

typedef struct gla__selective_run {
    size_t tokens, channels, n_state;
    const float *u, *dt, *b, *c; /* b and c [tokens, n_state] */
    const float *a, *d;          /* a [n_state, ld_state]; d may be NULL */
    size_t ld_u, ld_dt, ld_b, ld_c, ld_y, ld_state;
    float *state; /* [n_state, ld_state] */
    float *y;     /* may be u */
} gla__selective_run;

typedef struct gla__scan_run {
    size_t tokens, channels;
    const float *log_decay, *x;
    size_t ld_decay, ld_x, ld_y;
    float *state;
    float *y; /* may be x */
} gla__scan_run;

typedef struct gla__sequence_kernels {
    void (*conv)(const gla__conv_run *r);
    void (*selective)(const gla__selective_run *r);
    void (*scan)(const gla__scan_run *r);
} gla__sequence_kernels;

const gla__sequence_kernels *gla__sequence_kernels_for(gla__isa isa);
extern const gla__sequence_kernels gla_k_sequence__c, gla_k_sequence__avx2, gla_k_sequence__avx512;

#endif
