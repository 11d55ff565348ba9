#!/usr/bin/env bash
# Every kind of bad input has its own sentence: exit 1, one line, no file made, none damaged.
source "$(dirname "$0")/lib.sh"

tiny_model model
export VOCODE_MODEL=$work/model
helper mel mel.npy '<f4' C mels 80 6
helper wav tone.wav 22050 1 0.5 0.5
data=128 # where the numbers of a small .npy begin

# Mels.
refuses 'cannot open none.npy: No such file' vocode none.npy a.wav
refuses 'cannot read|is a folder|Is a directory' vocode ./ a.wav
refuses 'tone.wav: .*a WAV file' vocode tone.wav a.wav
: >empty.npy
refuses 'empty.npy: .*empty' vocode empty.npy a.wav
echo 'some text' >text.npy
refuses 'text.npy: .*text' vocode text.npy a.wav
helper header object.npy "'|O'" '(80, 6)' 480
refuses 'object.npy: .*object' vocode object.npy a.wav
helper header string.npy "'<U5'" '(80, 6)' 9600
refuses 'string.npy: .*(string|text)' vocode string.npy a.wav
helper header complex.npy "'<c8'" '(80, 6)' 3840
refuses 'complex.npy: .*complex' vocode complex.npy a.wav
head -c 1000 mel.npy >short.npy
refuses 'short.npy: truncated' vocode short.npy a.wav
cat mel.npy tone.wav >long.npy
refuses 'long.npy: .*follow' vocode long.npy a.wav
helper header huge.npy "'<f4'" '(80, 1000000000000000000)' 64
refuses 'huge.npy: ' vocode huge.npy a.wav
helper mel wide.npy '<f4' C mels 100 6
refuses 'wide.npy: expected 80 mel bands .*\[100, 6\].*(vocos|bigvgan)' vocode wide.npy a.wav
helper mel wider.npy '<f4' C frames 128 6
refuses 'wider.npy: expected 80 mel bands .*\[6, 128\].*bigvgan44k' vocode wider.npy a.wav
helper mel odd.npy '<f4' C mels 81 7
refuses 'odd.npy: expected 80 mel bands .*\[81, 7\]' vocode odd.npy a.wav
for shape in '(80,)' '()' '(2, 80, 6)' '(80, 6, 1)'; do
    helper header rank.npy "'<f4'" "$shape" 3840
    run 1 vocode rank.npy a.wav
    one_sentence
done
helper header batch.npy "'<f4'" '(2, 80, 6)' 3840
refuses 'batch.npy: expected one mel spectrogram.*\[2, 80, 6\]' vocode batch.npy a.wav
for shape in '(80, 0)' '(0, 80)' '(1, 80, 0)'; do
    helper header zero.npy "'<f4'" "$shape" 0
    refuses 'zero.npy: .*zero frames' vocode zero.npy a.wav
done
for value in nan inf -inf; do
    cp mel.npy spoiled.npy
    helper spoil spoiled.npy $((data + 4 * (33 * 6 + 4))) $value # band 33, frame 4
    refuses 'spoiled.npy: .*(NaN|not a number|infinit)' vocode spoiled.npy a.wav
    says '33'
    says '\b4\b'
done
if [ "$(id -u)" -ne 0 ]; then
    cp mel.npy locked.npy
    chmod 000 locked.npy
    refuses 'cannot open locked.npy: Permission denied' vocode locked.npy a.wav
fi

# Latents.
run 0 vocode encode tone.wav z.npy
vocode mel tone.wav tone.npy || wrong mel
refuses 'latent of 6 columns, found 44' vocode mel.npy a.wav --noise z.npy
refuses 'mel.npy: expected a latent of shape \[256, columns\], found \[80, 6\]' vocode mel.npy a.wav --noise mel.npy
refuses 'expected a latent of shape \[256, columns\]' vocode decode mel.npy tone.npy a.wav
refuses 'z.npy: .*44 columns.*frames' vocode decode z.npy mel.npy a.wav
cp z.npy nan_z.npy
helper spoil nan_z.npy 400 nan
refuses 'nan_z.npy: .*NaN' vocode decode nan_z.npy tone.npy a.wav

# Models.
refuses 'cannot open none: No such file' vocode mel.npy a.wav --model none
refuses 'tone.wav: .*WAV' vocode mel.npy a.wav --model tone.wav
: >empty
refuses 'empty' vocode mel.npy a.wav --model empty
size=$(wc -c <model)
for cut in 4 100 1000 $((size - 1)); do
    head -c $cut model >cut.bin
    refuses '^vocode: cut.bin: ' vocode mel.npy a.wav --model cut.bin
done
head -c $((size - 1)) model >cut.bin
refuses 'cut.bin: .*(truncated|bytes)' vocode mel.npy a.wav --model cut.bin
{ printf '\377\377\377\377\377\377\377\177'; tail -c +9 model; } >claims
refuses 'claims: .*header' vocode mel.npy a.wav --model claims
refuses 'does not say which mel convention' vocode encode tone.wav q.npy --model "$TEST_DATA/golden/frameflow_tiny/model.safetensors"

# Checkpoints.
checkpoints=$TEST_DATA/checkpoints
for pair in "hifigan:HiFi-GAN, a GAN vocoder" "melgan:GAN vocoder" "bigvgan:GAN" "wrapper:unsupported class glow.Wrapper" \
    "nan:NaN" "shape:expected the shape" "missing:missing" "array.npy:.npy file"; do
    file=refused_${pair%%:*}
    [ -e "$checkpoints/$file" ] || file=$file.pt
    refuses "$file: .*${pair#*:}" vocode convert "$checkpoints/$file" out.safetensors
done
refuses 'cannot open|No such file' vocode convert none.pt out.safetensors
refuses 'mel.npy' vocode convert mel.npy out.safetensors
good=$checkpoints/module_zip.pt
for part in 2 10; do
    head -c $(($(wc -c <"$good") / part)) "$good" >cut.pt
    refuses 'cut.pt: ' vocode convert cut.pt out.safetensors
done

# Configurations.
config() { echo "$1" >config.json; }
config '{'
refuses 'config.json.*line 2|config.json.*line 1' vocode init config.json out.safetensors
config '{"kind": "wavenet"}'
refuses 'config.json: .*waveglow, squeezewave, frameflow or frameflow-cnf.*wavenet' vocode init config.json out.safetensors
sed 's/"dim"/"dims"/' model.json >config.json
refuses 'config.json.*dims.*dim' vocode init config.json out.safetensors
sed 's/"n_flows": 2/"n_flows": "two"/' model.json >config.json
refuses 'config.json.*n_flows' vocode init config.json out.safetensors
sed 's/"n_mels": 80/"n_mels": 100/' model.json >config.json
refuses '100 mel bands.*80' vocode init config.json out.safetensors

# Audio.
for command in "mel bad.wav a.npy" "encode bad.wav a.npy" "score bad.wav" "denoise bad.wav a.wav" "eval bad.wav tone.wav" \
    "eval tone.wav bad.wav"; do
    # shellcheck disable=SC2086
    {
        rm -f bad.wav
        refuses 'bad.wav: No such file' vocode $command
        : >bad.wav
        refuses 'bad.wav: empty' vocode $command
        head -c 3000 tone.wav >bad.wav
        refuses 'bad.wav: truncated' vocode $command
        cp mel.npy bad.wav
        refuses 'bad.wav: .*(.npy|NumPy|array)' vocode $command
        helper wav bad.wav 22050 1 0 1
        refuses 'bad.wav: .*(zero frames|empty|no audio)' vocode $command
    }
done
helper wav click.wav 22050 1 0.01 0.5
refuses 'click.wav: .*(short|256)' vocode encode click.wav a.npy
refuses 'click.wav: .*(short|256)' vocode score click.wav
finish
