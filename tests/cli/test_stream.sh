#!/usr/bin/env bash
# Streams: the same bits as one-shot files for every cut, thread count, seed, kind of model and way in; sound while the
# mel still comes; pipes that break off; memory that does not depend on the length.
source "$(dirname "$0")/lib.sh"

# The kinds, with weights that do something: imported checkpoints, and a fresh model whose passes look at the mel.
golden=$TEST_DATA/golden
tiny_model frames
cp "$golden/frameflow_tiny/model.safetensors" columns
vocode convert -q "$golden/waveglow_tiny/checkpoint_no_weight_norm.pt" glow.safetensors || exit 1
vocode convert -q "$golden/waveglow_group16/checkpoint_state_dict.pt" group.safetensors || exit 1
vocode convert -q "$golden/squeezewave_128/checkpoint_module_legacy.pt" squeeze.safetensors || exit 1

# made MODEL BANDS FRAMES: the same mel in every way in.
made() {
    export VOCODE_MODEL=$work/$1
    helper mel mels.npy '<f4' C mels "$2" "$3"
    helper mel frames.npy '<f4' C frames "$2" "$3"
    helper mel fortran.npy '>f8' F batch "$2" "$3"
    helper frames bare.f32 "$2" "$3"
}

for about in "frames 80 97" "columns 10 97" "glow.safetensors 16 41" "group.safetensors 10 41" "squeeze.safetensors 20 97"; do
    # shellcheck disable=SC2086
    made $about
    for seed in 0 1 77; do
        run 0 vocode mels.npy whole.wav --seed $seed --threads 1
        vocode mels.npy - --raw f32le --seed $seed >whole.f32 2>err || wrong "raw"
        for chunk in 1 7 64; do
            for threads in 1 2; do
                run 0 vocode mels.npy chunked.wav --seed $seed --chunk $chunk --threads $threads
                same whole.wav chunked.wav
            done
            vocode - - --seed $seed --chunk $chunk --mel-stream f32le --raw f32le <bare.f32 2>err |
                cmp -s - whole.f32 || wrong "bare frames of $about, $chunk, $seed"
            cat frames.npy | vocode - - --seed $seed --chunk $chunk --raw f32le 2>err | cmp -s - whole.f32 ||
                wrong "pipe of $about, $chunk, $seed"
            checks=$((checks + 2))
        done
        for mel in mels frames fortran; do
            cat $mel.npy | vocode - - --seed $seed --raw f32le 2>err | cmp -s - whole.f32 || wrong "$mel of $about"
            vocode - - --seed $seed --raw f32le <$mel.npy 2>err | cmp -s - whole.f32 || wrong "redirected $mel of $about"
            cat $mel.npy | vocode - piped.wav -q --seed $seed || wrong "pipe to a file"
            same whole.wav piped.wav
            checks=$((checks + 2))
        done
    done
    # Whatever OpenBLAS is told to be, the two ways agree.
    for core in Haswell SkylakeX Prescott; do
        run 0 env OPENBLAS_CORETYPE=$core "$VOCODE" mels.npy core.wav --format float
        run 0 env OPENBLAS_CORETYPE=$core "$VOCODE" frames.npy chunked.wav --format float --chunk 7 --threads 2
        same core.wav chunked.wav
    done
done

# With every option that changes samples; the formats; a folder of files.
made frames 80 97
for options in "--mel-match 2" "--denoise 0.5" "--gain -6" "--sigma 0.3" "--refine 3" "--mel-preset fastspeech2"; do
    # shellcheck disable=SC2086
    run 0 vocode mels.npy whole.wav $options
    # shellcheck disable=SC2086
    run 0 vocode frames.npy chunked.wav $options --chunk 5
    same whole.wav chunked.wav
done
for ending in flac wav; do
    run 0 vocode mels.npy whole.$ending --format pcm24
    run 0 vocode frames.npy chunked.$ending --format pcm24 --chunk 11
    same whole.$ending chunked.$ending
done
run 0 vocode mels.npy frames.npy -o folder --chunk 9
run 0 vocode mels.npy whole.wav
vocode mels.npy - --raw f32le >whole.f32 || wrong "raw"
same whole.wav folder/mels.wav
same whole.wav folder/frames.wav
run 0 vocode bare.f32 bare.wav --mel-stream f32le
same whole.wav bare.wav
run 0 vocode mels.npy loud.wav --gain 60 --chunk 4
says '^vocode: loud.wav: [0-9]+ samples clipped$'

# A model's own refinement, and another number of iterations.
sed 's/"mel_match": 1/"mel_match": 1, "refine": 2, "mel_match_last": 1/' frames.json >refined.json
vocode init -q refined.json refined --seed 7 || exit 1
run 0 vocode mels.npy refined.wav --model refined
differ refined.wav whole.wav
run 0 vocode mels.npy streamed.wav --model refined --chunk 10
same streamed.wav refined.wav
run 0 vocode mels.npy streamed.wav --model refined --chunk 10 --refine 0
same streamed.wav whole.wav
run 0 vocode mels.npy own.wav --model refined --mel-match 1 # passes in all: nothing after them
same own.wav whole.wav
run 0 vocode mels.npy own.wav --model refined --mel-match 1 --refine 2
differ own.wav refined.wav
run 0 vocode mels.npy refined.wav --model refined --refine 3
run 0 vocode mels.npy streamed.wav --model refined --chunk 10 --refine 3
same streamed.wav refined.wav

# A WAV on a pipe has no length, and our own reader takes it.
vocode - - <mels.npy 2>err | vocode mel - heard.npy || wrong "a WAV on a pipe is not read"
vocode mel whole.wav file.npy
same heard.npy file.npy
vocode - - <frames.npy 2>err | tail -c $((97 * 512)) | cmp -s - <(tail -c $((97 * 512)) whole.wav) || wrong "WAV on a pipe"

# Sound comes while frames still come. A tiny model looks few frames ahead: 60 frames give some of it.
mkfifo to_vocode
"$VOCODE" - - --mel-stream f32le --raw s16le <to_vocode >live.raw 2>err &
pid=$!
exec 7>to_vocode
head -c $((60 * 320)) bare.f32 >&7
for _ in $(seq 100); do
    [ "$(stat -c %s live.raw)" -gt 10000 ] && break
    sleep 0.1
done
checks=$((checks + 1))
size=$(stat -c %s live.raw)
[ "$size" -gt 10000 ] && [ "$size" -lt $((60 * 512)) ] || wrong "nothing is heard while frames come: $size bytes"
head -c $((61 * 320 + 17)) bare.f32 | tail -c $((320 + 17)) >&7 # a frame, and a part of one
exec 7>&-
wait $pid
status=$?
checks=$((checks + 2))
[ $status -eq 1 ] || wrong "a part of a frame at the end: status $status"
says '^vocode: standard input: expected frames of 80 floats \(320 bytes\), found 17 bytes after frame 61$'
[ "$(wc -l <err)" -eq 1 ] || wrong "more than one sentence"
head -c $((61 * 320)) bare.f32 | vocode - - --mel-stream f32le --raw s16le 2>/dev/null | cmp -s - live.raw ||
    wrong "the whole frames before a part of one were not spoken"

# Broken input: pipes keep what was whole, files do not appear.
head -c 10000 frames.npy >cut.npy # 128 bytes of header, 30 frames and 272 bytes
cat cut.npy | vocode - - --raw s16le >cut.raw 2>err
status=$?
checks=$((checks + 1))
[ $status -eq 1 ] && [ "$(stat -c %s cut.raw)" -eq $((30 * 512)) ] || wrong "a pipe that breaks off"
says '^vocode: standard input: truncated: 97 frames of 320 bytes announced, 30 frames and 272 bytes found$'
cat frames.npy bare.f32 | vocode - - --raw f32le 2>err | cmp -s - whole.f32 || wrong "what was whole"
says 'bytes follow the array of 97 frames'
for input in cut.npy "frames.npy bare.f32"; do
    # shellcheck disable=SC2086
    cat $input | vocode - none.wav 2>err
    [ $? -eq 1 ] && [ ! -e none.wav ] || wrong "a file of a broken pipe"
done
checks=$((checks + 3))
spoken() { # PATTERN OPTIONS...: nothing comes out, one sentence
    local pattern=$1
    shift
    "$VOCODE" - - "$@" >out 2>err
    [ $? -eq 1 ] || wrong "status of $*"
    one_sentence
    says "$pattern"
}
: | spoken 'standard input: not a .npy file: it is empty'
: | spoken 'expected at least one frame of 80 floats, found none' --mel-stream f32le
head -c 100 bare.f32 | spoken '\(320 bytes\), found 100 bytes after frame 0' --mel-stream f32le
echo hello | spoken 'standard input: .*text'
cat whole.wav | spoken 'standard input: .*a WAV file'
head -c 60 frames.npy | spoken 'standard input: truncated'
head -c 8 frames.npy | spoken 'standard input: truncated'
head -c 5000 mels.npy | spoken 'standard input: truncated: 7760 elements of 4 bytes announced, 4872 bytes'
cat mels.npy bare.f32 | spoken 'standard input: .* follow the array'
helper mel wide.npy '<f4' C frames 100 6
cat wide.npy | spoken 'standard input: expected 80 mel bands .*\[6, 100\].*vocos'
cp bare.f32 nan.f32
helper spoil nan.f32 $((4 * (80 * 3 + 33))) nan # frame 3, band 33
cat nan.f32 | spoken 'standard input: .*NaN at band 33 of frame 3' --mel-stream f32le --chunk 10

# What looks like another convention is said once, on a pipe too.
helper wav tone.wav 22050 1 2 0.5
vocode mel tone.wav coqui.npy --preset coqui
helper turn coqui.npy coqui.f32
for chunk in 1 64; do
    vocode - - --mel-stream f32le --chunk $chunk <coqui.f32 >/dev/null 2>err || wrong "status of a warning"
    [ "$(wc -l <err)" -eq 1 ] || wrong "not warned of once"
    says '^vocode: warning: standard input: .*coqui'
done

# A listener who leaves.
helper frames long.f32 80 4000
"$VOCODE" - - --mel-stream f32le <long.f32 2>err | head -c 100 >/dev/null
statuses=("${PIPESTATUS[@]}")
checks=$((checks + 1))
[ "${statuses[0]}" -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] || wrong "a closed pipe: ${statuses[0]}"
says '^vocode: cannot write standard output: Broken pipe$'

# Signals while a pipe is silent leave no temporary.
"$VOCODE" - waiting.wav --mel-stream f32le <to_vocode 2>err &
pid=$!
exec 7>to_vocode
head -c $((60 * 320)) bare.f32 >&7
for _ in $(seq 50); do
    [ -n "$(find . -name '*.part')" ] && break
    sleep 0.1
done
[ -n "$(find . -name '*.part')" ] || wrong "no temporary: the test below would mean nothing"
kill -TERM $pid
wait $pid
status=$?
checks=$((checks + 2))
[ $status -gt 128 ] || wrong "SIGTERM at a silent pipe: status $status"
exec 7>&-
[ -z "$(find . -name '*.part')" ] && [ ! -e waiting.wav ] || wrong "SIGTERM left a file"

# Memory does not depend on the length: one minute and ten, of frames, of a file whose bands stand together.
minute=5168
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:quarantine_size_mb=4 # where that is built in, it keeps what was freed
for minutes in 1 10; do
    count=$((minutes * minute))
    helper mel mels_$minutes.npy '<f4' C mels 80 $count
    helper mel frames_$minutes.npy '<f4' C frames 80 $count
    cat frames_$minutes.npy | helper peak peak_$minutes "$VOCODE" - - --raw s16le 2>err | wc -c >bytes_$minutes
    helper peak file_$minutes "$VOCODE" mels_$minutes.npy out.wav
    checks=$((checks + 2))
    [ "$(cat bytes_$minutes)" -eq $((count * 512)) ] || wrong "$minutes minutes through a pipe: $(cat bytes_$minutes)"
    [ "$(helper samples out.wav)" -eq $((count * 256)) ] || wrong "$minutes minutes to a file"
done
for what in peak file; do
    echo "$what: $(cat ${what}_1) kB for a minute, $(cat ${what}_10) kB for ten"
    holds "$(cat ${what}_10) < 1.05 * $(cat ${what}_1) + 2000"
done

# The same of real models, which take longer: bare frames through a pipe, all of them heard.
vocode init -q "$MODELS/configs/waveglow-small.json" small.safetensors || exit 1
for about in "$MODELS/default.safetensors 200 1200" "small.safetensors 40 160"; do
    read -r model few many <<<"$about"
    for count in $few $many; do
        helper frames bare.f32 80 "$count"
        helper peak "peak_$count" "$VOCODE" --mel-stream f32le - - --raw s16le --model "$model" <bare.f32 2>err |
            wc -c >bytes
        checks=$((checks + 1))
        [ "$(cat bytes)" -eq $((count * 512)) ] || wrong "$count frames through $model: $(cat bytes) bytes"
    done
    echo "${model##*/}: $(cat "peak_$few") kB for $few frames, $(cat "peak_$many") kB for $many"
    holds "$(cat "peak_$many") < 1.05 * $(cat "peak_$few") + 2000"
done

misused 'chunk: expected a whole number' vocode a.npy b.wav --chunk 0
misused 'mel-stream: expected f32le' vocode a.npy b.wav --mel-stream f16le
misused 'mel-stream.*-o cannot' vocode a.npy -o d --mel-stream f32le
misused 'mel-stream.*--layout cannot' vocode a.npy b.wav --mel-stream f32le --layout mels-first
misused 'noise.*--chunk cannot' vocode a.npy b.wav --noise z.npy --chunk 4
misused 'noise.*--mel-stream cannot' vocode a.npy b.wav --noise z.npy --mel-stream f32le
finish
