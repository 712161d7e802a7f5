#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# try-deb.sh [FOLDER] - makes the Debian package and tries it on a clean Debian 12: a debootstrap
# minbase root in FOLDER (made if it is not there) that has nothing of ours, apt-get installs the
# package with what it depends on, programs run, and purging it leaves nothing.
# Needs root, the network, debootstrap, dpkg-dev and file; not part of ./check.
set -euo pipefail
cd "$(dirname "$0")/.."
root=${1:-/tmp/gla-clean-root}
build=build/deb

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
model=/usr/share/gla/models/tiny-hybrid
for program in bench compare convert eval inspect run; do
    inside gla-$program --version | head -n 1
done
inside gla-inspect $model
inside gla-run -m $model -p 'Once upon a time' --greedy -n 16
inside gla-convert $model -o /tmp/int8 --weights int8 --quiet
inside gla-eval -m /tmp/int8 --ids '0 697 511 259'
inside apt-get purge -y -qq gla >/dev/null
[ -z "$(find "$root/usr" -name '*gla-*' -o -name 'libgla*')" ]
rm -r "$root/gla.deb" "$root/tmp/int8"
echo "the package installs, runs and goes"
