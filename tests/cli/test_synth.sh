#!/usr/bin/env bash
# Synthesis: the audio is the same whatever layout, order and type the mel is stored in, has exactly frames * hop
# samples, and depends on seed and sigma alone.
source "$(dirname "$0")/lib.sh"

tiny_model model
export VOCODE_MODEL=$work/model
frames=23
helper mel mel.npy '<f4' C mels 80 $frames

# Against the reference's numbers: mel and latent of the golden folder give its audio.
golden=$TEST_DATA/golden/frameflow_tiny
for item in 0 1; do
    for name in mel infer_z infer_audio; do helper pick "$golden/$name.npy" $item golden_$name.npy; done
    run 0 vocode golden_mel.npy golden.f32 --raw f32le --model "$golden/model.safetensors" --noise golden_infer_z.npy
    holds "$(helper error golden.f32 golden_infer_audio.npy) < 1e-4"
done

# Every type, byte order, memory order and layout.
run 0 vocode mel.npy a.wav
silent
[ "$(helper samples a.wav)" -eq $((frames * 256)) ] || wrong "$(helper samples a.wav) samples"
for descr in '<f2' '<f4' '<f8' '>f2' '>f4' '>f8'; do
    for order in C F; do
        for layout in mels frames batch; do
            helper mel other.npy "$descr" $order $layout 80 $frames
            run 0 vocode other.npy b.wav
            same a.wav b.wav
        done
    done
done

# Where both axes are 80 the option decides; elsewhere the shape does.
helper mel square_m.npy '<f4' C mels 80 80
helper mel square_f.npy '<f4' C frames 80 80
run 0 vocode square_m.npy c.wav
run 0 vocode square_m.npy d.wav --layout mels-first
same c.wav d.wav
run 0 vocode square_f.npy d.wav --layout frames-first
same c.wav d.wav
run 0 vocode square_f.npy d.wav
differ c.wav d.wav
for layout in mels-first frames-first; do
    run 0 vocode mel.npy d.wav --layout $layout
    same a.wav d.wav
done

# One frame is enough.
helper mel one.npy '<f4' C mels 80 1
run 0 vocode one.npy d.wav
[ "$(helper samples d.wav)" -eq 256 ] || wrong "one frame"

# Determinism.
for threads in 1 2 3; do
    run 0 vocode mel.npy d.wav --threads $threads
    same a.wav d.wav
done
run 0 vocode mel.npy d.wav --seed 0 --sigma 0.8
same a.wav d.wav
run 0 vocode mel.npy d.wav --seed 1
differ a.wav d.wav
run 0 vocode mel.npy e.wav --seed 18446744073709551615
differ d.wav e.wav
run 0 vocode mel.npy e.wav --sigma 0.4
differ a.wav e.wav
run 0 vocode mel.npy e.wav --sigma 0
run 0 vocode mel.npy f.wav --sigma 0 --seed 5
same e.wav f.wav

# Post-processing is done, and 0 means none.
for option in "--mel-match 2" "--mel-match 0" "--refine 3" "--gain 3"; do
    # shellcheck disable=SC2086
    run 0 vocode mel.npy d.wav $option
    differ a.wav d.wav
done
run 0 vocode mel.npy d.wav --mel-match 1 --refine 0 --denoise 0 --gain 0
same a.wav d.wav
run 0 vocode golden_mel.npy d.wav --model "$golden/model.safetensors"
run 0 vocode golden_mel.npy e.wav --model "$golden/model.safetensors" --denoise 0.5
differ d.wav e.wav
run 0 vocode mel.npy a.f32 --raw f32le --gain -20
run 0 vocode mel.npy b.wav --format float --gain -20
run 0 vocode mel.npy c.wav --format float
holds "$(helper snr c.wav b.wav) - 0.915 < 0.01 && $(helper snr c.wav b.wav) - 0.915 > -0.01" # 1 - 0.1 is 0.915 dB down

# Formats. The samples behind a float header are those of --raw; PCM is within its rounding.
tail -c $((frames * 1024)) b.wav | cmp -s - a.f32 || wrong "raw floats and a float WAV differ"
run 0 vocode mel.npy p16.wav --gain -20
run 0 vocode mel.npy p24.wav --format=pcm24 --gain -20
run 0 vocode mel.npy raw16 --raw=s16le --gain -20
tail -c $((frames * 512)) p16.wav | cmp -s - raw16 || wrong "raw samples and a WAV differ"
holds "$(helper snr b.wav p24.wav) > $(helper snr b.wav p16.wav) + 40"
run 0 vocode mel.npy p.FLAC --gain -20
[ "$(head -c 4 p.FLAC)" = fLaC ] || wrong "not FLAC"
run 0 vocode mel.npy p24.flac --format pcm24 --gain -20

# Clipping is said, not with -q, and counted.
run 0 vocode mel.npy loud.wav --gain 60
says '^vocode: loud.wav: [0-9]+ samples clipped$'
cp loud.wav louder.wav
run 0 vocode mel.npy loud.wav --gain 60 -q
silent
same loud.wav louder.wav

# Pipes: "-" in, "-" out, devices.
vocode - - <mel.npy >piped.wav 2>err || wrong "pipe"
silent
holds "$(helper snr a.wav piped.wav) > 200"
[ "$(helper samples piped.wav)" -eq $((frames * 256)) ] || wrong "length through a pipe"
vocode - - --raw s16le <mel.npy 2>err | cmp -s - <(vocode mel.npy - --raw s16le) || wrong "raw pipe"
cat mel.npy | vocode - q.wav 2>err || wrong "standard input"
same a.wav q.wav
vocode mel.npy - 2>err | cat >r.wav
holds "$(helper snr a.wav r.wav) > 200"
run 0 vocode mel.npy /dev/null

# The bar with the real-time factor is for terminals alone, and not with -q.
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    terminal() { script -qec "$*" /dev/null </dev/null >shown; }
    terminal "$VOCODE mel.npy d.wav"
    same a.wav d.wav
    grep -q '\[#*\.*\] *[0-9]* %' shown && grep -q 's of audio in .* times real time' shown ||
        wrong "no bar on a terminal: $(cat shown)"
    terminal "$VOCODE mel.npy d.wav -q"
    [ ! -s shown ] || wrong "a bar with -q: $(cat shown)"
fi
run 0 vocode mel.npy d.wav -v
says '^vocode: [0-9.]+ s of audio in [0-9.]+ s, [0-9.]+ times real time$'
says '^vocode: model .*: frameflow, [0-9]+ parameters, 22050 Hz$'

# Many files and folders: past bad ones, status 1, the good ones made.
mkdir -p in/deep
cp mel.npy in/x.npy
cp square_m.npy in/deep/y.npy
echo text >in/note.txt
run 0 vocode in -o out1
cmp -s a.wav out1/x.wav && cmp -s <(vocode square_m.npy - --raw s16le) <(tail -c 40960 out1/deep/y.wav) ||
    wrong "folder"
[ "$(find out1 -type f | wc -l)" -eq 2 ] || wrong "other files in out1"
echo nothing >bad.npy
run 1 vocode mel.npy bad.npy missing.npy square_m.npy -o out2
says '^vocode: bad.npy: '
says '^vocode: cannot open missing.npy'
says '^vocode: 2 of 4 inputs failed$'
same a.wav out2/mel.wav
[ "$(find out2 -type f | wc -l)" -eq 2 ] || wrong "other files in out2"
run 2 vocode mel.npy in/x.npy other/mel.npy -o out3
one_sentence
says 'mel.npy and other/mel.npy would both be written to out3/mel.wav'
[ ! -e out3 ] || wrong "out3 was made"
run 0 vocode mel.npy -o out4 --raw s16le -q
silent
cmp -s raw16 out4/mel.raw && wrong "gain ignored"
[ -s out4/mel.raw ] || wrong "no out4/mel.raw"
refuses 'no file ending in .npy' vocode out1/ -o out5

# A continuous flow: as many steps as the configuration says, or as are asked for; streamed, encoded, scored like any other.
cat >cnf.json <<'EOF'
{"kind": "frameflow-cnf", "sample_rate": 22050, "sigma": 0.8, "mel": {"preset": "tacotron2"},
 "frameflow-cnf": {"n_mels": 80, "hop": 256, "n_flows": 1, "dim": 4, "n_blocks": 1, "white_dim": 4, "white_blocks": 1,
  "expansion": 1, "kernel": 3, "field_dim": 4, "field_blocks": 1, "field_kernel": 3, "steps": 3}}
EOF
run 0 vocode init cnf.json cnf.safetensors --seed 3
run 0 vocode info cnf.safetensors
prints 'kind: +frameflow-cnf'
prints 'look-ahead: +9 frames'
run 0 vocode mel.npy cnf.wav --model cnf.safetensors --seed 2 -q
run 0 vocode mel.npy cnf3.wav --model cnf.safetensors --seed 2 --steps 3 --chunk 7 -q
same cnf.wav cnf3.wav
run 0 vocode encode cnf.wav cnf_z.npy --model cnf.safetensors
run 0 vocode decode cnf_z.npy mel.npy cnf_back.wav --model cnf.safetensors
run 0 vocode score cnf.wav --model cnf.safetensors
refuses 'a frameflow has no continuous flow' vocode mel.npy no.wav --steps 3

# A mel in another convention that converts exactly; one that does not; one that only looks wrong.
helper wav tone.wav 22050 1 1.2 0.5
for preset in tacotron2 hifigan coqui fastspeech2; do vocode mel tone.wav $preset.npy --preset $preset || wrong mel; done
run 0 vocode tacotron2.npy t.wav
silent
run 0 vocode fastspeech2.npy u.wav --mel-preset fastspeech2
same t.wav u.wav
run 0 vocode hifigan.npy h.wav --mel-preset hifigan
silent
refuses 'hifigan.npy: expected 100 mel bands \(vocos\)' vocode hifigan.npy h2.wav --mel-preset vocos
refuses 'fmax' vocode coqui.npy i.wav --mel-preset coqui
run 0 vocode coqui.npy i.wav -q
says '^vocode: warning: coqui.npy: .*coqui'
finish
