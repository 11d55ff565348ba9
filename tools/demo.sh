#!/usr/bin/env bash
# Sets up, builds, and turns a sample mel spectrogram of audio/ into speech with the shipped model:
# tools/demo.sh [OUT.wav]
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-build/demo.wav}
mel=audio/english.npy

tools/build.sh
vocode=build/release/bin/vocode
begin=$(date +%s.%N)
"$vocode" "$mel" "$out"
end=$(date +%s.%N)

# 16-bit mono: two bytes a sample after the header of 44.
rate=$(od -An -tu4 -j24 -N4 "$out" | tr -d ' ')
samples=$((($(stat -c %s "$out") - 44) / 2))
awk -v out="$out" -v mel="$mel" -v n="$samples" -v rate="$rate" -v begin="$begin" -v end="$end" 'BEGIN {
    seconds = n / rate; took = end - begin
    printf "Wrote %s: %.2f s of speech from %s in %.2f s (%.0f times real time, start-up included).\n",
        out, seconds, mel, took, seconds / took
}'
