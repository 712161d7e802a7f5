#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# template.sh SOURCE_DIR CC CMAKE RUNNER - a stranger copies plugins/template, has nothing of ours but
# gla/plugin.h and gla/types.h, builds it both ways; RUNNER loads the result and runs it in a model.
set -eu
source=$1 cc=$2 cmake=$3 runner=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
umask 022

mkdir -p "$dir/include/gla"
for h in plugin.h blocks.h types.h; do cp "$source/core/include/gla/$h" "$dir/include/gla/"; done
cp -r "$source/plugins/template" "$dir/mine"

make -s -C "$dir/mine" CC="$cc" GLA_INCLUDE="$dir/include"
"$cmake" -S "$dir/mine" -B "$dir/build" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$dir" >/dev/null
"$cmake" --build "$dir/build" >/dev/null

"$runner" "$dir/mine/ema.so" '{type: org.example.ema, expand: 2}'
"$runner" "$dir/build/ema.so" '{type: org.example.ema, expand: 2}'
# The mixer of docs/plugin-guide.md.
"$cc" -std=c11 -O2 -Wall -Wextra -Wconversion -Werror -I"$dir/include" -fPIC -fvisibility=hidden -shared \
    "$source/plugins/taylor/taylor.c" -o "$dir/taylor.so" -lm
"$runner" "$dir/taylor.so" '{type: org.example.taylor, heads: 4}'
# It needs nothing of ours to load: every undefined symbol is the C library's.
if nm -D -u "$dir/mine/ema.so" | grep -i gla; then
    echo "the plugin links against the library"
    exit 1
fi
