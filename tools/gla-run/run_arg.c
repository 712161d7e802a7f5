/* SPDX-License-Identifier: Apache-2.0
 *
 * run_arg.c - what the command line says, and what it is when it does not
 */
#include "gla-run/run.h"

run_args run_arg = {.n = UINT32_MAX,
                    .stride = UINT32_MAX,
                    .seed = UINT64_MAX,
                    .temp = 0.8,
                    .top_p = 0.95,
                    .bos = true,
                    .echo = true};
