#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# packages.sh NEED... - installs the Debian packages that are missing.  Needs: build, test,
# deb, coverage, analyse.
# Run as root or with sudo; says what it does, is silent and quick when nothing is missing.
set -euo pipefail

build="gcc libc6-dev cmake ninja-build pkg-config git ca-certificates libdnnl-dev libyaml-dev libzstd-dev
       libjansson-dev libpcre2-dev libutf8proc-dev libxxhash-dev"
test="g++ libcriterion-dev python3 zstd jq mandoc zsh fish"
deb="debootstrap dpkg-dev file"
coverage="gcovr"
analyse="clang-tidy cppcheck"

wanted=""
for need in "$@"; do
    case "$need" in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    deb) wanted="$wanted $deb" ;;
    coverage) wanted="$wanted $coverage" ;;
    analyse) wanted="$wanted $analyse" ;;
    *) echo "packages.sh: unknown need '$need'" >&2; exit 2 ;;
    esac
done

missing=""
for p in $wanted; do
    status=$(dpkg-query -W -f='${Status}' "$p" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "these packages are missing, and neither root nor sudo is here:$missing" >&2
        exit 1
    }
    as_root=sudo
fi
echo "installing from Debian:$missing" >&2
$as_root apt-get update -qq >&2
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >&2
