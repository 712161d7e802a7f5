/* SPDX-License-Identifier: Apache-2.0 */
#include <gla/gla.h>

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

const char *gla_version(void)
{
    return TEXT(GLA_VERSION_MAJOR) "." TEXT(GLA_VERSION_MINOR) "." TEXT(GLA_VERSION_PATCH);
}

uint32_t gla_version_number(void)
{
    return GLA_VERSION_NUMBER;
}
