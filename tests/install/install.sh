#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# install.sh SOURCE BUILD CC CXX - what a packager, a user of the library and an author of a plugin
# find after `cmake --install`: everything is there, moved elsewhere it still works, the library
# exports what its headers declare, strangers build against it in four ways, and it goes again.
set -euo pipefail
source=$1 build=$2 cc=$3 cxx=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
fail() { echo "FAILED: $*" >&2 && exit 1; }
# the same text, whatever library or build it comes from
told() { "$@" "$at/share/gla/models/tiny-hybrid" 'One day, Tom' >"$work/out" || fail "$*"; }

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
at=$work/moved
lib=$(dirname "$(find "$at" -name libgla.so)")

# ---- all is there ----
for f in share/man/man5/gla-arch.5 share/gla/configs/gla-1.3b.yaml share/gla/arch.schema.json \
    share/gla/plugins/template/ema.c share/gla/plugins/taylor/taylor.c share/doc/gla/README.md share/doc/gla/docs/arch-yaml.md \
    include/gla/gla.h; do
    [ -s "$at/$f" ] || fail "$f is not installed"
done
for program in "$build"/bin/gla-*; do
    p=$(basename "$program")
    for f in bin/$p share/man/man1/$p.1 share/bash-completion/completions/$p \
        share/zsh/site-functions/_$p share/fish/vendor_completions.d/$p.fish; do
        [ -s "$at/$f" ] || fail "$f is not installed"
    done
done
"$(dirname "$0")/../abi/header_alone.sh" "$at/include" "$cc" "$cxx" >/dev/null

# ---- the library: its name carries the version, and it exports the public functions, no others ----
readelf -d "$lib/libgla.so" >"$work/dynamic"
grep -q 'SONAME.*\[libgla\.so\.[0-9.]*\]' "$work/dynamic" || fail "no SONAME"
nm -D --defined-only "$lib/libgla.so" | awk '{ print $NF }' | sort >"$work/exported"
! grep -v '^gla_[a-z]' "$work/exported" || fail "exports names that are not ours"
! grep '^gla__\|^gla_k_\|^gla_plugin_entry' "$work/exported" || fail "exports names of the inside"
grep -hv '#define GLA_API' "$at"/include/gla/*.h | tr '\n' ' ' | grep -oE 'GLA_API [^;]*;' |
    sed -E 's/^[^(]*[ *](gla_[a-z0-9_]+)\(.*/\1/' | sort -u >"$work/declared"
diff "$work/declared" "$work/exported" || fail "declared (<) and exported (>) differ"

# ---- the programs ----
"$at/bin/gla-run" -m "$at/share/gla/models/tiny-hybrid" -p 'One day' --greedy -n 8 >/dev/null
ldd "$at/bin/gla-run" >"$work/libraries"
! grep 'not found' "$work/libraries" || fail "gla-run does not find its libraries"
grep -q "libgla.*$work/moved" "$work/libraries" || fail "gla-run uses another libgla"

# ---- with CMake ----
cp -r "$(dirname "$0")/consumer" "$work/consumer"
cmake -S "$work/consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$at" -DCMAKE_C_COMPILER="$cc" \
    -DFORKS="$source/docs/examples/forks.c" -DPLUGIN="$at/share/gla/plugins/template/ema.c" >"$work/log" ||
    fail "$(cat "$work/log")"
cmake --build "$work/cmake" >"$work/log" || fail "$(cat "$work/log")"
told "$work/cmake/forks"
cp "$work/out" "$work/story"
[ "$(wc -l <"$work/story")" -ge 4 ] && [ "$(sort -u "$work/story" | wc -l)" -ge 4 ] || fail "$(cat "$work/story")"
told "$work/cmake/forks_static"
cmp "$work/out" "$work/story"
! ldd "$work/cmake/forks_static" | grep libgla >&2 || fail "gla::static is not static"
[ "$(cat "$work/cmake/plugin_dir")" -ef "$lib/gla/plugins" ] || fail "gla_PLUGIN_DIR"

# ---- with pkg-config ----
export PKG_CONFIG_PATH=$lib/pkgconfig
"$cc" -std=c11 -O1 "$source/docs/examples/forks.c" $(pkg-config --cflags --libs gla) -o "$work/forks"
LD_LIBRARY_PATH=$lib told "$work/forks"
cmp "$work/out" "$work/story"
mkdir "$work/only_static"
cp "$lib/libgla.a" "$work/only_static"
"$cc" -std=c11 -O1 "$source/docs/examples/forks.c" -L"$work/only_static" $(pkg-config --cflags gla) \
    $(pkg-config --static --libs gla | sed 's/-L[^ ]*//') -o "$work/forks_a"
told "$work/forks_a"
cmp "$work/out" "$work/story"
[ "$(pkg-config --variable=plugindir gla)" -ef "$lib/gla/plugins" ] || fail "plugindir"
[ "$(pkg-config --variable=plugin_abi gla)" = "$(awk '/define GLA_ABI_M..OR/ { v = v s ($3 + 0); s = "." } END { print v }' \
    "$at/include/gla/plugin.h")" ] || fail "plugin_abi"

# ---- a plugin, out of the tree, in a model ----
cat >"$work/arch.yaml" <<'YAML'
gla: 1
vocab_size: 64
d_model: 32
blocks:
  ema: {mixer: {type: org.example.ema, expand: 2}}
layers: 2*ema
YAML
cp -r "$at/share/gla/plugins/template" "$work/mine"
make -s -C "$work/mine" CC="$cc" GLA_INCLUDE="$(pkg-config --variable=includedir gla)"
for plugin in "$work/mine/ema.so" "$work/cmake/ema.so"; do
    "$at/bin/gla-inspect" "$work/arch.yaml" --plugin "$plugin" >"$work/out"
    grep -q 'org.example.ema' "$work/out" || fail "$plugin"
done
! "$at/bin/gla-inspect" "$work/arch.yaml" 2>/dev/null || fail "the plugin is not needed?"
mkdir -p "$lib/gla/plugins" && cp "$work/mine/ema.so" "$lib/gla/plugins"
"$at/bin/gla-inspect" "$work/arch.yaml" >/dev/null || fail "a plugin in plugindir is not found"

# ---- and away ----
cmake --install "$build" --prefix "$work/second" >/dev/null
[ "$(find "$work/second" -type f | wc -l)" -gt 60 ]
cmake -D MANIFEST="$build/install_manifest.txt" -P "$source/cmake/uninstall.cmake" >/dev/null 2>&1
left=$(find "$work/second" ! -type d; find "$work/second" -path '*gla*' -type d)
[ -z "$left" ] || fail "left after uninstalling: $left"
echo "installed, used in four ways, removed"
