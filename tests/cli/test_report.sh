#!/usr/bin/env bash
# vocode report: the page about a training run, from whole, torn, empty and absent runs.
source "$(dirname "$0")/lib.sh"
here=$(dirname "$(realpath "$0")")
command -v python3 >/dev/null || {
    echo "skipped: there is no python3"
    exit 77
}

# has TEXT: the last page has it, literally.
has() {
    checks=$((checks + 1))
    grep -qF -- "$1" page.html || wrong "the page does not have: $1"
}
lacks() {
    checks=$((checks + 1))
    ! grep -qF -- "$1" page.html || wrong "the page has: $1"
}

python3 "$here/make_run.py" run 4000 || exit 1
run 0 vocode report run page.html
silent
run 0 python3 "$here/check_page.py" page.html
prints '^4 curves 10 pictures 10 sounds$'

# What it says comes from the log and the configuration.
loss=$(python3 -c 'import json; l = [json.loads(x) for x in open("run/log.jsonl")]
print("%.4f" % -[x for x in l if "nll" in x][-1]["nll"], "%.4f" % -[x for x in l if "bits" in x][-1]["bits"],
      "%.4f" % -min(x["validation_nll"] for x in l if "validation_nll" in x))')
read -r nats bits best <<<"$loss"
has "<dd>&minus;$nats nats (&minus;$bits bits) a sample</dd>"
has "<dt>validation, best</dt><dd>&minus;$best nats"
has "<td>&minus;$nats</td><td>&minus;$bits</td>"
has "4,000 of 8,000"
has "16.7 minutes"
has "1 step whose numbers were not finite"
has "A negative loss is normal."
has "nll is in nats &amp; may be &lt; 0"
has "b&lt;0028&gt;"
has "&lt;b&gt;&amp;"
has "generated after step 500"
has "generated after step 4000"
lacks "cut off"
lacks "Loss of samples"

# Runs with a loss of samples have its curve.
cp -r run drawn
sed -i -E 's/("step": [0-9]*), "(validation_)?nll"/\1, "\2spectral": 1.875, "\2nll"/' drawn/log.jsonl
run 0 vocode report drawn page.html
run 0 python3 "$here/check_page.py" page.html
prints '^5 curves 10 pictures 10 sounds$'
has "Loss of samples"
has "<td>1.8750</td><td>1.8750</td>"

# A line that is being written, lines that are none, numbers that are not finite, and a run that went back.
{
    echo 'no JSON'
    echo '[1, 2]'
    echo '{"step": 3500, "nll": -9.125, "bits": -13.1646, "gradient_norm": null, "seconds": 875, "skipped": 7}'
    printf '{"step": 3510, "nll": -8'
} >>run/log.jsonl
run 0 vocode report run page.html
says 'warning: 2 lines of run/log.jsonl are damaged and passed over'
run 0 python3 "$here/check_page.py" page.html
has "3,500 of 8,000"
has "&minus;9.1250 nats"
has "7 steps whose numbers"
has "2 lines of the log, passed over"
has "1 number of the log, not drawn"
has "the last line of the log, left out"
lacks "&minus;8.0000"
has "generated after step 3000"
lacks "generated after step 4000"

# Clips of any step are shown, also where the last one is not whole yet.
rm "run/samples/3000/a0027.wav"
run 0 vocode report run page.html
has "<h3>a0027</h3>"

# An objective that is no likelihood, few lines, no configuration file, no samples; a sound that is none.
mkdir -p few/samples/3
echo text >few/samples/3/a.wav
echo '{"step": 3, "loss": 0.5, "seconds": 2}' >few/log.jsonl
run 0 vocode report few page.html
says 'a sound is left out: .*a.wav'
run 0 python3 "$here/check_page.py" page.html
prints '^1 curves 0 pictures 0 sounds$'
has "objective is no likelihood"
has "<dd>0.5000</dd>"
lacks "negative loss"
echo '{' >few/config.json
run 0 vocode report few page.html
says 'config.json'

rm -r page.html few/config.json few/samples
mkdir empty begun
echo '{"about": "words"}' >begun/log.jsonl
refuses 'nowhere: No such file' vocode report nowhere page.html
refuses 'empty has no log.jsonl: it is not the folder of a training run' vocode report empty page.html
refuses 'begun/log.jsonl has no step yet' vocode report begun page.html
refuses 'few/log.jsonl is a file; expected the folder' vocode report few/log.jsonl page.html
refuses 'absent/page.html' vocode report few absent/page.html
misused 'expected' vocode report few
finish
