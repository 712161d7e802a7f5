/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/weights/planes.h"

#include "base/cpu.h"

const gla__planes *gla__planes_get(void)
{
    switch (gla__cpu_get()->isa) {
    case GLA_ISA_AVX512:
        return &gla__planes_avx512;
    case GLA_ISA_AVX2:
        return &gla__planes_avx2;
    default:
        return &gla__planes_c;
    }
}
