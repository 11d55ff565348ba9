#!/usr/bin/env bash
# A run that is killed at random moments and resumed each time ends with the weights of an unbroken one, bit for bit.
# VOCODE_KILLS: how often each of the four runs is killed.
source "$(dirname "$0")/lib.sh"
kills=${VOCODE_KILLS:-2}
RANDOM=4 # the draws are the same in every test; what a moment hits is not

frameflow='"frameflow": {"n_mels": 16, "hop": 64, "n_flows": 2, "dim": 8, "n_blocks": 1, "white_dim": 8,
 "white_blocks": 1, "expansion": 2, "kernel": 3}'
waveglow='"waveglow": {"n_mel_channels": 16, "n_flows": 2, "n_group": 8, "n_early_every": 2, "n_early_size": 2,
 "upsample_kernel": 256, "upsample_stride": 64, "WN_config": {"n_layers": 1, "n_channels": 8, "kernel_size": 3}}'
for kind in frameflow waveglow; do
    cat >$kind.json <<CONFIG
{"kind": "$kind", ${!kind},
 "sample_rate": 22050, "mel": {"preset": "tacotron2", "n_fft": 256, "hop": 64, "n_mels": 16},
 "train": {"steps": 60, "batch": 2, "segment": 4096, "warmup": 5, "log_every": 1, "checkpoint_every": 7,
  "valid_share": 0.5, "validate_every": 20, "validate_batches": 1, "sample_every": 15, "samples": 1, "sample_seconds": 0.2}}
CONFIG
done
mkdir data
cp "$MODELS"/../audio/*.flac data/

# What stands behind the header: weights, their averages and moments.
weights() {
    tail -c +$((9 + $(od -An -tu8 -N8 "$1"))) "$1"
}

lines() {
    sed -E 's/"(seconds|audio_seconds_a_second)":[^,]*,//g' "$1/log.jsonl"
}

# same_run: what the broken run left is what the unbroken one left.
same_run() {
    for name in last best; do
        weights whole/$name.safetensors >whole.weights
        weights broken/$name.safetensors >broken.weights
        same whole.weights broken.weights
    done
    lines whole >whole.log
    lines broken >broken.log
    same whole.log broken.log
    for sound in broken/samples/*/*.wav; do same "$sound" "whole/${sound#broken/}"; done # some may have been missed
    [ -z "$(find broken -name '*.part' -o -name '*.part.*')" ] || wrong "a temporary stayed"
    rm -r broken
}

hit=0
for kind in frameflow waveglow; do
    for threads in 1 2; do
        train=("$VOCODE" train $kind.json --data data --threads $threads -q)
        begun=$(date +%s%N)
        run 0 "${train[@]}" --out whole
        took=$((($(date +%s%N) - begun) / 1000)) # microseconds
        killed=0
        while [ $killed -lt "$kills" ]; do
            "${train[@]}" --out broken --resume 2>err &
            pid=$!
            sleep "$(awk "BEGIN { print $took * $RANDOM / 32768 / 1e6 }")"
            kill -KILL $pid 2>/dev/null
            { wait $pid; } 2>/dev/null
            case $? in
            137)
                killed=$((killed + 1))
                [ -s broken/last.safetensors ] && hit=$((hit + 1))
                ;;
            0) same_run ;; # it was over before: another one
            *) wrong "a resumed run failed" && break ;;
            esac
        done
        run 0 "${train[@]}" --out broken --resume
        same_run
        rm -r whole
    done
done
echo "$((4 * kills)) kills, $hit of them after a checkpoint"
finish
