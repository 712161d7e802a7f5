#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# symbols.sh LIBGLA - the library prints nothing, never ends the process and takes memory in one
# place only; every global name is ours.
set -eu
status=0

# Each member's undefined symbols; __printf_chk and the like are the fortified forms.
nm -A -u "$1" | awk '
    { n = split($1, part, ":"); member = part[2]; name = $NF; sub(/@.*/, "", name) }
    name ~ /^_*(abort|exit|_exit|printf|fprintf|puts|putchar|fputs|vprintf|vfprintf|perror)(_chk)?$/ ||
    name ~ /^_*(malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup|strndup)$/ ||
    name ~ /^_*(strcpy|strcat|sprintf|vsprintf|stpcpy|gets|strtol|strtoul|atoi|atof)(_chk)?$/ ||
    name ~ /^(setenv|putenv|signal|system|popen)$/ {
        if (member == "alloc.c.o" && name ~ /alloc$/) next     # the one place
        if (member == "parallel.c.o" && name ~ /^(strtol|abort)$/) next # GLA_NUM_THREADS
        print member ": uses " name; bad = 1
    }
    END { exit bad }' || status=1

nm -A -g --defined-only "$1" | awk '
    { name = $NF; n = split($1, part, ":") }
    name !~ /^gla_/ { print part[2] ": defines " name; bad = 1 }
    END { exit bad }' || status=1

exit $status
