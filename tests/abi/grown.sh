#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# grown.sh SOURCE_DIR CC CMAKE GENERATOR SANITIZE PLUGIN_DIR RUNNER - a host of a minor to come: every
# struct of gla/plugin.h gets two more numbers at its end, the library is built with that, and the plugins
# of PLUGIN_DIR, built with the frozen 1.0 header and with today's, give the numbers they gave before.
# RUNNER is today's run_plugin.
set -eu
source=$1 cc=$2 cmake=$3 generator=$4 sanitize=$5 plugins=$6 runner=$7
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
flags="-O0 -g0 -w"
test -z "$sanitize" || flags="$flags -fsanitize=$sanitize -fno-sanitize-recover=all"

cp -r "$source/core/include" "$dir/include"
awk '
    /^(typedef )?struct gla_[a-z_]+ \{/ { inside = 1 }
    inside && /^\}/ { print "    uint64_t grown[2];"; inside = 0; structs++ }
    /^#define GLA_ABI_MINOR/ { sub(/[0-9]+u/, ($3 + 1) "u"); minor = 1 }
    { print }
    END { if (structs < 33 || !minor) exit 1 }' "$source/core/include/gla/plugin.h" >"$dir/include/gla/plugin.h"

"$cmake" -S "$source" -B "$dir/build" -G "$generator" -DCMAKE_C_COMPILER="$cc" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_FLAGS_DEBUG="$flags" -DGLA_TESTS=OFF -DGLA_INCLUDE_DIR="$dir/include" >/dev/null
"$cmake" --build "$dir/build" --target gla_shared --parallel 2 >"$dir/log" || { cat "$dir/log"; exit 1; }
"$cc" -std=c11 -D_POSIX_C_SOURCE=200809L $flags -I"$dir/include" "$source/tests/abi/run_plugin.c" -o "$dir/run" \
    -L"$dir/build/lib" -Wl,-rpath,"$dir/build/lib" -lgla -lm

# today's plugins: the template, and one of each that can be declared
mkdir "$dir/now"
"$cc" -std=c11 -O1 -w -I"$source/core/include" -fPIC -fvisibility=hidden -shared "$source/plugins/template/ema.c" \
    -o "$dir/now/ema.so" -lm
chmod go-w "$dir/now/ema.so"
ema='{type: org.example.ema, expand: 2}'
tiny='{type: org.example.tiny, conv: 4, offset: 0.25}'
"$runner" "$dir/now/ema.so" "$ema" - >"$dir/ema.logits"
"$runner" "$plugins/tiny_v1_1.so" "$tiny" - >"$dir/tiny.logits"

abi=$source/tests/abi
all='{type: org.example.all, heads: 4, normaliser: max, factors: [0.5, 2]}'
for validate in 0 1; do
    export GLA_VALIDATE=$validate
    "$dir/run" "$plugins/ema_v1_0.so" "$ema" "$abi/ema_v1_0.logits"
    "$dir/run" "$plugins/all_v1_0.so" "$all" "$abi/all_v1_0.logits"
    "$dir/run" "$dir/now/ema.so" "$ema" "$dir/ema.logits"
    "$dir/run" "$plugins/tiny_v1_1.so" "$tiny" "$dir/tiny.logits"
done
