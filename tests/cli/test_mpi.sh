#!/usr/bin/env bash
# Training with several processes: the numbers of one with the larger batch, and that all end when one does.
source "$(dirname "$0")/lib.sh"

if ! command -v mpirun >/dev/null; then
    echo "skipped: there is no mpirun"
    exit 77
fi
if [ ! -e "$(dirname "$VOCODE")/vocode-mpi.so" ]; then
    echo "skipped: this build has no MPI"
    exit 77
fi
# Root in a container, more ranks than processors, and nothing of the machine's that it would ask for.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_btl=self,vader OMPI_MCA_plm_rsh_agent=false
export OMPI_MCA_hwloc_base_binding_policy=none

cat >frameflow.json <<'CONFIG'
{"kind": "frameflow", "sample_rate": 22050, "sigma": 0.8, "mel": {"preset": "tacotron2"},
 "frameflow": {"n_mels": 80, "hop": 256, "n_flows": 2, "dim": 8, "n_blocks": 1, "white_dim": 8, "white_blocks": 1,
               "expansion": 2, "kernel": 3},
 "train": {"steps": 100, "batch": 2, "segment": 2048, "warmup": 5, "log_every": 1, "threads": 1, "learning_rate": 1e-3,
           "clip": 0.5, "checkpoint_every": 50, "validate_every": 50, "validate_batches": 3, "valid_share": 0.5}}
CONFIG
cat >squeezewave.json <<'CONFIG'
{"kind": "squeezewave", "sample_rate": 22050, "sigma": 0.8, "mel": {"preset": "tacotron2"},
 "squeezewave": {"n_mel_channels": 80, "n_flows": 4, "n_audio_channel": 128, "n_early_every": 2, "n_early_size": 16,
                 "batch_norm": true, "WN_config": {"n_layers": 2, "n_channels": 16, "kernel_size": 3}},
 "train": {"steps": 100, "batch": 2, "segment": 2048, "warmup": 5, "log_every": 1, "threads": 1, "learning_rate": 1e-3,
           "checkpoint_every": 50, "validate_every": 0}}
CONFIG
mkdir data
cp "$MODELS"/../audio/*.flac data/

# mpi RANKS ARGUMENTS...
mpi() {
    local ranks=$1
    shift
    timeout -k 5 120 mpirun -np "$ranks" "$VOCODE" train "$@"
}

# gap A B FIELD: the largest difference of a field between the logs of two runs of as many lines.
gap() {
    for run in "$1" "$2"; do sed -nE "s/.*\"$3\":(-?[0-9.e+-]+).*/\\1/p" "$run/log.jsonl" >"$run.$3"; done
    paste "$1.$3" "$2.$3" | awk 'NF == 2 { d = $1 - $2; if (d < 0) d = -d; if (d > most) most = d; n++ }
                                 END { printf "%d %.3g\n", n, most }'
}

# agrees A B FIELD LINES TOLERANCE
agrees() {
    local count most
    read -r count most < <(gap "$1" "$2" "$3")
    [ "$count" -eq "$4" ] && awk "BEGIN { exit !($most <= $5) }" ||
        wrong "$3 of $1 and $2: $count lines, $most apart"
}

# Two processes are one with the double batch; the norm is that of the mean gradient, before clipping.
for kind in frameflow squeezewave; do
    run 0 vocode train $kind.json --data data --out $kind.one -q --set batch=4
    run 0 mpi 2 $kind.json --data data --out $kind.two
    agrees $kind.one $kind.two nll 100 1e-4
    agrees $kind.one $kind.two gradient_norm 100 1e-3
done
says '2 processes train together: steps of 4 segments, 2 in each'
[ "$(grep -c 'processes train together' err)" -eq 1 ] || wrong "not one process speaks"

# Reducing late changes nothing; the first steps can be traced.
export VOCODE_OVERLAP=0
run 0 mpi 2 squeezewave.json --data data --out late --trace trace.json
unset VOCODE_OVERLAP
agrees squeezewave.two late nll 100 0
for name in forward WN.3. convinv.0.conv.weight computation communication; do
    grep -q "\"name\":\"$name\"" trace.json || wrong "the trace has no $name"
done

# Accumulated batches, and a run that goes on: as one process.
run 0 vocode train squeezewave.json --data data --out one -q --set batch=4 --set accumulate=2 --set steps=20
for steps in 7 20; do
    run 0 mpi 2 squeezewave.json --data data --out two --resume --set accumulate=2 --set steps=$steps
done
agrees one two nll 20 1e-4
run 0 vocode train squeezewave.json --data data --out two -q --resume --set batch=4 --set accumulate=2 --set steps=22
grep -q '"step":22' two/log.jsonl || wrong "a run does not go on with another number of processes"

# What fails everywhere is said once; what fails in one rank ends all.
run 1 mpi 2 squeezewave.json --data data --out never --set batch=0
[ "$(grep -c 'key "batch" is 0' err)" -eq 1 ] || wrong "not said once"
[ ! -e never ] || wrong "a run that could not start left a folder"
mkdir few
cp data/en1.flac few/ 2>/dev/null || cp "$(find data -name '*.flac' | sort | head -n 1)" few/
run 1 timeout -k 5 120 mpirun -np 1 "$VOCODE" train squeezewave.json --data data --out never : \
    -np 1 "$VOCODE" train squeezewave.json --data few --out never
says 'the ranks do not see the same recordings'
run 1 timeout -k 5 120 mpirun -np 1 "$VOCODE" train squeezewave.json --data data --out never : \
    -np 1 "$VOCODE" train squeezewave.json --data nowhere --out never
says 'nowhere'

# begin_long NAME: starts a run that would not end, and waits for its first steps.
begin_long() {
    mpi 2 squeezewave.json --data data --out "$1" --set steps=1000000 --set checkpoint_every=1000000 >/dev/null 2>err &
    job=$!
    for _ in $(seq 200); do
        [ "$(grep -c '"nll"' "$1/log.jsonl" 2>/dev/null)" -gt 3 ] 2>/dev/null && break
        sleep 0.1
    done
    ranks=$(pgrep -f -- "train squeezewave.json --data data --out $1 " | while read -r pid; do
        [ "$(readlink "/proc/$pid/exe")" = "$(readlink -f "$VOCODE")" ] && echo "$pid"
    done)
}

# A signal that one rank gets saves and stops all.
begin_long stopped
kill -TERM "$(echo "$ranks" | tail -n 1)"
wait $job
[ $? -ne 0 ] || wrong "a stopped run succeeds"
says 'stopped after step [0-9]+ and saved'
[ -s stopped/last.safetensors ] || wrong "a stopped run did not save"

# A rank that is killed takes the others with it.
begin_long killed
kill -KILL "$(echo "$ranks" | tail -n 1)"
wait $job
status=$?
[ $status -ne 0 ] && [ $status -ne 124 ] || wrong "status $status after a rank was killed"
for pid in $ranks; do
    for _ in $(seq 50); do
        [ -e "/proc/$pid" ] || break
        sleep 0.1
    done
    [ ! -e "/proc/$pid" ] || wrong "rank $pid lives on"
done
finish
