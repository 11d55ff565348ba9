#!/usr/bin/env bash
# Models: which one is used, what info says, init and convert.
source "$(dirname "$0")/lib.sh"

tiny_model tiny
helper mel mel.npy '<f4' C mels 80 6

# The default: --model before VOCODE_MODEL before the data folder beside the program or the source tree's.
mkdir -p prefix/bin prefix/share/vocode/models tree/build/any/bin tree/models alone/a/b
for place in prefix/bin tree/build/any/bin alone/a/b; do cp "$VOCODE" $place/vocode; done
cp tiny prefix/share/vocode/models/default.safetensors
vocode init -q tiny.json tree/models/default.safetensors --seed 8 || wrong init
file_line() { sed -n 's/^file: *//p' out; }
run 0 prefix/bin/vocode info
[ "$(file_line)" -ef prefix/share/vocode/models/default.safetensors ] || wrong "installed: $(file_line)"
run 0 tree/build/any/bin/vocode info
[ "$(file_line)" -ef tree/models/default.safetensors ] || wrong "built: $(file_line)"
VOCODE_MODEL=$work/tiny run 0 tree/build/any/bin/vocode info
[ "$(file_line)" -ef tiny ] || wrong "VOCODE_MODEL: $(file_line)"
VOCODE_MODEL=none run 1 tree/build/any/bin/vocode info
says 'cannot open none'
VOCODE_MODEL=none run 0 vocode mel.npy a.wav --model tiny
if ! VOCODE_MODEL='' alone/a/b/vocode info >out 2>err; then
    says '^vocode: there is no model: expected --model FILE, the variable VOCODE_MODEL or models/default.safetensors'
    [ "$(wc -l <err)" -eq 1 ] || wrong "more than one line"
fi

# info.
run 0 vocode info tiny
silent
for line in 'file: +tiny' 'kind: +frameflow' 'parameters: +[0-9]+' 'sample rate: +22050 Hz' 'mel: +80 bands, 256 samples a frame' \
    'latent: +256 channels, 1 column a frame' 'sigma: +0.8 for synthesis, 1 in training' 'mel-match passes: +1' \
    'look-ahead: +[0-9]+ frames, [0-9.]+ ms' 'mel convention: +preset tacotron2, sr 22050, n_fft 1024, .*log ln, floor 1e-0?5' \
    'sizes: +n_mels 80, hop 256' 'training: +not stated' 'license: +not stated'; do prints "^$line"; done
run 0 vocode info tiny --json
silent
for line in '"kind": "frameflow"' '"parameters": [0-9]+' '"sample_rate": 22050' '"hop": 256' '"n_mels": 80' '"latent_channels": 256' \
    '"sigma": 0.8' '"mel_match": 1' '"look_ahead_frames": [0-9]+' '"look_ahead_ms": [0-9.]+' '"mel": \{' '"config": \{'; do
    prints "^  $line"
done
frames=$(sed -n 's/^  "look_ahead_frames": \(.*\),/\1/p' out) ms=$(sed -n 's/^  "look_ahead_ms": \(.*\),/\1/p' out)
holds "$ms - $frames * 256000 / 22050 < 0.01 && $ms > 0"
[ "$(tr -d '[:space:]' <out | head -c 1)" = '{' ] || wrong "no object"

# init: the seed decides, bit for bit; the written file opens.
run 0 vocode init tiny.json again --seed 7
says '^vocode: again: frameflow, [0-9]+ parameters$'
same tiny again
run 0 vocode init tiny.json other --seed 8 -q
silent
differ tiny other
run 0 vocode init tiny.json zero
run 0 vocode init tiny.json zero2 --seed 0
same zero zero2
for config in "$MODELS"/configs/*small*.json; do
    [ -e "$config" ] || continue
    run 0 vocode init -q "$config" small.safetensors
    run 0 vocode info small.safetensors
done

# convert: the facts that the user gave are kept, and the result makes sound.
run 0 vocode convert "$TEST_DATA/golden/waveglow_group16/checkpoint_state_dict.pt" glow.safetensors --license 'BSD-3-Clause "x"'
says '^vocode: glow.safetensors: waveglow of [0-9]+ tensors'
[ ! -s out ] || wrong "convert prints to standard output"
run 0 vocode info glow.safetensors
prints '^kind: +waveglow'
prints '^license: +BSD-3-Clause "x"$'
run 0 vocode convert "$TEST_DATA/golden/waveglow_group16/checkpoint_state_dict.pt" quiet -q
silent
# Of a model file too, and how it is used by default.
run 0 vocode convert glow.safetensors tuned.safetensors --sigma 0.5 --mel-match 3 --refine 2 --mel-match-last 1
run 0 vocode info tuned.safetensors
prints '^sigma: +0.5 for synthesis'
prints '^mel-match passes: +3$'
prints '^refine iterations: +2$'
prints '^mel_match_last: +1$'
prints '^license: +BSD-3-Clause "x"$'
run 2 vocode convert glow.safetensors tuned.safetensors --mel-match-last 101
golden=$TEST_DATA/golden/waveglow_group16
for name in mel infer_z infer_audio; do helper pick "$golden/$name.npy" 0 $name.npy; done
run 0 vocode mel.npy a.f32 --raw f32le --noise infer_z.npy --model glow.safetensors
holds "$(helper error a.f32 infer_audio.npy) < 1e-4"
finish
