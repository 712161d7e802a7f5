/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/parallel.h"

static void count(void *arg, uint32_t i)
{
    ((uint32_t *)arg)[i]++;
}

static int all_counted(void)
{
    uint32_t parts[64] = {0};

    gla__parallel_for(64, count, parts);
    for (int i = 0; i < 64; i++)
        if (parts[i] != 1)
            return 0;
    return 1;
}

/* A program may fork after it has computed; its child has none of the workers. */
Test(parallel, works_in_a_child_process)
{
    int status = -1;
    pid_t child;

    gla_set_threads(4);
    cr_assert(all_counted());
    child = fork();
    if (!child)
        _exit(all_counted() && all_counted() ? 0 : 1);
    cr_assert_gt(child, 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_assert(all_counted());
}
