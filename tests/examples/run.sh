#!/usr/bin/env bash
# run.sh SPEAK SERVE DENSITY VOCODE MODEL: what the examples write is, bit for bit, what the program makes of the same mel;
# the listener who hung up got the beginning of it; the density comes close to the truth, and the program reads it.
set -euo pipefail
speak=$1 serve=$2 density=$3 vocode=$4 model=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# The examples' mel: 80 bands, 200 frames, all -5 (as a little-endian float 00 00 a0 c0).
header="{'descr': '<f4', 'fortran_order': False, 'shape': (80, 200), }"
printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header" >mel.npy
for _ in {1..200}; do printf '\x00\x00\xa0\xc0%.0s' {1..80}; done >>mel.npy
one_shot() { "$vocode" -q mel.npy - --raw f32le --model "$model" --seed "$1" 2>>log || { cat log; exit 1; }; }

"$speak" "$model" >speak.f32
one_shot 0 >0.f32
test "$(wc -c <speak.f32)" -eq $((200 * 256 * 4))
cmp speak.f32 0.f32
if "$speak" missing.safetensors >out 2>err; then exit 1; fi
grep -q 'missing.safetensors' err
test ! -s out

mkdir served
"$serve" "$model" served 2>err
for seed in 0 1 2 3; do
    one_shot "$seed" >whole.f32
    size=$(wc -c <"served/$seed.f32")
    cmp -n "$size" whole.f32 "served/$seed.f32"
    if [ "$seed" -lt 3 ]; then
        test "$size" -eq $((200 * 256 * 4))
    else
        test "$size" -ge $((4096 * 4))
        test "$size" -lt $((200 * 256 * 4))
    fi
done
grep -q '^listener 3: .*cancelled' err
test "$(wc -l <err)" -eq 1
if cmp -s served/0.f32 served/1.f32; then exit 1; fi

"$density" banana >samples 2>err
test "$(wc -l <samples)" -eq 500
grep -q '^pass 10 of 40: ' err
awk '/in truth/ { found = 1; if ($3 < $8 - 0.1 || $3 > $8 + 0.1) exit 1 } END { exit !found }' err
"$vocode" flow sample banana 500 samples.npy --seed 7
test "$(wc -c <samples.npy)" -eq $((128 + 500 * 2 * 4))
first=$(od -An -t f4 -j 128 -N 8 samples.npy | awk '{ printf "%.5f %.5f", $1, $2 }')
awk -v first="$first" 'NR == 1 { split(first, a, " "); exit !((a[1] - $1) ^ 2 + (a[2] - $2) ^ 2 < 1e-8) }' samples
if "$density" missing/banana >out 2>err; then exit 1; fi
grep -q 'missing/banana' err
test ! -s out
