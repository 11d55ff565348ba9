#!/usr/bin/env bash
# vocode flow: densities of vectors from fit to samples, and a sentence for every kind of bad input.
source "$(dirname "$0")/lib.sh"

helper mel x.npy '<f4' C frames 3 600
helper mel wide.npy '<f4' C frames 4 600
helper mel short.npy '<f4' C frames 3 5
helper mel one.npy '<f4' C frames 3 1

run 0 vocode flow list
silent
for name in linear planar nice multiscale realnvp glow recursive made maf iaf ode cnf; do prints "^$name +[a-z].* (a network|2d networks|d|d networks a stage)"; done
prints 'layers'
prints 'context .* has no effect on affine, scaling, .*inv1x1'

# Fit, score, to the latent and back.
run 0 vocode flow fit x.npy model --flow 'maf:layers=2,hidden=8' --epochs 3
says 'model: [0-9]+ parameters, .* nats a row held out after [0-9]+ epochs'
cp model first
run 0 vocode flow fit x.npy model --flow=maf:layers=2,hidden=8 --epochs 3 --threads 1 -q
silent
same model first
run 0 vocode flow score model x.npy rows.npy
prints '^x.npy  log density -?[0-9.]+ nats a row \+- [0-9.]+  -?[0-9.]+ bits a number  600 rows$'
[ "$(wc -c <rows.npy)" -eq $((128 + 4 * 600)) ] || wrong "rows.npy does not hold 600 numbers"
run 0 vocode flow encode model x.npy z.npy
silent
run 0 vocode flow decode model z.npy back.npy
tail -c +129 back.npy >back.f32
run 0 helper error back.f32 x.npy
prints '.'
holds "$(cat out) < 1e-3"
run 0 vocode flow sample model 700 a.npy --seed 4 --threads 2
run 0 vocode flow sample model 700 b.npy --seed 4 --threads 1
same a.npy b.npy
run 0 vocode flow sample model 700 b.npy --seed 5
differ a.npy b.npy
run 0 vocode flow score model a.npy

# With a context.
run 0 vocode flow fit x.npy given --flow 'actnorm,coupling:hidden=8*2' --context wide.npy --epochs 1 --base logistic
run 0 vocode flow score given x.npy --context wide.npy
run 0 vocode flow sample given 600 c.npy --context wide.npy
refuses 'expected 4 numbers of context a row .--context., found 0' vocode flow score given x.npy
refuses 'wide.npy: expected 7 rows of context, found 600' vocode flow sample given 7 d.npy --context wide.npy
refuses 'expected 4 numbers of context a row .*found 3' vocode flow score given x.npy --context x.npy

# A continuous flow, by matching and by likelihood.
run 0 vocode flow fit x.npy cnf --flow cnf:hidden=8,depth=2,solver=rk4,steps=4 --train matching --epochs 2
says 'cnf: [0-9]+ parameters, .* nats a row held out after 2 epochs'
run 0 vocode flow fit x.npy cnf --flow ode:hidden=4,depth=1,trace=hutchinson,rtol=1e-3,atol=1e-3 --epochs 1 --train=likelihood
run 0 vocode flow score cnf x.npy --threads 1
cp out first
run 0 vocode flow score cnf x.npy --threads 2
same out first
refuses 'expected one continuous flow .ode. to train by matching' vocode flow fit x.npy new --flow maf --train matching
refuses 'flow "ode:trace=some": .*exact' vocode flow fit x.npy new --flow ode:trace=some

# Whole numbers, made real by noise.
helper header whole.npy "'<f4'" '(20, 2)' 160
for noise in uniform variational; do
    run 0 vocode flow fit whole.npy whole --flow actnorm --dequantize $noise --epochs 1
    run 0 vocode flow score whole whole.npy
    prints '^whole.npy  log probability at least -?[0-9.]+ nats a row .*  at most -?[0-9.]+ bits a number  20 rows$'
    run 0 vocode flow encode whole whole.npy z.npy
    run 0 vocode flow decode whole z.npy back.npy
    tail -c +129 whole.npy >whole.f32
    tail -c +129 back.npy >back.f32
    same whole.f32 back.f32
done
refuses 'x.npy: expected whole numbers to dequantize, found .* in row 0, column [01]' \
    vocode flow fit x.npy new --flow maf --dequantize uniform
misused 'dequantize: expected' vocode flow fit x.npy new --flow maf --dequantize some

# Pictures: of the plane, of images, of nothing else.
helper mel plane.npy '<f4' C frames 2 600
run 0 vocode flow fit plane.npy plane --flow actnorm,recursive:hidden=4 --epochs 1
run 0 vocode flow plot plane plane.png
silent
[ "$(head -c 4 plane.png | tail -c 3)" = PNG ] || wrong "plane.png is no PNG"
helper mel square.npy '<f4' C frames 4 600
run 0 vocode flow fit square.npy square --flow actnorm --epochs 1
run 0 vocode flow plot square square.png
[ "$(head -c 4 square.png | tail -c 3)" = PNG ] || wrong "square.png is no PNG"
refuses 'model: expected rows of 2 numbers, or images' vocode flow plot model d.png
refuses 'given: expected a model without a context' vocode flow plot given d.png

# Variational inference: the bound, log Z and the truth; the model is one like others.
run 0 vocode flow vi u2 sine --flow planar:K=4 --steps 300 --tries 2 --batch 64 --threads 1
silent
prints '^U2  bound -?[0-9.]+ \+- [0-9.]+ nats  log Z -?[0-9.]+ \+- [0-9.]+ from [0-9]+% of 200000 draws  in truth 2.02[0-9]+  KL [0-9.]+$'
cp sine first
run 0 vocode flow vi U2 sine --flow planar:K=4 --steps 300 --tries 2 --batch 64 --threads 2
same sine first
run 0 vocode flow sample sine 500 drawn.npy
run 0 vocode flow score sine drawn.npy
run 0 vocode flow plot sine sine.png
refuses 'expected the name of an energy .U1, U2, U3, U4., found "U9"' vocode flow vi U9 new --flow planar
refuses 'cannot.*none/new|none/new' vocode flow vi U1 none/new --flow planar:K=1 --steps 2 --tries 1
refuses 'flow "plane": expected the name of a flow' vocode flow vi U1 new --flow plane
misused 'vi: --flow is missing' vocode flow vi U1 new
misused 'vi: expected ENERGY MODEL' vocode flow vi U1
misused 'tries: expected a whole number' vocode flow vi U1 new --flow planar --tries 0

# Autoencoders: fitted at any number of threads, and served by the other actions.
helper mel half.npy '<f4' C frames 4 300
helper header pixels.npy "'|u1'" '(60, 2, 2)' 0
for i in $(seq 80); do printf '\0\1\1'; done >>pixels.npy
run 0 vocode flow vae pixels.npy auto --posterior planar:K=2 --latent 2 --hidden 8 --epochs 5 --threads 1
says 'auto: [0-9]+ parameters, log probability at least -[0-9.]+ nats a row held out'
run 0 vocode flow vae pixels.npy again --posterior planar:K=2 --latent 2 --hidden 8 --epochs 5 --threads 2
same auto again
run 0 vocode flow sample auto 7 drawn.npy
run 0 vocode flow score auto drawn.npy rows.npy --draws 20
prints '^drawn.npy  log probability at least -[0-9.]+ nats a row \+- [0-9.]+  with 20 weighted draws at least -[0-9.]+ \+- [0-9.]+  at most [0-9.]+ bits a number  7 rows$'
run 0 vocode flow encode auto drawn.npy z.npy
run 0 vocode flow encode auto drawn.npy again.npy --draw --seed 1
differ z.npy again.npy
run 0 vocode flow encode auto drawn.npy other.npy --draw --seed 2
differ other.npy again.npy
run 0 vocode flow decode auto z.npy means.npy
run 0 vocode flow sample auto 7 means.npy --means
run 0 vocode flow plot auto auto.png
[ "$(head -c 4 auto.png | tail -c 3)" = PNG ] || wrong "auto.png is no PNG"
helper header planes.npy "'|u1'" '(20, 1, 2, 3)' 0
for i in $(seq 60); do printf '\0\1'; done >>planes.npy
run 0 vocode flow vae planes.npy planes --posterior mean-field --latent 2 --hidden 8 --epochs 1
run 0 vocode flow sample planes 3 colours.npy
head -c 128 colours.npy | grep -q '(3, 1, 2, 3)' || wrong "colours.npy is not of the shape (3, 1, 2, 3)"
run 0 vocode flow plot planes colours.png
refuses 'z.npy: expected rows of 4 numbers for auto, found 2' vocode flow score auto z.npy
helper header wide.npy "'|u1'" '(2, 1, 4)' 8
refuses 'wide.npy: expected images of 2 x 2 pixels for auto, found 1 x 4' vocode flow score auto wide.npy
helper header zero.npy "'|u1'" '(5, 4)' 20
refuses 'zero.npy: expected numbers that vary, found 0 everywhere' vocode flow vae zero.npy new --epochs 1
head -c 132 zero.npy >single.npy
sed -i 's/(5, 4)/(1, 4)/' single.npy
refuses 'single.npy: expected at least 2 rows' vocode flow vae single.npy new --epochs 1
misused 'vae: expected no --flow; the flow of the posterior is --posterior' vocode flow vae pixels.npy new --flow iaf
misused 'vae: expected no --context' vocode flow vae pixels.npy new --context pixels.npy
refuses 'half.npy: row [0-9]+, column [0-9]+: expected a whole number' vocode flow vae half.npy new --epochs 1
refuses 'means.npy: row 0, column 0: expected a whole number from 0 to 1' vocode flow score auto means.npy
refuses 'x.npy: expected rows of 2 numbers for auto, found 3' vocode flow decode auto x.npy new
refuses 'posterior "dequantize,iaf": expected flows' vocode flow vae pixels.npy new --posterior dequantize,iaf --epochs 1
refuses 'flow "plane": expected the name of a flow' vocode flow vae pixels.npy new --posterior plane --epochs 1
refuses 'cannot open none.npy' vocode flow vae none.npy new
refuses 'auto: an autoencoder takes no --context' vocode flow score auto drawn.npy --context drawn.npy
misused 'vae: expected X.npy MODEL' vocode flow vae pixels.npy
misused 'latent: expected a whole number' vocode flow vae pixels.npy new --latent 0

# Bad data.
fit() { vocode flow fit "$1" new --flow actnorm; }
refuses 'cannot open none.npy' fit none.npy
refuses 'one.npy: expected at least 2 rows' fit one.npy
: >empty.npy
refuses 'empty.npy: .*empty' fit empty.npy
helper header nothing.npy "'<f4'" '(0, 3)' 0
refuses 'nothing.npy: .*empty array' fit nothing.npy
helper header same.npy "'<f4'" '(20, 3)' 240
refuses 'same.npy: column 0: expected numbers that vary, found 0' fit same.npy
cp x.npy bad.npy
helper spoil bad.npy $((128 + 4 * 7)) nan
refuses 'bad.npy: expected finite numbers, found 1 rows of 600 with NaN or infinity, the first is 2' fit bad.npy
refuses 'bad.npy: expected finite numbers, found -?nan in row 2, column 1' vocode flow score model bad.npy
refuses 'wide.npy: expected rows of 3 numbers for model, found 4' vocode flow score model wide.npy d.npy
refuses 'wide.npy: expected rows of 3 numbers' vocode flow encode model wide.npy d.npy
refuses 'x.npy: .*safetensors|x.npy: ' vocode flow score x.npy x.npy
tiny_model speech
refuses 'speech: expected a model of vectors.*kind "frameflow"' vocode flow score speech x.npy
head -c 1000 model >cut
refuses 'cut: ' vocode flow score cut x.npy
refuses 'flow "mafs": expected the name of a flow .*maf' vocode flow fit x.npy new --flow mafs
refuses 'flow "maf:layer=2": .*layer' vocode flow fit x.npy new --flow maf:layer=2
refuses 'expected a number of samples, found "-?many"' vocode flow sample model many d.npy

misused 'expected fit, sample, score, encode, decode, plot, vi, vae or list, found "train"' vocode flow train x.npy
misused 'fit: --flow is missing' vocode flow fit x.npy new
misused 'score: expected MODEL X.npy' vocode flow score model
misused 'at least 1 argument' vocode flow
misused 'train: expected' vocode flow fit x.npy new --flow ode --train guessing
misused 'valid: expected a number' vocode flow fit x.npy new --flow maf --valid 1

finish
