/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/explain.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/diag.h"

enum { EXPLAINED_BYTES = 256 };
static _Thread_local char explained[EXPLAINED_BYTES];

void gla__host_explain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(explained, sizeof(explained), format, args);
    va_end(args);
}

const char *gla__host_explained(void)
{
    return explained;
}

void gla__host_listen(void)
{
    explained[0] = '\0';
}

gla_status gla__host_failed(gla_status st, const char *function, gla_diag *diag)
{
    if (!gla__is_status(st)) {
        gla__fail(diag, GLA_E_PLUGIN, "%s() returned %d, which is no status", function, (int)st);
        return GLA_E_PLUGIN;
    }
    if (explained[0])
        return gla__fail(diag, st, "%s", explained);
    return gla__fail(diag, st, "%s() failed: %s", function, gla_status_text(st));
}
