#!/usr/bin/env bash
# Makes the samples of audio/: two sentences spoken by espeak-ng, as FLAC and as the mel spectrograms of them.
# The outputs are checked in, so this is needed only to change them.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/setup.sh --samples
tools/build.sh
vocode=build/release/bin/vocode
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# speak NAME VOICE TEXT: espeak-ng's formant voices run at 22050 Hz, mono. The level is that of ordinary recordings,
# RMS -24 dBFS.
speak() {
    local name=$1 voice=$2 text=$3 gain
    espeak-ng -v "$voice" -s 165 -w "$work/$name.wav" "$text"
    gain=$(sox "$work/$name.wav" -n stat 2>&1 |
        awk '/RMS.*amplitude/ { printf "%.2f", 20 * log(0.063 / $3) / log(10) }')
    sox -R "$work/$name.wav" -b 16 "audio/$name.flac" rate 22050 channels 1 gain "$gain"
    "$vocode" mel -q "audio/$name.flac" "audio/$name.npy"
}

speak english en-us+f2 "A normalizing flow turns noise into speech, and speech back into noise."
speak german de+f2 "Guten Tag! Diese Stimme entsteht aus Rauschen und einem Spektrogramm."
