#!/usr/bin/env bash
# vocode bench: a table, or JSON whose numbers agree with each other and with what the model is.
source "$(dirname "$0")/lib.sh"

tiny_model model
export VOCODE_MODEL=$work/model

run 0 vocode bench --seconds 0.5 --threads 2
silent
for row in 'model: +.*/model: frameflow, [0-9]+ parameters' 'arithmetic: +[0-9.]+ giga' 'look-ahead: +[0-9]+ frames, [0-9.]+ ms' \
    ' +1 +[0-9.]+ ' ' +2 +[0-9.]+ ' 'peak memory: +[0-9.]+ MB'; do prints "^$row"; done

number() { sed -n "s/^ *\"$1\": \([-0-9.e+]*\),\{0,1\}\$/\1/p" out | head -1; }
run 0 vocode bench model --json --seconds 1 --threads 1
silent
prints '^\{$'
prints '^\}$'
for key in seconds mel_match look_ahead_frames look_ahead_ms multiply_adds_per_second threads real_time_factor \
    model_real_time_factor gflops first_audio_frames first_audio_ms first_audio_at_once_ms peak_memory_bytes; do
    checks=$((checks + 1))
    [ -n "$(number $key)" ] || wrong "no number $key: $(cat out)"
done
holds "$(number seconds) >= 1 && $(number seconds) < 1.02"
holds "$(number real_time_factor) > 0 && $(number model_real_time_factor) > 0 && $(number peak_memory_bytes) > 1e6"
holds "$(number first_audio_ms) > 0 && $(number first_audio_at_once_ms) > 0"
# The first samples come with the look-ahead's last frame or one more; the passes count in it.
holds "$(number first_audio_frames) <= $(number look_ahead_frames) + 1 && $(number first_audio_frames) > 0"
holds "$(number mel_match) == 1"
ms=$(number look_ahead_ms) frames=$(number look_ahead_frames)
holds "$ms - $frames * 256 / 22.05 < 1e-6 && $ms - $frames * 256 / 22.05 > -1e-6"
# gflops is two operations a multiply-add at the model's own speed.
holds "$(number gflops) / (2e-9 * $(number multiply_adds_per_second) * $(number model_real_time_factor)) - 1 < 1e-6"
# A column of this kind meets every weight once; biases, norms and gains are few.
count=$(number multiply_adds_per_second)
run 0 vocode info --json
parameters=$(number parameters)
holds "$count < $parameters * 22050 / 256 && $count > 0.97 * $parameters * 22050 / 256"
run 0 vocode bench --json --seconds 0.2 --threads 1 --mel-match 0
holds "$(number mel_match) == 0 && $(number look_ahead_frames) == $frames - 4"
holds "$(number multiply_adds_per_second) == $count"
# A refinement of three iterations: four passes and a hop.
run 0 vocode bench --json --seconds 0.2 --threads 1 --mel-match 0 --refine 3
holds "$(number refine) == 3 && $(number look_ahead_frames) == $frames - 4 + 4 * 4 + 1"

# The other kinds: what their configurations say of a second of audio.
cat >glow.json <<'CONFIG'
{"kind": "waveglow", "sample_rate": 22050, "waveglow": {"n_mel_channels": 5, "n_flows": 2, "n_group": 4, "n_early_every": 4,
 "n_early_size": 2, "upsample_kernel": 64, "upsample_stride": 32, "WN_config": {"n_layers": 2, "n_channels": 6, "kernel_size": 3}}}
CONFIG
vocode init -q glow.json glow || exit 1
run 0 vocode bench glow --json --seconds 0.1 --threads 1
# a column: 1x1 4*4; start 2*6; conditioning 20*24; two layers 6*12*3; res_skip 6*12 and 6*6; end 6*4. A frame: 5*5*64.
holds "$(number multiply_adds_per_second) / (22050 / 4 * 2 * (16 + 12 + 480 + 432 + 108 + 24) + 22050 / 32 * 1600) - 1 < 1e-9"
holds "$(number multiply_adds_per_second) / (22050 / 4 * 2 * (16 + 12 + 480 + 432 + 108 + 24) + 22050 / 32 * 1600) - 1 > -1e-9"
vocode convert -q "$TEST_DATA/golden/squeezewave_128/checkpoint_module_legacy.pt" squeeze.safetensors || exit 1
run 0 vocode bench squeeze.safetensors --json --seconds 0.1 --threads 1
holds "$(number multiply_adds_per_second) > 0"

misused 'seconds: expected a number' vocode bench --seconds 0
misused 'threads: expected a whole number' vocode bench --threads 0
misused 'at most 1 argument' vocode bench a b
refuses 'cannot open none: No such file' vocode bench none
finish
