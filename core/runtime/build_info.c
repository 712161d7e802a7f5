/* SPDX-License-Identifier: Apache-2.0
 *
 * build_info.c - what this library was built from and runs on, in one line
 */
#include <gla/gla.h>
#include <gla/plugin.h>
#include <pthread.h>
#include <stdio.h>
#include <zstd.h>

#include "base/cpu.h"
#include "math/dnnl_compat.h"

static char text[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void describe(void)
{
    const gla__cpu *cpu = gla__cpu_get();
    int major, minor, patch;

    gla__dnnl_version(&major, &minor, &patch);
    snprintf(text, sizeof(text),
             "gla %s, plugin ABI %u.%u, %s, oneDNN %d.%d.%d, zstd %s, cpu %s%s%s%s%s",
             gla_version(), GLA_ABI_MAJOR, GLA_ABI_MINOR,
#if defined(__clang__)
             "clang " __clang_version__,
#else
             "gcc " __VERSION__,
#endif
             major, minor, patch, ZSTD_versionString(), gla__isa_name(cpu->isa),
             cpu->avx512_vnni ? " vnni" : "", cpu->avx512_bf16 ? " bf16" : "",
             cpu->avx_vnni ? " avx_vnni" : "", cpu->amx ? " amx" : "");
}

const char *gla_build_info(void)
{
    pthread_once(&once, describe);
    return text;
}

uint32_t gla_abi_version(void)
{
    return GLA_ABI_MAJOR * 10000 + GLA_ABI_MINOR * 100;
}
