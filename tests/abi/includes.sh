#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# includes.sh SOURCE_DIR - reads the #include lines of the tree and fails on anything that does not go
# downwards through the rooms of docs/DESIGN.md.
set -eu
cd "$1"

find core formats layers plugins tools -name '*.[ch]' ! -path 'core/include/*' | sort | xargs awk '
    BEGIN {
        # room: prefixes of our own headers that its files may include
        may["core/base"] = "base/"
        may["core/math"] = "math/ base/"
        may["core/graph"] = "graph/ math/ base/"
        may["core/state"] = "state/ math/ base/"
        may["formats"] = "formats/ base/"
        may["core/runtime"] = "runtime/ formats/ graph/ state/ math/ base/"
        may["layers"] = may["plugins"] = ""
        may["tools"] = "cli/ gla-"
    }
    FNR == 1 {
        split(FILENAME, part, "/")
        room = part[1] == "core" ? "core/" part[2] : part[1]
        dir = FILENAME
        sub(/[^\/]*$/, "", dir)
        files++
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
            if ((room == "layers" || room == "plugins") && header != "gla/plugin.h")
                problem(room " may include <gla/plugin.h> only")
        } else if (!angle && header !~ /^(builtin_layers|importers)\.inc$/) {
            n = split(may[room], prefix, " ")
            ok = index(header, "/") == 0 && exists(dir header)
            for (i = 1; i <= n; i++)
                if (index(header, prefix[i]) == 1) ok = 1
            if (!ok) problem(room " may include " (may[room] ? may[room] : "nothing of ours"))
        }
    }
    END {
        if (files < 50) { print "only " files " files found"; bad = 1 }
        exit bad
    }'
echo "includes go downwards only"
