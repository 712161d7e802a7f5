/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_machine.c - what the machine says about itself: its processor, the joules it uses
 *
 * Linux shows the energy counters of processor packages (RAPL, Intel and AMD alike) as folders
 * intel-rapl:N under /sys/class/powercap.  Since 2020 they are readable by root only, and virtual
 * machines have none.  GLA_POWERCAP names another folder: for containers that see the counters
 * elsewhere, and for tests.
 */
#include "compare.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PACKAGES = 16 };

void compare_processor(char *buf, size_t size)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];

    buf[0] = '\0';
    while (f && fgets(line, sizeof(line), f)) {
        const char *colon = strchr(line, ':');

        if (strncmp(line, "model name", 10) || !colon)
            continue;
        snprintf(buf, size, "%s", colon + 2);
        buf[strcspn(buf, "\n")] = '\0';
        break;
    }
    if (f)
        fclose(f);
}

static const char *root(void)
{
    const char *folder = getenv("GLA_POWERCAP");

    return folder && folder[0] ? folder : "/sys/class/powercap";
}

/* The first line of intel-rapl:N/name; false: errno says why. */
static bool read_line(uint32_t package, const char *name, char *buf, int size)
{
    char path[4096];
    FILE *f;
    bool got;

    snprintf(path, sizeof(path), "%s/intel-rapl:%u/%s", root(), package, name);
    f = fopen(path, "r");
    if (!f)
        return false;
    got = fgets(buf, size, f) != NULL;
    fclose(f);
    buf[got ? strcspn(buf, "\n") : 0] = '\0';
    return got;
}

static bool read_count(uint32_t package, const char *name, uint64_t *out)
{
    char text[64];

    return read_line(package, name, text, sizeof(text)) && cli_parse_u64(text, out);
}

double compare_joules(char *reason, size_t size)
{
    static uint64_t last[PACKAGES], total[PACKAGES]; /* microjoules; counters start over */
    static bool seen[PACKAGES];
    double sum = NAN;
    char name[64];

    snprintf(reason, size, "no intel-rapl under %s", root());
    for (uint32_t i = 0; i < PACKAGES; i++) {
        uint64_t now, range;

        if (!read_line(i, "name", name, sizeof(name)))
            break;
        if (strncmp(name, "package", 7))
            continue; /* psys has the packages in it already */
        if (!read_count(i, "energy_uj", &now)) {
            snprintf(reason, size, "%s/intel-rapl:%u/energy_uj cannot be read: %s", root(), i,
                     errno ? strerror(errno) : "no number");
            return NAN;
        }
        if (seen[i] && now < last[i] && read_count(i, "max_energy_range_uj", &range))
            total[i] += range; /* it went past its end: once, as it is read often enough */
        if (seen[i])
            total[i] += now - last[i]; /* modulo 2^64, as is the line above */
        seen[i] = true;
        last[i] = now;
        sum = (isnan(sum) ? 0 : sum) + 1e-6 * (double)total[i];
        reason[0] = '\0';
    }
    return sum;
}
