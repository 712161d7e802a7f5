/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diag.h"
#include "formats/weights_file.h"
gla_status gla__gguf_open(const char *path, const gla_limits *limits, gla_weights **out,
                          gla_diag *diag)
{
    (void)limits;
    *out = NULL;
    gla__fail(diag, GLA_E_UNSUPPORTED, "gguf is not read yet");
    gla__at(diag, path);
    return GLA_E_UNSUPPORTED;
}
