#!/usr/bin/env bash
# readme.sh README EXAMPLE.c: README shows that file, whole and as it is, as a block of C.
set -euo pipefail
shown=$(awk '/^```c$/ { on = 1; next } /^```$/ { if (on) print "\f"; on = 0 } on' "$1")
if [[ $shown != *"$(cat "$2")"* ]]; then
    echo "$1 does not show $2 as it is: paste it again" >&2
    exit 1
fi
