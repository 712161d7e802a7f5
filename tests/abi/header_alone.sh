#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# header_alone.sh INCLUDE_DIR CC CXX - every public header compiles by itself, as C and as C++,
# without warnings; those of a plugin need nothing beside them, and who uses a model sees none of them.
set -eu
include=$1 cc=$2 cxx=$3
warn="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"

for h in "$include"/gla/*.h; do
    name=gla/$(basename "$h")
    for std in c11 c17; do
        echo "#include <$name>" | "$cc" -std=$std $warn -Wstrict-prototypes -I"$include" -x c -fsyntax-only -
    done
    [ "$name" != gla/blocks.h ] || continue # for C
    for std in c++11 c++17; do
        echo "#include <$name>" | "$cxx" -std=$std $warn -I"$include" -x c++ -fsyntax-only -
    done
    echo "$name: C11, C17, C++11, C++17"
done

alone=$(mktemp -d)
trap 'rm -rf "$alone"' EXIT
mkdir "$alone/gla"
cp "$include/gla/plugin.h" "$include/gla/blocks.h" "$include/gla/types.h" "$alone/gla/"
echo '#include <gla/blocks.h>' | "$cc" -std=c11 $warn -I"$alone" -x c -fsyntax-only -
if echo '#include <gla/gla.h>' | "$cc" -std=c11 -I"$include" -x c -M - | grep plugin.h; then
    echo "gla/gla.h includes the plugins' header"
    exit 1
fi
