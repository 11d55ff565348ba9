#!/usr/bin/env bash
# vocode info of what vocode flow writes: densities of rows and of images, turned ones, and autoencoders.
source "$(dirname "$0")/lib.sh"

helper mel x.npy '<f4' C frames 3 600
helper mel wide.npy '<f4' C frames 12 600

# tells LINE...: the last run has printed them, in this order, and nothing else.
tells() {
    checks=$((checks + 1))
    [ "$(wc -l <out)" -eq $# ] || wrong "expected $# lines: $(cat out)"
    local number=0
    for line in "$@"; do
        number=$((number + 1))
        sed -n ${number}p out | grep -Eq -- "^$line$" || wrong "line $number is not /$line/: $(sed -n ${number}p out)"
    done
}

run 0 vocode flow fit x.npy model --flow 'maf:layers=2,hidden=8' --epochs 2 --base logistic --seed 3
run 0 vocode info model
silent
# two layers of [3 -> 8 -> 8 -> 8 -> 6] with their norms, and the data's mean and deviation
tells 'file: +model' 'kind: +vectors' 'rows: +3 numbers' 'flow: +maf:layers=2,hidden=8' 'direction: +to_latent' 'base: +logistic' \
    'context: +0' "parameters: +$((2 * (3 * 8 + 8 + 2 * (8 * 8 + 8) + 8 * 6 + 6 + 2 * 3) + 2 * 3))" 'dequantization: +none' \
    'standardisation: +mean( -?[0-9.e-]+,){2} -?[0-9.e-]+; deviation( [0-9.e-]+,){2} [0-9.e-]+' \
    'training: +rows 600, epochs 2, valid_nll -?[0-9.]+'
run 0 vocode info model --json
silent
for line in '"file": "model"' '"kind": "vectors"' '"flow": "maf:layers=2,hidden=8"' '"direction": "to_latent"' '"base": "logistic"' \
    '"channels": 3' '"image": null' '"context": 0' '"parameters": [0-9]+' '"dequantization": "none"' '"standardisation": \{' \
    '"context_standardisation": null' '"training": \{' '"config": \{'; do prints "^  $line,?$"; done
VOCODE_MODEL=model run 0 vocode info
prints '^kind: +vectors$'

# The first column's mean is the rows' own: a flow that does nothing else.
helper header steps.npy "'<f4'" '(4, 1)' 0
printf '\0\0\200\77\0\0\0\100\0\0\100\100\0\0\200\100' >>steps.npy # 1, 2, 3, 4
run 0 vocode flow fit steps.npy steps --flow actnorm --epochs 1 --valid 0.5
run 0 vocode info steps
prints '^rows: +1 number$'
prints '^standardisation: +mean [1-4](\.5)?; deviation [01]\.5$'

# Many columns, and a context.
run 0 vocode flow fit x.npy given --flow coupling:hidden=8 --epochs 1 --context wide.npy
run 0 vocode info given
prints '^context: +12$'
prints '^of the context: +means from -?[0-9.e-]+ to -?[0-9.e-]+; deviations from [0-9.e-]+ to [0-9.e-]+$'

# Images, with noise.
helper header grey.npy "'|u1'" '(60, 2, 4)' 0
for i in $(seq 240); do printf '\0\1'; done >>grey.npy
run 0 vocode flow fit grey.npy grey --flow affine --dequantize uniform --epochs 1
run 0 vocode info grey
tells 'file: +grey' 'kind: +vectors' 'rows: +images of 2 x 4 pixels' 'flow: +dequantize,affine' 'direction: +to_latent' 'base: +gaussian' \
    'context: +0' 'parameters: +32' 'dequantization: +uniform' 'standardisation: +mean 1; deviation 0.57735' \
    'training: +rows 60, epochs 1, valid_nll -?[0-9.]+' 'held out: +at most -?[0-9.]+ bits a number'
helper header planes.npy "'|u1'" '(60, 1, 4, 2)' 0
for i in $(seq 240); do printf '\0\1'; done >>planes.npy
run 0 vocode flow fit planes.npy planes --flow affine --dequantize variational --epochs 1
run 0 vocode info planes
prints '^rows: +images of 1 x 4 pixels of 2 planes$'
prints '^dequantization: +variational$'
prints '^standardisation: +mean 0.5, 1.5; deviation 0.288675, 0.288675$'
run 0 vocode info planes --json
prints '^    "planes": 2$'
prints '^  "valid_bits": -?[0-9.]+,$'

# From noise to data.
run 0 vocode flow vi U1 turned --flow planar:K=2 --steps 10
run 0 vocode info turned
prints '^direction: +to_data$'
prints '^training: +on no rows$'
run 0 vocode info turned --json
prints '^  "standardisation": null,$'

# Autoencoders.
run 0 vocode flow vae planes.npy auto --posterior mean-field --latent 2 --hidden 8 --depth 2 --epochs 1
run 0 vocode info auto
tells 'file: +auto' 'kind: +vae' 'rows: +images of 1 x 4 pixels of 2 planes' 'posterior: +mean-field' 'levels: +1' 'latent: +2' \
    'hidden: +8' 'depth: +2' 'parameters: +[0-9]+' 'training: +rows 60, epochs 1, valid_elbo -?[0-9.]+'
run 0 vocode info auto --json
prints '^  "posterior": "mean-field",$'

# What is damaged is not told about.
sed 's/"flow\([\\]*\)":/"flaw\1":/' model >cut
refuses 'cut: expected .*"flow' vocode info cut
sed 's/vectors/vector /' model >other
refuses 'other: expected the kind waveglow.*found "vector "' vocode info other
head -c 1000 model >cut
refuses 'cut: ' vocode info cut --json

finish
