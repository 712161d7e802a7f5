/* SPDX-License-Identifier: Apache-2.0
 *
 * failing_memory.h - memory that runs out when a test says so
 *
 *     memory_take_over();             the library's allocations come from here now
 *     memory_arm(n, from_there_on);   the n-th from now fails: that one alone, or all from there on
 *     st = act();
 *     memory_disarm();
 *     ... memory_failed(): was there an n-th?   memory_live(): blocks that nobody has freed
 *     memory_give_back();
 *
 * memory_every() does that for n = 1, 2, ...
 *
 * memory_take_over_jansson() adds JSON's: jansson has a hook of its own, one for the whole process.
 * For building and printing values only: its parser does not stand it (formats/json.h).
 * Every Criterion test is a process, so nothing of the one before is left.
 */
#ifndef GLA_TESTS_FAILING_MEMORY_H
#define GLA_TESTS_FAILING_MEMORY_H

#include <criterion/criterion.h>
#include <gla/gla.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static atomic_long memory_blocks, memory_countdown;
static atomic_bool memory_persistent, memory_injected;

/* True when the current allocation is to fail. */
static inline bool memory_runs_out(void)
{
    const long left = atomic_fetch_sub(&memory_countdown, 1);
    const bool out = left == 1 || (left <= 0 && atomic_load(&memory_persistent));

    if (out)
        atomic_store(&memory_injected, true);
    return out;
}

static inline void *memory_counted(void *p)
{
    if (p)
        atomic_fetch_add(&memory_blocks, 1);
    return p;
}

static inline void *memory_alloc(void *ctx, size_t bytes, size_t alignment)
{
    (void)ctx;
    return memory_runs_out() ? NULL : memory_counted(aligned_alloc(alignment, bytes));
}

static inline void memory_free(void *ctx, void *p)
{
    (void)ctx;
    if (p)
        atomic_fetch_sub(&memory_blocks, 1);
    free(p);
}

static inline void *memory_json_alloc(size_t bytes)
{
    return memory_runs_out() ? NULL : memory_counted(malloc(bytes));
}

static inline void memory_json_free(void *p)
{
    memory_free(NULL, p);
}

static inline void memory_arm(long n, bool from_there_on)
{
    atomic_store(&memory_injected, false);
    atomic_store(&memory_persistent, from_there_on);
    atomic_store(&memory_countdown, n);
}

static inline void memory_disarm(void)
{
    atomic_store(&memory_persistent, false);
    atomic_store(&memory_countdown, 0);
}

static inline bool memory_failed(void)
{
    return atomic_load(&memory_injected);
}

static inline long memory_live(void)
{
    return atomic_load(&memory_blocks);
}

static inline void memory_take_over(void)
{
    memory_disarm();
    gla_set_allocator(memory_alloc, memory_free, NULL);
}

static inline void memory_take_over_jansson(void)
{
    json_set_alloc_funcs(memory_json_alloc, memory_json_free);
}

/* Does it again and again: the n-th allocation fails, for n = 1, 2, ... until none does; once that
 * one alone, once all from there on.  Each time it says that memory ran out or has done all it
 * should, which act() itself checks (memory_disarm() comes first), and leaves no block behind.
 * Returns how many failures there were. */
static inline long memory_every(const char *name, gla_status (*act)(void *ctx, gla_diag *diag),
                                void *ctx)
{
    long points = 0;

    for (int way = 0; way < 2; way++)
        for (long n = 1;; n++, points++) {
            const long before = memory_live();
            gla_diag diag = {0};
            gla_status st;

            memory_arm(n, way);
            st = act(ctx, &diag);
            memory_disarm();
            cr_assert_eq(memory_live(), before, "%s: %ld blocks left after failure %ld", name,
                         memory_live() - before, n);
            cr_assert(!st || st == GLA_E_NOMEM, "%s: failure %ld: %s: %s: %s", name, n,
                      gla_status_name(st), diag.where, diag.message);
            if (memory_failed())
                continue;
            cr_assert_eq(st, GLA_OK, "%s: %s", name, diag.message);
            break;
        }
    return points;
}

static inline void memory_give_back_jansson(void)
{
    json_set_alloc_funcs(malloc, free);
}

static inline void memory_give_back(void)
{
    gla_set_allocator(NULL, NULL, NULL);
}

#endif
