#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# includes.sh SOURCE_DIR - reads the #include lines of the tree and fails on anything that does not go
# downwards through the rooms of docs/DESIGN.md.
set -eu
cd "$1"

find core formats layers plugins tools -name '*.[ch]' ! -path 'core/include/*' | sort | xargs awk '
    # tests/abi/rooms.txt first: each room and those below it that its files may include
    FILENAME == "tests/abi/rooms.txt" {
        if (/^#/ || NF == 0) next
        known[$1] = 1
        may[$1] = $1
        for (i = 2; i <= NF; i++) {
            if ($i != "-" && !($i in known)) { print FILENAME ":" FNR ": " $i " is not a room above this line"; bad = 1 }
            if ($i != "-") may[$1] = may[$1] " " $i
        }
        next
    }
    FNR == 1 {
        split(FILENAME, part, "/")
        room = part[1] ~ /^(core|formats)$/ ? part[1] "/" part[2] : part[1]
        dir = FILENAME
        sub(/[^\/]*$/, "", dir)
        files++
        if (!(room in known)) { print FILENAME ": tests/abi/rooms.txt has no room " room; bad = 1 }
    }
    function problem(why) { print FILENAME ":" FNR ": " $0 ": " why; bad = 1 }
    function exists(path,   line, got) { got = (getline line < path) >= 0; close(path); return got }
    /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
        header = $0
        sub(/^[ \t]*#[ \t]*include[ \t]*/, "", header)
        angle = substr(header, 1, 1) == "<"
        header = substr(header, 2)
        sub(/[>"].*/, "", header)

        if (header ~ /^(oneapi\/|dnnl)/ && room != "core/math") problem("only core/math may include it")
        if (header == "omp.h" && FILENAME != "core/base/parallel.c") problem("only parallel.c may")
        if (header == "dlfcn.h" && FILENAME != "core/runtime/plugin.c") problem("only plugin.c may")
        if (header ~ /^gla\//) {
            if (!angle) problem("public headers are included with <>")
            if ((room == "layers" || room == "plugins") && header !~ /^gla\/(plugin|blocks|types)\.h$/)
                problem(room " may include <gla/plugin.h> and <gla/blocks.h> only")
        } else if (!angle && header !~ /^(builtin_layers|importers)\.inc$/) {
            path = exists(dir header) ? dir header : exists("core/" header) ? "core/" header : exists(header) ? header : "tools/" header
            n = split(may[room], below, " ")
            ok = 0
            for (i = 1; i <= n; i++)
                if (index(path, below[i] "/") == 1) ok = 1
            if (!ok) problem(room " may include " may[room])
        }
    }
    END {
        if (files < 50) { print "only " files " files found"; bad = 1 }
        exit bad
    }' tests/abi/rooms.txt
echo "includes go downwards only"
