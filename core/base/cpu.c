/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static gla__cpu cpu;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void detect(void)
{
    const char *wanted = getenv("GLA_CPU");

#if defined(__x86_64__)
    unsigned a, b, c, d;

    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C) /* clang's builtin does not know this one */
        cpu.isa = GLA__ISA_AVX2;
    if (cpu.isa == GLA__ISA_AVX2 && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        cpu.isa = GLA__ISA_AVX512;
    if (cpu.isa == GLA__ISA_AVX512) {
        cpu.avx512_vnni = __builtin_cpu_supports("avx512vnni");
        cpu.avx512_bf16 = __builtin_cpu_supports("avx512bf16");
    }
    if (cpu.isa >= GLA__ISA_AVX2 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
        cpu.avx_vnni = (a >> 4) & 1;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        cpu.amx = (d >> 24) & 1;
#endif
    if (wanted && strcmp(wanted, "c") == 0) {
        memset(&cpu, 0, sizeof(cpu));
    } else if (wanted && strcmp(wanted, "avx2") == 0 && cpu.isa > GLA__ISA_AVX2) {
        cpu.isa = GLA__ISA_AVX2;
        cpu.avx512_vnni = cpu.avx512_bf16 = cpu.amx = false;
    } else if (wanted && strcmp(wanted, "avx2") != 0 && strcmp(wanted, "avx512") != 0) {
        gla__log(GLA_LOG_WARN, "GLA_CPU=%s is none of c, avx2, avx512", wanted);
    }
}

const gla__cpu *gla__cpu_get(void)
{
    pthread_once(&once, detect);
    return &cpu;
}

const char *gla__isa_name(gla__isa isa)
{
    return isa == GLA__ISA_AVX512 ? "avx512" : isa == GLA__ISA_AVX2 ? "avx2" : "c";
}
