#!/usr/bin/env bash
# Names, help, exit statuses and the grammar of the command line (the program's contract).
source "$(dirname "$0")/lib.sh"

commands="synth mel convert init info encode decode score denoise eval train report bench flow"
absent="distill quantize"

run 0 vocode --help
silent
cp out general
for name in $commands; do prints "^  $name +[a-z]"; done
for name in $absent; do
    grep -Eq "^  $name " general && wrong "--help lists $name, which is not built"
    misused "\"$name\" is not a subcommand.*vocode --help" vocode "$name" x y
done
run 0 vocode help
same out general
run 0 vocode -h
same out general
run 0 vocode --version
prints '^vocode [0-9]+\.[0-9]+\.[0-9]+$'
cp out version

for name in $commands; do
    run 0 vocode "$name" --help
    silent
    prints "^usage: vocode $name "
    for option in quiet verbose help version; do prints " --$option\b"; done
    cp out helped
    run 0 vocode help "$name"
    same out helped
    run 0 vocode "$name" -h
    same out helped
    run 0 vocode "$name" --version
    same out version
    misused "no option --nonsense; see 'vocode $name --help'" vocode "$name" --nonsense
    misused "no option -Z" vocode "$name" -Z a b
    misused "no option --nonsense" vocode "$name" --nonsense=3 a b
done

has_options() {
    local name=$1
    shift
    run 0 vocode "$name" --help
    for option in "$@"; do prints "^ .*--$option( |$)"; done
}
has_options synth output model sigma seed noise mel-match refine denoise mel-preset layout precision format raw gain threads chunk mel-stream
has_options mel output preset model layout
has_options convert mel-preset license training recordings sigma
has_options init seed
has_options info json
has_options encode mel model threads
has_options decode model format threads
has_options score mel model sigma json threads
has_options denoise strength model format
has_options eval html json
has_options bench seconds threads mel-match json
run 0 vocode mel --help
for preset in tacotron2 waveglow speechbrain fastspeech2 hifigan matcha coqui parallelwavegan espnet vocos bigvgan \
    torchaudio librosa; do prints "^  $preset "; done

# Wrong usage: one line, exit 2, nothing on standard output.
misused "expected MEL.npy OUT.wav or a subcommand" vocode
misused "not a subcommand" vocode nonsense
misused "not a subcommand" vocode help nonsense
for name in encode decode convert init denoise eval; do misused "expected [23] arguments, .*found 1" vocode $name a; done
misused "expected MEL.npy OUT.wav, or -o DIR" vocode a.npy
misused "expected MEL.npy OUT.wav, or -o DIR" vocode a.npy b.npy c.wav
misused "must end in .wav or .flac" vocode a.npy b.mp3
misused "must end in .wav or .flac" vocode a.npy b.npy
misused "must end in .wav or .flac" vocode denoise a.wav b.ogg
misused "must end in .wav or .flac" vocode decode z.npy m.npy b
misused "FLAC has no float" vocode a.npy b.flac --format float
misused "at most 1 argument" vocode info a b
misused "at most 3|expected 3" vocode decode a b c.wav d
misused "sigma: expected a number from 0 to 100, found \"-1\"" vocode a.npy b.wav --sigma -1
for bad in 1x nan inf '' ' 1' x 1e400; do misused "sigma: expected a number" vocode a.npy b.wav "--sigma=$bad"; done
for bad in 1x -1 1.5 99999999999999999999 '' ' 1' 0x10; do
    misused "seed: expected a whole number" vocode a.npy b.wav "--seed=$bad"
done
for bad in 0 1025 two; do misused "threads: expected a whole number from 1 to 1024" vocode a.npy b.wav --threads $bad; done
misused "gain: expected a number" vocode a.npy b.wav --gain inf
misused "mel-match: expected a whole number" vocode a.npy b.wav --mel-match -1
misused "format: expected pcm16\|pcm24\|float, found \"mp3\"" vocode a.npy b.wav --format mp3
misused "raw: expected s16le\|f32le" vocode a.npy b.raw --raw u8
misused "layout: expected mels-first\|frames-first" vocode a.npy b.wav --layout sideways
misused "precision: expected fp32, found \"bf16\"" vocode a.npy b.wav --precision bf16
misused "precision: expected fp32, found \"int8\"" vocode a.npy b.wav --precision=int8
misused "no mel preset \"nonsense\".*tacotron2.*hifigan" vocode a.npy b.wav --mel-preset nonsense
misused "no mel preset" vocode mel a.wav b.npy --preset nonsense
misused "no mel preset" vocode convert a.pt b.safetensors --mel-preset nonsense
misused "noise.*--sigma cannot" vocode a.npy b.wav --noise z.npy --sigma 1
misused "noise.*--seed cannot" vocode a.npy b.wav --noise z.npy --seed 0
misused "noise.*cannot be given with -o" vocode a.npy -o d --noise z.npy
misused "raw.*format" vocode a.npy b.raw --raw s16le --format pcm16
misused "needs a value" vocode a.npy b.wav --sigma
misused "needs a value" vocode a.npy b.wav -o
misused "takes no value" vocode a.npy b.wav --quiet=yes
for option in --stepz=3; do misused "no option" vocode a.npy b.wav $option; done
misused "one of them" vocode mel a.wav b.npy --preset hifigan --model x
misused "mel of one file" vocode score a.wav b.wav --mel m.npy
misused "no name to call an output" vocode - -o d --model x.safetensors

# Grammar: options before, between and behind; =value; letters together; -- ends options.
tiny_model model
helper mel mel.npy '<f4' C mels 80 6
run 0 vocode mel.npy a.wav --model model --seed 5
silent
[ ! -s out ] || wrong "synth prints to standard output"
run 0 vocode --model=model --seed=5 mel.npy b.wav
same a.wav b.wav
run 0 vocode synth mel.npy --seed 5 --model model c.wav -qv
same a.wav c.wav
run 0 vocode -q --model model --seed=9 --seed=5 -- mel.npy d.wav
same a.wav d.wav
cp mel.npy ./-dash.npy
run 0 vocode --model model --seed 5 -- -dash.npy e.wav
same a.wav e.wav
cp mel.npy ./info
run 0 vocode ./info f.wav --model model --seed 5
same a.wav f.wav
cp mel.npy bare
run 0 vocode bare g.wav --model model --seed 5
same a.wav g.wav
run 0 vocode mel.npy -odir1 --model model --seed 5
same a.wav dir1/mel.wav
run 0 vocode --output=dir2/deep mel.npy --model model --seed 5
same a.wav dir2/deep/mel.wav
run 0 vocode mel.npy h.wav --model model --seed 5 --precision fp32
same a.wav h.wav
# A level of kernels that does not exist is said, and another one serves.
run 0 env VOCODE_CPU=sse9 "$VOCODE" mel.npy i.wav --model model --seed 5
says 'no level "sse9"'
same a.wav i.wav
finish
