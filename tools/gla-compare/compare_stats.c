/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_stats.c - bootstrap intervals, and the random numbers of everything that draws
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>

enum { RESAMPLES = 2000 };

uint64_t compare_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int compare_by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void compare_interval(const double *a, const double *b, const double *weight, uint32_t n,
                      double *low, double *high)
{
    static double means[RESAMPLES];
    uint64_t random = 1;

    *low = *high = NAN;
    if (n < 2)
        return;
    for (uint32_t r = 0; r < RESAMPLES; r++) {
        double sum = 0, weights = 0;

        for (uint32_t k = 0; k < n; k++) {
            const uint32_t i = (uint32_t)(compare_random(&random) % n);

            sum += a[i] - (b ? b[i] : 0);
            weights += weight ? weight[i] : 1;
        }
        means[r] = sum / weights;
    }
    qsort(means, RESAMPLES, sizeof(*means), compare_by_value);
    *low = means[RESAMPLES / 40];
    *high = means[RESAMPLES - 1 - RESAMPLES / 40];
}
