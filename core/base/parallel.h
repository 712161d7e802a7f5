/* SPDX-License-Identifier: Apache-2.0
 *
 * parallel.h - the one way to use several cores
 *
 * One pool of threads for the whole process.  oneDNN's products run inside its parts, one thread
 * each: OpenMP, which oneDNN would use, is told so.
 */
#ifndef GLA_BASE_PARALLEL_H
#define GLA_BASE_PARALLEL_H

#include <stdint.h>

/* Runs fn(arg, i) for every i in [0, n) and waits.  Inside another parallel run: a plain loop.
 * Different threads of the application may call at the same time: one has the pool, the others
 * compute alone meanwhile. */
void gla__parallel_for(uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg);
/* The runs that this thread begins from now on use n threads at most; 0: gla_threads().  Returns
 * what it was before. */
uint32_t gla__parallel_use(uint32_t n);
/* Threads that gla__parallel_for uses at most. */
uint32_t gla__parallel_width(void);
/* The number of the calling worker inside a run, 0 outside: below gla__parallel_width(). */
uint32_t gla__parallel_index(void);

#endif
