#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# includes.sh SOURCE_DIR - reads the #include lines of the tree and fails on anything that does not go
# downwards through the rooms of rooms.txt, on public headers a room has no business with, on files that
# include each other in a circle, and on macros of ours that look public.
set -eu
cd "$1"

find core formats layers plugins tools -name '*.[ch]' | sort | xargs awk "$(cat tests/abi/rooms.awk)"'
    function wrong(why) { problem(FILENAME ":" FNR ": " $0 ": " why) }
    function exists(path,   line, got) {
        if (!(path in there)) {
            there[path] = (getline line < path) >= 0
            close(path)
        }
        return there[path]
    }
    FILENAME == "tests/abi/rooms.txt" { read_room($0); next }
    FNR == 1 {
        public = FILENAME ~ /^core\/include\//
        room = room_of(FILENAME)
        dir = FILENAME
        sub(/[^\/]*$/, "", dir)
        if (!public) {
            file(FILENAME)
            files[room]++
        }
    }
    !public { lines[room]++ }
    !public && FILENAME ~ /\.h$/ && /^#[ \t]*define[ \t]+GLA_[A-Z]/ && !/_H$/ {
        wrong("names between files begin with GLA__")
    }
    /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
        header = $0
        sub(/^[ \t]*#[ \t]*include[ \t]*/, "", header)
        angle = substr(header, 1, 1) == "<"
        header = substr(header, 2)
        sub(/[>"].*/, "", header)

        if (header ~ /^(oneapi\/|dnnl)/ && room != "core/math") wrong("only core/math may")
        if (header == "omp.h" && FILENAME != "core/base/parallel.c") wrong("only parallel.c may")
        if (header == "dlfcn.h" && FILENAME != "core/runtime/plugin.c") wrong("only plugin.c may")
        if (header ~ /^gla\//) {
            name = substr(header, 5)
            sub(/\.h$/, "", name)
            if (!angle) wrong("public headers are included with <>")
            if (public) take(FILENAME, "core/include/" header, "includes <" header ">")
            else if (!((room, name) in sees) && !((room, "*") in sees) && !((FILENAME, name) in sees))
                wrong("rooms.txt does not let " room " see it")
        } else if (!angle && header !~ /^(builtin_layers|importers)\.inc$/) {
            path = exists(dir header) ? dir header : exists("core/" header) ? "core/" header : header
            if (room == "tools" && exists("tools/" header)) path = "tools/" header
            take(FILENAME, path, "includes " path)
        }
    }
    END { finish(200) }' tests/abi/rooms.txt
