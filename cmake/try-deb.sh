#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# try-deb.sh [FOLDER] - makes the Debian package and tries it on a clean Debian 12: a debootstrap
# minbase root in FOLDER (made if it is not there) that has nothing of ours, apt-get installs the
# package with what it depends on, programs run, and purging it leaves nothing.
# Needs root and the network; not part of ./check.
set -euo pipefail
cd "$(dirname "$0")/.."
root=${1:-/tmp/gla-clean-root}
build=build/deb

cmake/packages.sh build deb

[ -d "$root/etc" ] || debootstrap --variant=minbase bookworm "$root"
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX=/usr \
    -DGLA_TESTS=OFF >/dev/null
ninja -C $build >/dev/null
rm -f $build/*.deb
(cd $build && cpack >/dev/null)
deb=$(ls $build/*.deb)
dpkg-deb --field "$deb"
echo "$(stat -c %s "$deb") bytes, $(dpkg-deb --contents "$deb" | wc -l) entries"

inside() { chroot "$root" env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
cp "$deb" "$root/gla.deb"
inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends ./gla.deb >/dev/null
mount -t proc proc "$root/proc" && trap 'umount "$root/proc"' EXIT # plugins are opened through it
model=/usr/share/gla/models/tiny-hybrid
for program in bench compare convert eval inspect run; do
    inside gla-$program --version | head -n 1
done
inside gla-inspect $model
inside gla-run -m $model -p 'Once upon a time' --greedy -n 16
inside gla-convert $model -o /tmp/int8 --weights int8 --quiet --overwrite
inside gla-eval -m /tmp/int8 --ids '0 697 511 259'

# a plugin in the package's folder for them is found without an option, and is the user's to remove
plugins=$(find "$root/usr/lib" -path '*/gla/plugins')
cc -std=c11 -O2 -Icore/include -fPIC -fvisibility=hidden -shared plugins/template/ema.c -o "$plugins/ema.so" -lm
cat >"$root/tmp/ema.yaml" <<'YAML'
gla: 1
vocab_size: 32000
d_model: 1024
blocks:
  ema: {mixer: {type: org.example.ema}, ffn: {type: swiglu, d_ff: 2816}}
layers: 12*ema
YAML
inside gla-inspect /tmp/ema.yaml | head -n 4
rm "$plugins/ema.so" "$root/tmp/ema.yaml"

inside apt-get purge -y -qq gla >/dev/null
left=$(find "$root/usr" -name 'gla-*' -o -name 'libgla*' -o -path '*/gla/*')
[ -z "$left" ] || { echo "left: $left" && exit 1; }
rm -r "$root/gla.deb" "$root/tmp/int8"
echo "the package installs, runs and goes"
