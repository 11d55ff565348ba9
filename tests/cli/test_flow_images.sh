#!/usr/bin/env bash
# vocode flow on arrays of images: shapes in and out, pictures of samples, class-conditional ones, and what cannot be.
source "$(dirname "$0")/lib.sh"

# shape FILE: as its header says.
shape() { head -c 128 "$1" | grep -ao "(.*)" | tr -d ' '; }
shaped() {
    checks=$((checks + 1))
    [ "$(shape "$1")" = "$2" ] || wrong "$1 has the shape $(shape "$1"), expected $2"
}

# Whole numbers of all sizes: samples of a flow that spreads them.
helper header black.npy "'<f4'" '(60, 4, 4)' 3840
run 0 vocode flow fit black.npy spread --flow affine:scale=9 --dequantize uniform --epochs 1 --rate 1e-8
run 0 vocode flow sample spread 150 grey.npy --seed 2
shaped grey.npy '(150,4,4)'
differ black.npy grey.npy
helper mel labels.npy '<f4' C frames 3 150

small='multiscale:channels=4,couplings=2'
run 0 vocode flow fit grey.npy model --flow $small --dequantize uniform --epochs 2 --threads 1
says '^vocode: model: [0-9]+ parameters, -?[0-9.]+ nats a row, at most -?[0-9.]+ bits a number, held out after 2 epochs$'
cp model first
run 0 vocode flow fit grey.npy model --flow $small --dequantize uniform --epochs 2 --threads 2
same model first
run 0 vocode flow score model grey.npy rows.npy
prints '^grey.npy  log probability at least -?[0-9.]+ nats a row \+- [0-9.]+  at most [0-9.]+ bits a number  150 rows$'
run 0 vocode flow encode model grey.npy z.npy
shaped z.npy '(150,16)'
run 0 vocode flow decode model z.npy back.npy
shaped back.npy '(150,4,4)'
same back.npy grey.npy
run 0 vocode flow sample model 7 drawn.npy --seed 3
shaped drawn.npy '(7,4,4)'

# Rows of as many numbers may be anything; the line says what images they are.
tail -c +129 grey.npy >grey.f32
helper header flat.npy "'<f4'" '(150, 16)' 0
cat grey.f32 >>flat.npy
run 0 vocode flow score model flat.npy
run 0 vocode flow fit flat.npy rows --flow $small,width=4 --dequantize variational --epochs 1
run 0 vocode flow decode rows z.npy back.npy
shaped back.npy '(150,16)'

# An axis of planes, and convolutions in couplings of other lines.
helper header planes.npy "'<f4'" '(75, 4, 2, 4)' 0
cat grey.f32 >>planes.npy
run 0 vocode flow fit planes.npy planes --flow 'multiscale:channels=3,couplings=1,network=perceptron,norm=batchnorm' \
    --dequantize variational --epochs 1
run 0 vocode flow sample planes 3 drawn.npy
shaped drawn.npy '(3,4,2,4)'
run 0 vocode flow fit grey.npy couplings --dequantize uniform --epochs 1 \
    --flow 'coupling:network=conv,mask=alternate_checkerboard,hidden=3,depth=1*2,realnvp:layers=2,network=conv,hidden=2'

# Conditioned on a label.
run 0 vocode flow fit grey.npy given --flow $small --dequantize variational --epochs 1 --context labels.npy
run 0 vocode flow sample given 150 a.npy --context labels.npy
run 0 vocode flow score given grey.npy --context labels.npy

# Pictures: 16 x 16 samples, or one for each of the first rows of context; colours where there are three planes.
png() { # FILE WIDTH HEIGHT
    checks=$((checks + 1))
    [ "$(head -c 24 "$1" | tail -c 8 | od -An -tx1 | tr -d ' \n')" = "$(printf '%08x%08x' "$2" "$3")" ] ||
        wrong "$1 is no PNG of $2 x $3"
}
run 0 vocode flow plot model model.png
png model.png $((16 * 30 + 6)) $((16 * 30 + 6))
run 0 vocode flow plot model again.png --threads 1
same model.png again.png
run 0 vocode flow plot model again.png --seed 1
differ model.png again.png
run 0 vocode flow plot given given.png --context labels.npy
png given.png $((13 * 30 + 6)) $((12 * 30 + 6))
helper mel others.npy '<f4' C frames 3 7
run 0 vocode flow plot given few.png --context others.npy
png few.png $((3 * 30 + 6)) $((3 * 30 + 6))
helper header colours.npy "'<f4'" '(40, 2, 4, 3)' 3840
run 0 vocode flow fit colours.npy colours --flow affine --dequantize uniform --epochs 1
run 0 vocode flow plot colours colours.png
png colours.png $((16 * 30 + 6)) $((16 * 18 + 6))
refuses 'given: expected 3 numbers of context a row .--context., found 0' vocode flow plot given d.png
refuses 'model: expected 0 numbers of context a row .--context., found 3' vocode flow plot model d.png --context labels.npy
refuses 'planes: expected rows of 2 numbers, or images of up to 256 x 256 pixels of 1 or 3 channels' \
    vocode flow plot planes d.png

# What does not fit.
helper header odd.npy "'<f4'" '(20, 4, 3)' 960
helper header wide.npy "'<f4'" '(20, 2, 8)' 1280
helper header one.npy "'<f4'" '(1, 4, 4)' 64
helper header five.npy "'<f4'" '(2, 2, 2, 2, 2)' 128
noisy() { vocode flow fit "$1" new --flow "$2" --dequantize uniform; }
refuses 'flow "dequantize,multiscale": expected images that can be squeezed 1 times, found 4 x 3 pixels at level 1' \
    noisy odd.npy multiscale
refuses 'expected at least two pixels at every level, found 1 x 1 at level 3 of 4' noisy grey.npy multiscale:levels=4
refuses 'expected images of rows of 3 pixels' noisy grey.npy coupling:network=conv,width=3
refuses 'expected images of 3 x 4 pixels' noisy grey.npy multiscale:height=3
refuses 'one.npy: expected at least 2 rows' noisy one.npy $small
refuses 'five.npy: expected an array \[rows, columns\], or images .*found one of 5 axes' noisy five.npy $small
refuses 'black.npy: column 0: expected numbers that vary, found 0' vocode flow fit black.npy new --flow $small
refuses 'odd.npy: expected rows of 16 numbers for model, found 12' vocode flow score model odd.npy
refuses 'wide.npy: expected images of 4 x 4 pixels for model, found 2 x 8' vocode flow score model wide.npy
refuses 'grey.npy: expected an array \[rows, columns\] of context, found one of 3 axes' \
    vocode flow score given grey.npy --context grey.npy
sed 's/\(height[\\]*":\)4/\15/' model >cut
refuses 'cut: expected images of 16 numbers, found 5 x 4 pixels' vocode flow score cut grey.npy

finish
