#!/usr/bin/env bash
# encode, decode and score: exact inverses, and the likelihood of the latent's own numbers.
source "$(dirname "$0")/lib.sh"

tiny_model tiny
vocode convert -q "$TEST_DATA/golden/waveglow_group16/checkpoint_state_dict.pt" glow || wrong convert
helper wav tone.wav 22050 1 1.2 0.5
used=$((26460 / 256 * 256))

# round_trip MODEL CHANNELS: at least 80 dB, the same length.
round_trip() {
    local model=$1 channels=$2
    run 0 vocode encode tone.wav z.npy --model "$model"
    silent
    head -c 128 z.npy | grep -aq "'descr': '<f4', 'fortran_order': False, 'shape': ($channels, " || wrong "shape of z"
    run 0 vocode mel tone.wav m.npy --model "$model"
    run 0 vocode encode tone.wav z2.npy --mel m.npy --model "$model"
    same z.npy z2.npy
    run 0 vocode decode z.npy m.npy d.wav --format float --model "$model"
    [ "$(helper samples d.wav)" -eq $used ] || wrong "$(helper samples d.wav) samples, expected $used"
    holds "$(helper snr tone.wav d.wav) >= 80"
    run 0 vocode decode z.npy m.npy d1.wav --format float --model "$model" --threads 1
    same d.wav d1.wav
    run 0 vocode encode tone.wav z1.npy --model "$model" --threads 1
    same z.npy z1.npy

    run 0 vocode score tone.wav --model "$model"
    silent
    prints '^tone.wav  nll -?[0-9.]+ nats \(-?[0-9.]+ bits\) a number  log_det -?[0-9.e+]+  sigma 1  [0-9]+ numbers$'
    for sigma in 1 0.7; do
        run 0 vocode score tone.wav --json --sigma $sigma --model "$model"
        field() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" out; }
        [ "$(field file)" = tone.wav ] || wrong "file"
        holds "($(field sigma) - $sigma) ^ 2 < 1e-24"
        nats=$(helper nll z.npy "$(field log_determinant)" $sigma)
        holds "($(field nll_nats)) - ($nats) < 1e-6 && ($(field nll_nats)) - ($nats) > -1e-6"
        holds "($(field nll_nats)) / log(2) - ($(field nll_bits)) < 1e-9"
        holds "$(field numbers) == $(($(wc -c <z.npy) / 4 - 32))"
    done
}
round_trip tiny 256
round_trip glow 16
if [ -e "$MODELS/default.safetensors" ]; then
    round_trip "$MODELS/default.safetensors" 256
    frames=$((used / 256 + 1))
    run 0 vocode "$work/m.npy" s.wav --model "$MODELS/default.safetensors" # the shipped model's own speed and length
    [ "$(helper samples s.wav)" -eq $((frames * 256)) ] || wrong "synthesis: $(helper samples s.wav) samples"
    for threads in 1 2; do
        run 0 vocode m.npy t$threads.wav --model "$MODELS/default.safetensors" --threads $threads
        same s.wav t$threads.wav
    done
fi

# Other rates and channels are converted with a note; -q leaves the note out.
export VOCODE_MODEL=$work/tiny
helper wav wide.wav 44100 2 1.2 0.5
run 0 vocode encode wide.wav z.npy
says '^vocode: wide.wav: .*(channels|averaged)'
says '^vocode: wide.wav: resampled from 44100 Hz to 22050 Hz'
run 0 vocode encode wide.wav z2.npy -q
silent
same z.npy z2.npy

# Many files: a line each, past the bad ones.
echo nothing >bad.wav
mkdir folder
cp tone.wav folder/a.wav
run 1 vocode score tone.wav bad.wav folder missing.wav
[ "$(wc -l <out)" -eq 2 ] || wrong "lines of score"
prints '^tone.wav  nll '
prints '^folder/a.wav  nll '
says '^vocode: bad.wav: '
says '^vocode: cannot open missing.wav'
run 1 vocode score tone.wav bad.wav --json
[ "$(grep -c '"nll_bits"' out)" -eq 1 ] && [ "$(head -c 1 out)" = '[' ] || wrong "score --json"

# denoise: the same length and the model's rate; strength 0 keeps the audio.
run 0 vocode denoise tone.wav n.wav --strength 0 --format float
holds "$(helper snr tone.wav n.wav) > 100"
[ "$(helper samples n.wav)" -eq 26460 ] || wrong "denoise: length"
run 0 vocode denoise tone.wav n0.wav --model glow
run 0 vocode denoise tone.wav n1.wav --model glow --strength 0.1
same n0.wav n1.wav
run 0 vocode denoise tone.wav n1.wav --model glow --strength 1
differ n0.wav n1.wav
run 0 vocode denoise wide.wav n.flac
says 'resampled'
finish
