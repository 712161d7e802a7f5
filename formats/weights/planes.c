/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/weights/planes.h"

#include "base/cpu.h"

const gla__planes *gla__planes_get(void)
{
    return GLA__FOR_ISA(gla__cpu_get()->isa, &gla__planes_c, &gla__planes_avx2,
                        &gla__planes_avx512);
}
