#!/usr/bin/env bash
# Outputs appear whole or not at all: unwritable places, full disks, closed pipes and signals.
source "$(dirname "$0")/lib.sh"

tiny_model model
export VOCODE_MODEL=$work/model
helper mel mel.npy '<f4' C mels 80 6
helper mel bad.npy '<f4' C mels 81 6
helper wav tone.wav 22050 1 0.5 0.5
vocode encode tone.wav z.npy && vocode mel tone.wav tone.npy || exit 1
checkpoint=$TEST_DATA/checkpoints/module_zip.pt

# Each command with a place to write to; the last argument is the output's ending.
each_command() {
    local try=$1 place=$2
    $try "$place.wav" mel.npy
    $try "$place.flac" mel.npy
    $try "$place.npy" mel tone.wav
    $try "$place.safetensors" convert "$checkpoint"
    $try "$place.safetensors" init model.json
    $try "$place.npy" encode tone.wav
    $try "$place.wav" decode z.npy tone.npy
    $try "$place.wav" denoise tone.wav
    $try "$place.html" eval tone.wav tone.wav --html
}

# Folders that do not exist or are files; an output that is a folder.
refuse_output() {
    local path=$1
    shift
    local before after
    before=$(find . -type f ! -name out ! -name err | sort)
    run 1 vocode "$@" "$path"
    [ "$1" = eval ] || one_sentence
    says "^vocode: cannot write $path"
    after=$(find . -type f ! -name out ! -name err | sort)
    [ "$before" = "$after" ] || wrong "files appeared: $(diff <(echo "$before") <(echo "$after"))"
}
each_command refuse_output missing/a
each_command refuse_output tone.wav/a
mkdir folder.wav
refuse_output folder.wav mel.npy
run 1 vocode mel.npy -o tone.wav
says 'tone.wav'
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked
    chmod 555 locked
    each_command refuse_output locked/a
fi

# An existing output stays as it was when the run fails, keeps its mode when it succeeds, and a link stays a link.
echo precious >kept.wav
cp kept.wav kept
for arguments in "bad.npy" "none.npy" "mel.npy --model none"; do
    # shellcheck disable=SC2086
    run 1 vocode $arguments kept.wav
    same kept.wav kept
done
chmod 640 kept.wav
ln -s kept.wav link.wav
run 0 vocode mel.npy link.wav
[ -L link.wav ] && [ "$(stat -c %a kept.wav)" = 640 ] && [ "$(helper samples kept.wav)" -eq 1536 ] || wrong "link or mode"
run 0 vocode denoise tone.wav tone.wav # in place
run 0 vocode mel.npy whole.wav
umask 027
run 0 vocode mel.npy masked.wav
[ "$(stat -c %a masked.wav)" = 640 ] || wrong "umask: $(stat -c %a masked.wav)"

# A device without room, and standard output that is full or closed.
for arguments in "mel.npy /dev/full" "encode tone.wav /dev/full" "mel tone.wav /dev/full"; do
    # shellcheck disable=SC2086
    refuses 'cannot write /dev/full: No space' vocode $arguments
done
for arguments in "mel.npy -" "info" "info --json" "score tone.wav" "--help" "synth --help" "--version" "eval tone.wav tone.wav" \
    "mel tone.wav -"; do
    # shellcheck disable=SC2086
    "$VOCODE" $arguments >/dev/full 2>err
    [ $? -eq 1 ] || wrong "standard output is full: $arguments"
    says '^vocode: cannot write standard output: No space left'
    [ "$(wc -l <err)" -eq 1 ] || wrong "more than one line: $arguments"
done
helper mel long.npy '<f4' C mels 80 3000
"$VOCODE" long.npy - 2>err | head -c 100 >/dev/null
statuses=("${PIPESTATUS[@]}")
[ "${statuses[0]}" -eq 1 ] || wrong "a closed pipe gives ${statuses[0]}"
[ "$(wc -l <err)" -le 1 ] || wrong "a closed pipe says too much"

# A full disk, where a small one can be mounted: what stood there still stands, nothing else is left.
full_disk() {
    mount -t tmpfs -o size=24k,nr_inodes=16 none disk || exit 77
    echo precious >disk/a.wav
    cp disk/a.wav kept
    # 6 frames of PCM are 3 kB: fill what else there is.
    head -c 18000 /dev/zero >disk/filler
    for arguments in "tone.npy disk/a.wav" "tone.npy disk/b.wav --format float" "encode tone.wav disk/z.npy" \
        "init model.json disk/m.safetensors" "convert $checkpoint disk/c.safetensors"; do
        # shellcheck disable=SC2086
        refuses 'disk/[a-z.]+: No space left on device' vocode $arguments
    done
    same disk/a.wav kept
    [ "$(ls -A disk)" = $'a.wav\nfiller' ] || wrong "left on the full disk: $(ls -A disk)"
    [ "$failures" -eq 0 ]
}
mkdir disk
export -f full_disk run refuses one_sentence says same wrong vocode
export checkpoint checks failures
if unshare --map-root-user --mount true 2>/dev/null; then
    unshare --map-root-user --mount bash -c full_disk >full 2>&1
    status=$?
    checks=$((checks + 1))
    case $status in
    0) ;;
    77) echo "no tmpfs can be mounted here: full disk skipped" ;;
    *) wrong "full disk: $(cat full)" ;;
    esac
else
    echo "no mount namespace here: full disk skipped"
fi

# A pipe that nobody reads: the first signal ends it.
mkfifo pipe.wav
"$VOCODE" mel.npy pipe.wav 2>err &
pid=$!
sleep 0.3
kill -TERM $pid
for _ in $(seq 50); do
    kill -0 $pid 2>/dev/null || break
    sleep 0.1
done
kill -KILL $pid 2>/dev/null && wrong "SIGTERM did not end a blocked write"
wait $pid 2>/dev/null

# Signals, at any moment: the old file or the whole new one, and no temporary.
run 0 vocode long.npy new.wav
echo precious >old.wav
for signal in INT TERM HUP; do
    for delay in 0.005 0.02 0.04 0.08 0.15 0.3; do
        cp old.wav target.wav
        # A background job of a script ignores SIGINT; env gives it back.
        env --default-signal=INT "$VOCODE" long.npy target.wav 2>err &
        pid=$!
        sleep $delay
        kill -$signal $pid 2>/dev/null
        wait $pid 2>/dev/null
        status=$?
        checks=$((checks + 1))
        cmp -s target.wav old.wav || cmp -s target.wav new.wav || wrong "SIG$signal after $delay s left half a file"
        [ -z "$(find . -name '*.part')" ] || wrong "SIG$signal after $delay s left a temporary"
        [ $status -eq 0 ] || [ $status -gt 128 ] || wrong "SIG$signal after $delay s: status $status"
    done
done
finish
