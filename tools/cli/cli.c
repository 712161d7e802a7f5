/* SPDX-License-Identifier: Apache-2.0
 *
 * cli.c - which program this is, and the options that all have
 */
#include "cli/cli.h"

cli_common cli;
const cli_program *cli__program;
