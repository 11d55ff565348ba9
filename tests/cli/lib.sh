# Sourced by the tests of the program. Every check counts; "finish" ends with their outcome.
# shellcheck shell=bash disable=SC2015 # A && B || wrong: "wrong" is right after either
set -u
unset VOCODE_MODEL
export LC_ALL=C.UTF-8
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 1
checks=0
failures=0

vocode() { "$VOCODE" "$@"; }
helper() { "$HELPER" "$@"; }

wrong() {
    failures=$((failures + 1))
    echo "FAILED: $*"
    echo "  stderr: $(head -c 2000 err 2>/dev/null)"
}

# run STATUS COMMAND...: runs it with standard output in ./out and standard error in ./err.
run() {
    local expected=$1
    shift
    checks=$((checks + 1))
    "$@" >out 2>err </dev/null
    local status=$?
    [ "$status" -eq "$expected" ] || wrong "status $status, expected $expected: $*"
}

# says PATTERN: the last run's standard error has a line that matches.
says() {
    checks=$((checks + 1))
    grep -Eq -- "$1" err || wrong "standard error does not say /$1/"
}

silent() {
    checks=$((checks + 1))
    [ ! -s err ] || wrong "standard error is not empty"
}

# one_sentence: the last run failed with exactly one line, beginning with the program's name, and printed nothing.
one_sentence() {
    checks=$((checks + 1))
    [ "$(wc -l <err)" -eq 1 ] && grep -q '^vocode: ' err && [ ! -s out ] || wrong "expected one sentence and no output"
}

# prints PATTERN: the same of standard output.
prints() {
    checks=$((checks + 1))
    grep -Eq -- "$1" out || wrong "standard output does not have /$1/: $(head -c 1000 out)"
}

# refuses PATTERN COMMAND...: exit 1, one sentence that matches, and no file but those that were there.
refuses() {
    local pattern=$1 before after
    shift
    before=$(find . -type f ! -name out ! -name err | sort)
    run 1 "$@"
    one_sentence
    says "$pattern"
    after=$(find . -type f ! -name out ! -name err | sort)
    [ "$before" = "$after" ] || wrong "files appeared or went: $(diff <(echo "$before") <(echo "$after"))"
}

# misused PATTERN COMMAND...: the same with exit 2.
misused() {
    local pattern=$1
    shift
    run 2 "$@"
    one_sentence
    says "$pattern"
}

same() {
    checks=$((checks + 1))
    cmp -s "$1" "$2" || wrong "$1 and $2 differ"
}

differ() {
    checks=$((checks + 1))
    [ -s "$1" ] && [ -s "$2" ] && ! cmp -s "$1" "$2" || wrong "$1 and $2 are the same, or empty"
}

# holds EXPRESSION: of awk, such as "3.2 > 1".
holds() {
    checks=$((checks + 1))
    awk "BEGIN { exit !($1) }" || wrong "not true: $1"
}

# tiny_model FILE: a fresh frame-rate model with the real mel convention, small enough to be instant.
# Its fresh couplings do not look at the mel; its one mel-consistency pass does.
tiny_model() {
    cat >"$1.json" <<'CONFIG'
{"kind": "frameflow", "sample_rate": 22050, "sigma": 0.8, "mel_match": 1, "mel": {"preset": "tacotron2"},
 "frameflow": {"n_mels": 80, "hop": 256, "n_flows": 2, "dim": 8, "n_blocks": 1, "white_dim": 8, "white_blocks": 1,
               "expansion": 2, "kernel": 3}}
CONFIG
    vocode init -q "$1.json" "$1" --seed 7 || exit 1
}

finish() {
    echo "$checks checks, $failures failed"
    [ "$failures" -eq 0 ]
    exit
}
