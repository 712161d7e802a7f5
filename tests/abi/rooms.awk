# SPDX-License-Identifier: Apache-2.0
#
# rooms.awk - what includes.sh and linker.sh share: the table of rooms.txt, what files take from
# each other, circles, the report.  The program that follows calls file(), take() and finish().

function problem(text) { print text; bad = 1 }

function room_of(path,   part) {
    split(path, part, "/")
    return part[1] ~ /^(core|formats)$/ ? part[1] "/" part[2] : part[1]
}

# A line of rooms.txt: may[room, below], sees[room or file, header].
function read_room(line,   field, list, n, i) {
    if (line ~ /^#/ || line == "") return
    split(line, field, ":")
    n = split(field[2], list, " ")
    for (i = 1; i <= n; i++) {
        if (!(list[i] in known)) problem("rooms.txt: " field[1] " stands on " list[i] ", which comes later or never")
        may[field[1], list[i]] = 1
    }
    n = split(field[3], list, " ")
    for (i = 1; i <= n; i++) sees[field[1], list[i]] = 1
    if (field[1] ~ /\.[ch]$/) return
    known[field[1]] = 1
    order[++rooms] = field[1]
}

function file(path,   room) {
    room = room_of(path)
    seen_files++
    if (!(room in known)) problem(path ": rooms.txt has no room " room)
}

# One file takes something of another; how: "includes it".
function take(from, to, how,   a, b) {
    if (from == to) return
    a = room_of(from)
    b = room_of(to)
    edge[from, to] = how
    if (a == b) return
    takes[a, b] = 1
    if (!((a, b) in may)) problem(from " " how ": rooms.txt does not let " a " take from " b)
}

# Files that nothing is taken from, and those that take nothing, are in no circle; nor is what is
# left when they are gone.
function circles(   e, end, out, into, gone) {
    do {
        for (e in out) delete out[e]
        for (e in into) delete into[e]
        for (e in edge) {
            split(e, end, SUBSEP)
            out[end[1]] = into[end[2]] = 1
        }
        gone = 0
        for (e in edge) {
            split(e, end, SUBSEP)
            if (!(end[1] in into) || !(end[2] in out)) {
                delete edge[e]
                gone++
            }
        }
    } while (gone)
    for (e in edge) {
        split(e, end, SUBSEP)
        problem("in a circle: " end[1] " " edge[e])
    }
}

# files[room] and lines[room] are the caller's.
function finish(least,   i, j, took) {
    circles()
    if (seen_files < least) problem("only " seen_files " files were seen")
    printf "%-18s %5s %6s  %s\n", "room", "files", "lines", "takes from"
    for (i = 1; i <= rooms; i++) {
        took = ""
        for (j = 1; j <= rooms; j++)
            if ((order[i], order[j]) in takes) took = took " " order[j]
        printf "%-18s %5d %6d %s\n", order[i], files[order[i]], lines[order[i]], took
    }
    exit bad
}
