#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# heads.sh SOURCE_DIR - each layer tells its paper's formula in the comment that it begins with, in lines
# indented by three, which clang-format leaves as they are written.
set -eu
cd "$1"
grep -q '^ReflowComments: false' .clang-format || { echo ".clang-format: ReflowComments: false is missing" && exit 1; }
bad=0
for f in layers/*.c plugins/*/*.c; do
    awk '/\*\// { exit } /^ \*   +[^ ].*=/ { n++ } length > 100 { print FILENAME ":" FNR ": longer than 100 columns"; long = 1 }
         END { if (!n) print FILENAME ": no formula in its first comment"; exit !n || long }' "$f" || bad=1
done
exit $bad
