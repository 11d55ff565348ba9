#!/usr/bin/env bash
# Training: what a run leaves, that it goes on after being killed, and what is said of bad configurations.
source "$(dirname "$0")/lib.sh"

cat >tiny.json <<'CONFIG'
{"kind": "frameflow", "sample_rate": 22050, "sigma": 0.8, "mel": {"preset": "tacotron2"},
 "frameflow": {"n_mels": 80, "hop": 256, "n_flows": 2, "dim": 8, "n_blocks": 1, "white_dim": 8, "white_blocks": 1,
               "expansion": 2, "kernel": 3},
 "train": {
  "steps": 40, "batch": 2, "segment": 4096, "warmup": 5, "log_every": 1,
  "checkpoint_every": 5,
  "validate_every": 0, "spectral_weight": 0.5, "spectral_every": 3
 }}
CONFIG
mkdir data
cp "$MODELS"/../audio/*.flac data/
train=("$VOCODE" train tiny.json --data data --threads 1 -q)

# A whole run, and what it leaves.
run 0 "${train[@]}" --out whole --set validate_every=20 --set valid_share=0.5
for file in config.json last.safetensors best.safetensors checkpoint-40.safetensors log.jsonl; do
    [ -s whole/$file ] || wrong "no $file"
done
[ "$(ls whole/checkpoint-* | wc -l)" -eq 3 ] || wrong "not 3 checkpoints are kept"
grep -q '"about":.*negative' whole/log.jsonl || wrong "the log does not explain itself"
[ "$(grep -c '"nll"' whole/log.jsonl)" -eq 40 ] || wrong "not a line a step"
[ "$(grep -c '"validation_nll"' whole/log.jsonl)" -eq 2 ] || wrong "not two validations"
[ "$(grep -c '"spectral"' whole/log.jsonl)" -eq 14 ] || wrong "the loss of samples is not logged every third step"
[ "$(grep -c '"validation_spectral"' whole/log.jsonl)" -eq 2 ] || wrong "validations do not say the loss of samples"

# Samples to listen to, of the end alone here, and the same in TensorBoard's file.
for name in recording 40; do
    [ "$(ls whole/samples/$name)" = english.wav ] || [ "$(ls whole/samples/$name)" = german.wav ] ||
        wrong "no sample of the held-out recording in $name"
done
[ "$(ls whole/samples | wc -l)" -eq 2 ] || wrong "samples of other steps"
for tag in nll bits gradient_norm learning_rate audio_seconds_a_second validation_nll generated/ recording/; do
    grep -aq "$tag" whole/events.out.tfevents.* || wrong "TensorBoard is not told $tag"
done
run 0 "${train[@]}" --out silent --set validate_every=20 --set valid_share=0.5 --set sample_every=0
[ ! -e silent/samples ] || wrong "samples that were not asked for"
run 0 "${train[@]}" --out often --set validate_every=20 --set valid_share=0.5 --set sample_every=3 --set sample_seconds=0.3
[ "$(ls often/samples | wc -l)" -eq 15 ] || wrong "not a sample every 3 steps and one at the end"
samples=$(helper samples "$(ls often/samples/39/*.wav)")
[ "$samples" -eq 6656 ] || wrong "a sample of $samples, not of 26 frames"

run 0 vocode info whole/best.safetensors
prints 'frameflow'
helper mel mel.npy '<f4' C mels 80 6
run 0 vocode mel.npy a.wav --model whole/best.safetensors

# Without what going on would need it is the same model.
run 0 vocode convert whole/best.safetensors lean.safetensors -q --license 'CC0-1.0' --training 'for "fun"'
run 0 vocode mel.npy b.wav --model lean.safetensors
same a.wav b.wav
! grep -qa 'train\.\|"train"' lean.safetensors || wrong "the model file still has the training's state"
holds "4 * $(stat -c %s lean.safetensors) < 1.2 * $(stat -c %s whole/best.safetensors)"
run 0 vocode info lean.safetensors
prints '^training: +for "fun"$'
prints '^license: +CC0-1.0$'
prints '^sigma: +0.8 for'
run 0 vocode convert lean.safetensors again.safetensors -q --sigma 0.5
run 0 vocode info again.safetensors
prints '^sigma: +0.5 for'
prints '^training: +for "fun"$'
run 2 vocode convert lean.safetensors again.safetensors --mel-preset hifigan
says 'lean.safetensors says itself which mels it takes'
run 0 vocode init whole/config.json again.safetensors
refuses '^vocode: whole holds a run already: --resume' "${train[@]}" --out whole
run 0 "${train[@]}" --out whole --resume

# Weights do not depend on where a run was cut, nor on samples.
strip() { sed -E 's/"(seconds|audio_seconds_a_second)":[^,]*,//g' "$1/log.jsonl" | tail -n +2; }
for name in silent often whole; do strip $name >$name.log; done
same silent.log often.log
same silent.log whole.log
run 0 "${train[@]}" --out one
for steps in 7 12 40; do run 0 "${train[@]}" --out cut --resume --set steps=$steps; done
strip one >one.log
strip cut >cut.log
same one.log cut.log

# A signal saves and stops.
"${train[@]}" --out stopped --set steps=1000000 --set checkpoint_every=1000000 2>err &
pid=$!
for _ in $(seq 100); do
    [ "$(grep -c '"nll"' stopped/log.jsonl 2>/dev/null)" -gt 3 ] 2>/dev/null && break
    sleep 0.1
done
kill -TERM "$pid"
wait "$pid"
[ $? -eq 143 ] || wrong "a stopped run does not end by its signal"
[ -s stopped/last.safetensors ] || wrong "a stopped run did not save"

# A full disk costs no checkpoint: files may not grow beyond 16 kB.
cp -r cut full
before=$(cksum <full/last.safetensors)
(ulimit -f 16; trap '' XFSZ; "${train[@]}" --out full --resume --set steps=50 >/dev/null 2>err)
[ $? -eq 1 ] || wrong "a full disk is no failure at the end"
says 'cannot write full/last.safetensors'
[ "$(grep -c 'tfevents' err)" -le 1 ] || wrong "a full disk is said for each step"
[ "$(cksum <full/last.safetensors)" = "$before" ] || wrong "a full disk cost a checkpoint"
[ -z "$(find full -name '*.part')" ] || wrong "a temporary stayed"
run 0 "${train[@]}" --out full --resume --set steps=41

# Warm starts name what is missing.
run 0 vocode train tiny.json --data data --out warm --warm-start whole/best.safetensors --set steps=1 --set frameflow.n_flows=3
says 'tensor mix.2 is missing; it keeps its fresh values'
run 1 "${train[@]}" --out never --warm-start tiny.json
[ ! -e never ] || wrong "a run that could not start left a folder"

# Bad configurations: key and line, or the assignment.
bad() {
    sed "$2" tiny.json >bad.json
    refuses "$1" vocode train bad.json --data data --out never
}
bad 'bad.json: line 6: train: unknown key "checkpoint_ever"; the nearest known key is "checkpoint_every"' 's/checkpoint_every/checkpoint_ever/'
bad 'bad.json: line 5: train: key "batch" is 0, out of its range' 's/"batch": 2/"batch": 0/'
bad 'key "segment" must be a multiple of the hop, 256, found 1000 .line 5.' 's/4096/1000/'
bad 'expected segments of at least 2048 samples, found 1024' 's/4096/1024/'
bad 'key "spectral_every" is 0, out of its range' 's/"spectral_every": 3/"spectral_every": 0/'
bad 'key "spectral_weight" must be 0 for the kind frameflow-cnf, which has an objective of its own .line 7.' \
    's/"frameflow"/"frameflow-cnf"/g'
bad 'key "dim" is 0, out of its range 1 to 16384 .line 2.' 's/"dim": 8/"dim": 0/'
refuses '^vocode: --set lerning_rate=1: unknown key "lerning_rate"; the nearest known key is "learning_rate"' \
    "${train[@]}" --out never --set lerning_rate=1
refuses '^vocode: --set steps=abc: key "steps" must be a whole number' "${train[@]}" --out never --set steps=abc
refuses 'expected KEY=VALUE' "${train[@]}" --out never --set steps
misused 'expected recordings: --data' vocode train tiny.json --out never
misused 'expected a folder for the run: --out' vocode train tiny.json --data data
run 0 vocode train --help
prints 'learning_rate +of AdamW'
prints 'level_rms'
prints 'sample_every +steps between samples'
refuses 'key "samples" is 0, out of its range 1 to 64' "${train[@]}" --out never --set samples=0
finish
