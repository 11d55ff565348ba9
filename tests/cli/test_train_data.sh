#!/usr/bin/env bash
# Files in a corpus that are no recordings, or odd ones: the run trains on the others, and each is named once.
source "$(dirname "$0")/lib.sh"

cat >tiny.json <<'CONFIG'
{"kind": "frameflow", "sample_rate": 22050, "mel": {"preset": "tacotron2"},
 "frameflow": {"n_mels": 80, "hop": 256, "n_flows": 2, "dim": 8, "n_blocks": 1, "white_dim": 8, "white_blocks": 1,
               "expansion": 2, "kernel": 3},
 "train": {"steps": 3, "batch": 2, "segment": 4096, "valid_share": 0, "log_every": 1}}
CONFIG
train=("$VOCODE" train tiny.json --threads 1)

# float_wav FILE BYTES: the header of a WAV file of 32-bit floats at 22050 Hz; its samples come from standard input.
float_wav() {
    local size=$2
    word() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16)))\\x00"; }
    {
        printf 'RIFF' && word $((36 + size)) && printf 'WAVEfmt \x10\0\0\0\x03\0\x01\0'
        word 22050 && word 88200 && printf '\x04\0\x20\0data' && word "$size" && cat
    } >"$1"
}

mkdir -p corpus/more bad
helper wav corpus/a.wav 22050 1 1.5 0.5
helper wav corpus/8k.wav 8000 1 1.4 0.4
helper wav corpus/more/stereo.wav 44100 2 1.3 0.3
: >bad/empty.wav
helper wav bad/truncated.wav 22050 1 1.2 0.5
truncate -s 20000 bad/truncated.wav
helper wav bad/silent.wav 22050 1 1 0
echo 'This is not audio.' >bad/text.wav
helper wav bad/short.wav 22050 1 0.1 0.5
{ head -c 40000 /dev/zero && printf '\0\0\xc0\x7f' && head -c 40000 /dev/zero; } | float_wav bad/nan.wav 80004

cp bad/* corpus/
cp corpus/a.wav corpus/more/copy.wav
run 0 "${train[@]}" --data corpus --out run
[ -s run/last.safetensors ] || wrong "no checkpoint"
[ "$(grep -c '"nll"' run/log.jsonl)" -eq 3 ] || wrong "not three steps"
grep -q '"nll":null' run/log.jsonl && wrong "a loss is not finite"
named() {
    checks=$((checks + 1))
    [ "$(grep -c "$1" err)" -eq 1 ] || wrong "$1 is not named once"
    says "^vocode: warning: .*corpus/.*$1: .*$2"
}
named empty.wav 'empty'
named truncated.wav 'truncated'
named silent.wav 'silent'
named text.wav 'text'
named short.wav 'short'
named nan.wav 'NaN'
named copy.wav 'same audio'
says '2 of 3 recordings are resampled to 22050 Hz'
says '1 of 3 recordings have several channels'
says '3 recordings, .* to train on; .*; skipped: 6 unusable, 1 duplicates'

# Nothing else is there: that is an error.
run 1 "${train[@]}" --data bad --out never
[ ! -e never ] || wrong "a run without data left a folder"
[ "$(grep -vc warning err)" -eq 1 ] || wrong "not one sentence besides the warnings"
finish
