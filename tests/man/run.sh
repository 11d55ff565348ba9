#!/usr/bin/env bash
# run.sh TREE VOCODE: the man pages have no warnings; vocode.1 has a section for every subcommand of --help with exactly
# its options, and vocode.3 names every function, option and status code of the headers and no other function.
set -euo pipefail
tree=$1 vocode=$2
pages=$tree/docs/man
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
faults=0
fault() {
    echo "$1"
    faults=$((faults + 1))
}

# compare WHAT: two sorted lists, ./is (the pages') and ./should (the program's or the headers').
compare() {
    local missing extra
    missing=$(comm -13 "$work/is" "$work/should" | tr '\n' ' ')
    extra=$(comm -23 "$work/is" "$work/should" | tr '\n' ' ')
    [ -z "$missing" ] || fault "$1 lacks $missing"
    [ -z "$extra" ] || fault "$1 has $extra, which there is not"
}

if command -v groff >/dev/null; then
    for page in "$pages"/*.[13]; do
        groff -mdoc -ww -Tascii -rLL=100n -z "$page" 2>"$work/warnings" || true
        [ ! -s "$work/warnings" ] || fault "$(cat "$work/warnings")"
    done
fi

# The options of the section "NAME" of vocode.1.
options_of() {
    awk -v name="$1" '/^\.S[sh] / { on = $0 == ".Ss " name } on && /^\.It Fl / ' "$pages/vocode.1" |
        { grep -oE 'Fl -[a-z-]+' || true; } | cut -c 4- | sort # a subcommand may have none
}

"$vocode" --help | sed -n 's/^  \([a-z]\+\)  *[a-z].*/\1/p' | sort >"$work/should"
test -s "$work/should"
sed -n 's/^\.Ss vocode //p' "$pages/vocode.1" | sort >"$work/is"
compare "vocode.1"
options_of "Every subcommand" >"$work/common"
while read -r name; do
    "$vocode" "$name" --help | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '-[a-z][a-z-]+$' | sort >"$work/should"
    options_of "vocode $name" | sort - "$work/common" >"$work/is"
    compare "vocode.1's section of $name"
done < <(sed -n 's/^\.Ss vocode //p' "$pages/vocode.1")

grep -ohE 'VOCODE_API .*|^ *vocode_[a-z_]+\(' "$tree"/include/vocode/*.h | grep -oE 'vocode_[a-z_]+\(' | tr -d '(' |
    sort -u >"$work/should"
test -s "$work/should"
sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$pages/vocode.3" | sed -nE 's/^\.F[no] (vocode_[a-z_]+).*/\1/p' |
    sort -u >"$work/is"
compare "vocode.3's synopsis"
# fields STRUCTURE HEADER SECTION: the section of vocode.3 lists the structure's fields.
fields() {
    sed -n "/^typedef struct $1 {/,/^}/p" "$tree/include/vocode/$2" | sed -nE 's/^    [a-z_0-9]+ ( *[a-z_0-9]+ )?\*?([a-z_, ]+);.*/\2/p' |
        tr -d ',' | tr -s ' ' '\n' | sort >"$work/should"
    test -s "$work/should"
    sed -n "/^\.Sh $3/,/^\.Sh /{/^\.Sh $3/!p}" "$pages/vocode.3" | sed '/^\.Sh /,$d' | sed -n 's/^\.It Fa //p' |
        tr -d ',' | tr -s ' ' '\n' | sort -u >"$work/is"
    compare "vocode.3's section $3"
}
fields vocode_synthesis model.h OPTIONS
fields vocode_flow_options flow.h FITS
fields vocode_inference_options flow.h INFERENCE
sed -nE 's/^    X\(([A-Z]+), [1-9].*/VOCODE_\1/p' "$tree/include/vocode/status.h" | sort >"$work/should"
sed -n 's/^\.It Dv //p' "$pages/vocode.3" | sort >"$work/is"
compare "vocode.3's status codes"

[ $faults -eq 0 ]
