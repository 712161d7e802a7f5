#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One table of options makes the parser, --help, the man page and the completions: whatever one of
# them has, all of them have.  The man pages are clean, and the completions complete.
. "$(dirname "$0")/lib.sh"

same_options() { # NAME LIST: the list has the options of --help and no others
    diff <(printf '%s\n' "$in_help") <(printf '%s\n' "$2" | sort -u) >"$work/.diff" ||
        fail "$program: --help (<) and $1 (>): $(grep '^[<>]' "$work/.diff" | tr '\n' ' ')"
}

mkdir "$work/man"
for path in "$bin"/gla-*; do
    program=$(basename "$path")
    for kind in man bash zsh fish; do
        expect 0 "$program" --generate $kind
        empty "$err"
        cp "$work/.out" "$work/$program.$kind"
    done
    cp "$work/$program.man" "$work/man/$program.1"

    # every option that --help shows, with both forms of --[no-]x
    expect 0 "$program" --help
    in_help=$(printf '%s\n' "$out" | sed -n 's/^  \(-\(.\), \|    \)--\([^ ]*\).*/\2 \3/p' |
        while read -r first second; do
            [ -z "$second" ] && second=$first || printf -- '-%s\n' "$first"
            case $second in
            '[no-]'*) printf -- '--%s\n--no-%s\n' "${second#\[no-\]}" "${second#\[no-\]}" ;;
            *) echo "--$second" ;;
            esac
        done | sort -u)
    [ "$(printf '%s\n' "$in_help" | wc -l)" -ge 11 ] || fail "$program --help: only $in_help"

    # the man page, as it reads and not as it is written
    expect 0 mandoc -T ascii "$work/$program.man"
    same_options "the man page" "$(sed 's/.\x08//g' "$work/.out" |
        grep -oE '^     -.*' | sed 's/^ *//' | tr ',' '\n' | sed 's/^ *//; s/ .*//' | grep '^-')"
    same_options "completion for bash" \
        "$(sed -n "s/.*compgen -W '\(-.*\)' .*/\1/p" "$work/$program.bash" | tr ' ' '\n' | grep .)"
    same_options "completion for zsh" \
        "$(sed -n "s/^ *'\*\{0,1\}\(-[-a-zA-Z]*\).*/\1/p" "$work/$program.zsh")"
    same_options "completion for fish" \
        "$(sed -n 's/^complete -c [^ ]* \(-s \(.\) \)\{0,1\}-l \([^ ]*\) .*/-\2 --\3/p' \
            "$work/$program.fish" | tr ' ' '\n' | grep -v '^-$')"

    # the parser knows each (--help ends before anything is done), and words are in the help's text
    for option in $in_help; do
        "$program" "$option" --help >"$work/.out" 2>"$work/.err" </dev/null
        ! grep -q 'unknown option' "$work/.err" || fail "$program does not know $option"
    done
    sed -n "s/^ *\(-. | \)\{0,1\}\(--[^)]*\)) .*compgen -W '\([^']*\)'.*/\2 \3/p" "$work/$program.bash" |
        while read -r option words; do
            text=$("$program" --help | awk -v o="$option" '
                / --/ || /^$/ { on = 0 }
                $1 == o || $2 == o { on = 1 }
                on')
            for word in $words; do
                [[ $text == *"$word"* ]] || echo "$program --help: $option does not name $word"
            done
        done >"$work/.words"
    [ ! -s "$work/.words" ] || fail "$(cat "$work/.words")"

    expect 0 bash -n "$work/$program.bash"
    expect 0 zsh -n "$work/$program.zsh"
    expect 0 fish -n "$work/$program.fish"
    for other in "$bin"/gla-*; do
        [ "$other" = "$path" ] || grep -q "^.Xr $(basename "$other") 1" "$work/$program.man" ||
            fail "$program(1) does not refer to $(basename "$other")"
    done
done

# clean, and every page that a page refers to is there
cp "$source"/docs/*.5 "$work/man/"
cd "$work/man" && expect 0 mandoc -T lint -W style ./*.1 ./*.5
empty "$out"

# the page of the architecture file has every key of the schema, except what gla-inspect --layer has
for key in $(jq -r 'del(."$defs".types) | [.. | .properties? // empty | keys[]] | unique[]' "$source/docs/arch.schema.json"); do
    grep -q "Cm $key\b" "$work/man/gla-arch.5" || fail "gla-arch(5): no $key"
done

# as a user would: TAB after "gla-run --k", "gla-run --kv ", and where a folder is wanted
tab() { # WORD...: what bash offers for the last one
    bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gla_run; echo "${COMPREPLY[*]}"' \
        "$work/gla-run.bash" "$@"
}
cd "$work" && mkdir folder && touch file
[ "$(tab gla-run --k)" = --kv ] || fail "bash, gla-run --k: $(tab gla-run --k)"
[ "$(tab gla-run --kv '')" = 'f32 bf16 int8' ] || fail "bash, gla-run --kv: $(tab gla-run --kv '')"
[ "$(tab gla-run --kv = b)" = bf16 ] || fail "bash, gla-run --kv=b: $(tab gla-run --kv = b)"
[ "$(tab gla-run -m fo)" = folder ] || fail "bash, gla-run -m fo: $(tab gla-run -m fo)"
[ "$(tab gla-run -m fi)" = '' ] || fail "bash, gla-run -m fi: $(tab gla-run -m fi)"
[ "$(tab gla-run --save fi)" = file ] || fail "bash, gla-run --save fi: $(tab gla-run --save fi)"
offered=$(fish -c "source gla-run.fish; complete -C 'gla-run --k'" | cut -f 1)
[ "$offered" = --kv ] || fail "fish, gla-run --k: $offered"
offered=$(fish -c "source gla-run.fish; complete -C 'gla-run --kv '" | cut -f 1 | tr '\n' ' ')
[ "$offered" = 'bf16 f32 int8 ' ] || fail "fish, gla-run --kv: $offered"

expect 2 gla-run --generate pdf
has "--generate: 'pdf' is not one of man, bash, zsh, fish" "$err"

finish
