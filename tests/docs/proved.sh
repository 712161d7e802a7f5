#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# proved.sh SOURCE - the column "proved by" of README.md names every checkpoint of tests/reference,
# and none that is not there; where it says how many there are, there are so many.
set -euo pipefail
cd "$1"

there=$(ls -d tests/reference/*/ | xargs -n 1 basename | sort)
named=$(awk -F '|' '/^\| mixer / { inside = 1 } !NF { inside = 0 } inside && /^\| `/ { print $(NF - 1) }' README.md |
    grep -v 'by the laws' | tr ',' '\n' | tr -d ' ' | sort)
diff <(printf '%s\n' "$named" | uniq) <(printf '%s\n' "$there") ||
    { echo "README.md, proved by (<), and tests/reference (>) differ" >&2 && exit 1; }

count=$(printf '%s\n' "$there" | wc -l)
! grep -nE '[0-9]+ checkpoints of tests/reference' README.md | grep -v " $count checkpoints" ||
    { echo "README.md: tests/reference has $count checkpoints" >&2 && exit 1; }
