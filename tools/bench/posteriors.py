#!/usr/bin/env python3
"""How much a flow as posterior tightens the bound of an autoencoder: handwritten digits, the same networks, steps and seeds.

usage: /usr/bin/python3 tools/bench/posteriors.py DIGITS.npy [--program build/release/bin/vocode] [--posteriors SPEC...]
           [--seeds 5] [--fit "OPTION..."] [--jobs 2]

DIGITS.npy is what tools/digits.py writes. A fit's seed is that of its weights, of its draws and of which rows are held out; the bound is that
of these rows, at the epoch where it was best. Printed are means over the seeds with their standard errors, and the differences between
neighbours, each of the same seed, with theirs. Needs numpy.
"""
import argparse
import concurrent.futures
import math
import pathlib
import re
import shlex
import subprocess
import tempfile

import numpy


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('digits', type=pathlib.Path)
    parser.add_argument('--program', type=pathlib.Path, default='build/release/bin/vocode')
    parser.add_argument('--posteriors', nargs='+', default=['mean-field', 'planar', 'iaf'])
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--fit', default='--latent 32 --hidden 48 --epochs 1000')
    parser.add_argument('--jobs', type=int, default=2)
    given = parser.parse_args()

    def fit(posterior, seed, folder):
        model = pathlib.Path(folder) / ('%d-%d' % (given.posteriors.index(posterior), seed))
        done = subprocess.run([given.program, 'flow', 'vae', given.digits, model, '--posterior', posterior, '--seed', str(seed), '--threads', '1',
                               *shlex.split(given.fit)], check=True, capture_output=True, text=True)
        return float(re.search(r'at least (-[0-9.]+) nats a row held out', done.stderr).group(1))

    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        running = {p: [pool.submit(fit, p, seed, folder) for seed in range(given.seeds)] for p in given.posteriors}
        bounds = {p: numpy.array([r.result() for r in results]) for p, results in running.items()}
    root = math.sqrt(given.seeds)
    print('| posterior | ELBO, nats a row held out | better than the one above, same seeds |\n|---|---|---|')
    before = None
    for posterior, values in bounds.items():
        gain = ''
        if before is not None:
            gains = values - before
            gain = '%.2f ± %.2f' % (gains.mean(), gains.std(ddof=1) / root)
        print('| %s | %.2f ± %.2f | %s |' % (posterior, values.mean(), values.std(ddof=1) / root, gain))
        before = values


if __name__ == '__main__':
    main()
