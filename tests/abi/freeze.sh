#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# freeze.sh SOURCE_DIR PYTHON CC - the layouts are those of the frozen headers, and today's header can be
# frozen: make_layout.py makes one file of it that needs nothing else, and its layout is today's.
set -eu
source=$1 python=$2 cc=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

for header in "$source"/tests/abi/plugin_v*.h; do
    version=${header##*/plugin_v}
    version=${version%.h}
    "$python" "$source/tests/abi/make_layout.py" "$version" "$cc" "$dir"
    diff -u "$source/tests/abi/layout_v$version.h" "$dir/layout_v$version.h"
done

"$python" "$source/tests/abi/make_layout.py" now "$cc" "$dir"
mkdir "$dir/alone"
mv "$dir/plugin_vnow.h" "$dir/alone"
"$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c "$dir/alone/plugin_vnow.h"
cat >"$dir/check.c" <<'END'
#include <gla/plugin.h>
#include "layout_vnow.h"
#define SAME(type, field, offset) _Static_assert(offsetof(type, field) == (offset), "")
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), "")
LAYOUT_Vnow(SAME)
SIZES_Vnow(SIZE)
END
"$cc" -std=c11 -I"$source/core/include" -I"$dir" -fsyntax-only "$dir/check.c"
