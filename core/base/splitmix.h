/* SPDX-License-Identifier: Apache-2.0
 *
 * splitmix.h - numbers that look random and follow from a seed, the same on every machine
 *
 * splitmix64 (Steele, Lea, Flood 2014): the state goes on by the same step whatever is drawn, so
 * that the number of any place can be had at once.
 */
#ifndef GLA_BASE_SPLITMIX_H
#define GLA_BASE_SPLITMIX_H

#include <stdint.h>

#define GLA__SPLITMIX_STEP UINT64_C(0x9e3779b97f4a7c15)

/* The number that belongs to this state. */
static inline uint64_t gla__splitmix(uint64_t state)
{
    state = (state ^ state >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    state = (state ^ state >> 27) * UINT64_C(0x94d049bb133111eb);
    return state ^ state >> 31;
}

static inline uint64_t gla__splitmix_next(uint64_t *state)
{
    return gla__splitmix(*state += GLA__SPLITMIX_STEP);
}

#endif
