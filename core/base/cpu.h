/* SPDX-License-Identifier: Apache-2.0
 *
 * cpu.h - what this processor can do
 *
 * Asked once.  GLA_CPU=c|avx2|avx512 in the environment lowers it, to test the other kernels.
 */
#ifndef GLA_BASE_CPU_H
#define GLA_BASE_CPU_H

#include <stdbool.h>

typedef enum gla__isa { GLA__ISA_C = 0, GLA__ISA_AVX2 = 1, GLA__ISA_AVX512 = 2 } gla__isa;

typedef struct gla__cpu {
    gla__isa isa; /* AVX2 means AVX2 + FMA + F16C; AVX512 means F, BW, DQ, VL besides */
    bool avx512_vnni, avx512_bf16, avx_vnni, amx;
} gla__cpu;

const gla__cpu *gla__cpu_get(void);
const char *gla__isa_name(gla__isa isa);

/* The one of a kernel's three forms that is for this instruction set. */
#if defined(__x86_64__)
#define GLA__FOR_ISA(isa, c, avx2, avx512)                                                         \
    ((isa) == GLA__ISA_AVX512 ? (avx512) : (isa) == GLA__ISA_AVX2 ? (avx2) : (c))
#else
#define GLA__FOR_ISA(isa, c, avx2, avx512) ((void)(isa), (c))
#endif

#endif
