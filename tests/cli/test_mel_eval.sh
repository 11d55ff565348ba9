#!/usr/bin/env bash
# mel over files and folders; eval's table, JSON and page.
source "$(dirname "$0")/lib.sh"

helper wav tone.wav 22050 1 1.2 0.5
helper wav wide.wav 48000 2 1.2 0.5

# Shapes and layouts.
shape() { head -c 128 "$1" | grep -ao "'shape': ([0-9, ]*)"; }
run 0 vocode mel tone.wav a.npy
silent
[ "$(shape a.npy)" = "'shape': (80, 104)" ] || wrong "tacotron2: $(shape a.npy)"
run 0 vocode mel --preset=fastspeech2 tone.wav b.npy
[ "$(shape b.npy)" = "'shape': (104, 80)" ] || wrong "fastspeech2: $(shape b.npy)"
run 0 vocode mel --preset=fastspeech2 tone.wav b.npy --layout mels-first
same a.npy b.npy
run 0 vocode mel --preset=waveglow tone.wav b.npy
same a.npy b.npy
run 0 vocode mel tone.wav b.npy --preset vocos
says 'resampled from 22050 Hz to 24000 Hz'
[ "$(shape b.npy)" = "'shape': (100, 113)" ] || wrong "vocos: $(shape b.npy)"
run 0 vocode mel wide.wav b.npy
says 'wide.wav: .*(channels|averaged)'
says 'wide.wav: resampled from 48000 Hz to 22050 Hz'
vocode mel - - <tone.wav >b.npy 2>err || wrong "pipe"
same a.npy b.npy
vocode mel /dev/stdin b.npy <tone.wav 2>err || wrong "/dev/stdin"
same a.npy b.npy
if [ -e "$MODELS/default.safetensors" ]; then
    run 0 vocode mel tone.wav b.npy --model "$MODELS/default.safetensors"
    same a.npy b.npy
fi

# Folders are mirrored; equal outputs are refused; bad files are passed over.
mkdir -p corpus/one/two corpus/three
cp tone.wav corpus/one/two/x.wav
cp tone.wav corpus/three/y.WAV
echo text >corpus/readme.txt
run 0 vocode mel corpus -o mels
silent
same a.npy mels/one/two/x.npy
same a.npy mels/three/y.npy
[ "$(find mels -type f | wc -l)" -eq 2 ] || wrong "other files in mels"
run 0 vocode mel corpus/ tone.wav -o mels2
same a.npy mels2/tone.npy
same a.npy mels2/one/two/x.npy
run 2 vocode mel tone.wav corpus/one/two/x.wav corpus/one/two -o mels3
says 'both be written to mels3/x.npy'
[ ! -e mels3 ] || wrong "mels3 was made"
echo nothing >corpus/bad.wav
run 1 vocode mel corpus -o mels4
says '^vocode: corpus/bad.wav: '
[ "$(find mels4 -type f | wc -l)" -eq 2 ] || wrong "past a bad file"

# eval: a file against itself is perfect, against another one not; two folders pair by stem.
run 0 vocode eval tone.wav tone.wav
silent
prints '^file +mrstft +mcd +per +vuv +f0 +mel_l1$'
prints '^tone +0.000 +0.000 +0.000 +1.000 +0.000 +0.000$'
prints '^mean of 1 +0.000'
mkdir ref gen
helper wav ref/a.wav 22050 1 1.2 0.5
helper wav gen/a.wav 22050 1 1.1 0.25
helper wav 'ref/<b> & "c".wav' 22050 1 1.2 0.5
helper wav 'gen/<b> & "c".wav' 22050 1 1.2 0.4
vocode denoise --model "$TEST_DATA/golden/frameflow_tiny/model.safetensors" --strength 0 ref/a.wav ref/d.flac || wrong flac
cp ref/a.wav gen/d.wav
cp tone.wav ref/lonely.wav
cp tone.wav gen/alone.wav
run 0 vocode eval ref gen
says 'warning: ref/lonely.wav .*left out'
says 'warning: gen/alone.wav .*left out'
prints '^a +[0-9.]+ '
prints '^<b> & "c" +[0-9.]+ '
prints '^d +0.000 +'
prints '^mean of 3 '
# Half the amplitude is 6.02 dB: log10 2 = 0.301 where the floor does not cut.
holds "$(awk '$1 == "a" { print $2 }' out) > 0.2 && $(awk '$1 == "a" { print $2 }' out) < 0.302"
run 0 vocode eval ref gen --json
for line in '"files": \[' '"mean": \{' '"unmatched": \['; do prints "^  $line"; done
for figure in mrstft mcd per vuv f0 mel_l1; do
    [ "$(grep -c "\"$figure\": " out)" -eq 4 ] || wrong "$figure is not in the JSON of every file and the mean"
done
# Silence has no voiced frames: those figures are not defined.
helper wav silent.wav 22050 1 1 0
run 0 vocode eval silent.wav silent.wav
prints '^silent +.*-'
run 0 vocode eval silent.wav silent.wav --json
prints '"vuv": null'

# The page: one file that needs nothing else, with names escaped.
run 0 vocode eval ref gen --html page.html
prints '^mean of 3 '
[ "$(grep -c '<audio' page.html)" -ge 6 ] && [ "$(grep -o 'data:image/png;base64,iVBORw0KGgo' page.html | wc -l)" -eq 6 ] ||
    wrong "pictures and players"
[ "$(grep -o 'data:audio/wav;base64,UklGR' page.html | wc -l)" -eq 6 ] || wrong "sounds"
grep -Eq 'https?://|<script|<link|@import|url\(' page.html && wrong "the page needs the network"
grep -Eq '<b> &|"c"\.|alt="[^"]*<' page.html && wrong "a name is not escaped"
grep -q '&lt;b&gt; &amp; &quot;c&quot;' page.html || wrong "the escaped name is missing"
grep -q '<meta charset="utf-8">' page.html || wrong "no charset"

# Nothing to pair; two kinds; what cannot be measured.
mkdir empty
refuses 'found no pair' vocode eval ref empty
refuses 'two folders or two files' vocode eval ref tone.wav
refuses 'cannot read none: No such file' vocode eval none gen
echo nothing >gen/a.wav
run 1 vocode eval ref gen
says '^vocode: gen/a.wav: '
prints '^mean of 2 '
finish
