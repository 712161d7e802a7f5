#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# linker.sh SOURCE_DIR BUILD_DIR - asks nm which symbols the objects of a build take from each other, and
# fails on what rooms.txt does not allow, on objects that need each other in a circle, and on a public
# header whose head does not name the rooms that implement it.
#
# Programs link the shared library, which exports what gla/*.h declare: of them only what they take from
# each other counts.
set -eu
cd "$1"
{
    cat tests/abi/rooms.txt
    echo "== sources"
    find core formats layers plugins tools -name '*.[ch]' ! -path 'core/include/*' | xargs wc -l
    for header in core/include/gla/*.h; do
        echo "== header $header"
        cat "$header"
    done
    echo "== symbols"
    cd "$2"
    find CMakeFiles tools/CMakeFiles -path '*CMakeFiles/gla*.dir/*.o' | xargs nm -A -g -P
} | awk "$(cat tests/abi/rooms.awk)"'
    # CMakeFiles/gla_base.dir/core/base/io.c.o: of the library; tools/CMakeFiles/gla-run.dir/...: of a
    # program; tools/CMakeFiles/gla_cli.dir/...: of all programs
    function source_of(object) {
        sub(/\.o(\[[^]]*\])?:$/, "", object)
        program = "libgla"
        if (object ~ /^tools\//) {
            program = object
            sub(/^tools\/CMakeFiles\//, "", program)
            sub(/\.dir\/.*/, "", program)
        }
        sub(/.*CMakeFiles\/[^\/]*\.dir\//, "", object)
        return program == "libgla" ? object : "tools/" object
    }
    # Each way: every room that has one of its functions is named, every room named has one.  A header
    # of tables only, as gla/plugin.h, may name whom it likes.
    function check_headers(   d, end, rest, h) {
        for (d in declared)
            if (("libgla", d) in has) {
                implemented[declared[d], room_of(has["libgla", d])] = d
                has_functions[declared[d]] = 1
                functions++
            } else
                problem(declared[d] ": " d "() is nowhere")
        for (d in implemented) {
            split(d, end, SUBSEP)
            if (index(head[end[1]], end[2]) == 0)
                problem(end[1] ": " implemented[d] "() is in " end[2] ", which its first comment does not say")
        }
        for (h in has_functions)
            for (rest = head[h]; match(rest, /(core|formats)\/[a-z]+/); rest = substr(rest, RSTART + RLENGTH))
                if (!((h, substr(rest, RSTART, RLENGTH)) in implemented))
                    problem(h ": " substr(rest, RSTART, RLENGTH) " has nothing of it")
        if (functions < 50) problem("only " functions + 0 " public functions found")
    }

    /^== / { part = $2; name = $3; text = ""; next }
    part == "" { read_room($0); next }
    part == "sources" && $2 != "total" {
        source[$2] = 1
        files[room_of($2)]++
        lines[room_of($2)] += $1
    }
    part == "header" && !(name in finished) {
        head[name] = head[name] $0 " "
        if (/\*\//) finished[name] = 1
        next
    }
    part == "header" {
        if (/^GLA_API/) text = ""
        text = text $0 " "
        if (text ~ /^GLA_API.*;/ && match(text, /gla_[a-z0-9_]+\(/)) {
            declared[substr(text, RSTART, RLENGTH - 1)] = name
            text = ""
        }
    }
    part == "symbols" {
        file_name = source_of($1)
        if (!(file_name in source)) next # left from before it was moved
        if (!(file_name in seen)) file(file_name)
        seen[file_name] = 1
        if ($3 ~ /^[Uw]$/) wanted[file_name, $2] = program
        else has[program, $2] = file_name
    }
    END {
        for (w in wanted) {
            split(w, end, SUBSEP)
            from = (wanted[w], end[2]) in has ? wanted[w] : wanted[w] == "libgla" ? "" : "gla_cli"
            if ((from, end[2]) in has)
                take(end[1], has[from, end[2]], "takes " end[2] " of " has[from, end[2]])
        }
        check_headers()
        finish(150)
    }'
