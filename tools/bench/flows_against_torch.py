#!/usr/bin/env python3
"""Training, scoring and sampling of MAF and RealNVP here and in PyTorch (tools/bench/torch_flows.py), in turns, on the same threads.

usage: /usr/bin/python3 tools/bench/flows_against_torch.py [--library build/release/libvocode.so] [--threads 2] [--turns 5]
           [--seconds 1.0] [--flows maf realnvp] [--depth 3] [--rows 256 4096]

Each side is a process of its own that stays; one works while the other waits, and what starts and warms up does not count. Says
steps a second of training with batches of 256, and rows a second of scoring and sampling so many rows a call: the median of the turns,
their range, and that of the turns' ratios. Ours trains as `vocode flow fit` does: with clipping, the mean of the parameters, and every
row once an epoch. Needs numpy and torch.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHANNELS, BATCH, ROWS = 64, 256, 16384
SIZES = {'maf': dict(layers=5, hidden=128), 'realnvp': dict(layers=8, hidden=128)}


def data():
    """Vectors whose columns depend on each other."""
    import numpy
    random = numpy.random.default_rng(0)
    return (numpy.tanh(random.standard_normal((ROWS, CHANNELS)) @ random.standard_normal((CHANNELS, CHANNELS)) / 8)
            + random.standard_normal((ROWS, CHANNELS)) / 10).astype('f4')


def rate(work, seconds):
    """How often a second work() gives what it counts, over at least that long."""
    done, start = 0, time.monotonic()
    while True:
        done += work()
        passed = time.monotonic() - start
        if passed >= seconds:
            return done / passed


class Ours:
    def __init__(self, kind, sizes, threads):
        sys.path.insert(0, str(ROOT / 'tools/python'))
        import vocode
        self.vocode, self.threads, self.x = vocode, threads, data()
        self.spec = '%s:%s' % (kind, ','.join('%s=%d' % pair for pair in sizes.items()))
        self.flow = vocode.Flow.fit(self.x, self.spec, epochs=2, threads=threads)

    def train(self, seconds, _):
        stamps = []

        def watch(_):
            stamps.append(time.monotonic())
            return stamps[-1] - stamps[0] >= seconds

        held = 16  # of the rows, so that judging an epoch costs nothing to speak of
        self.vocode.Flow.fit(self.x, self.spec, valid=held / ROWS, epochs=10000, patience=10000, batch=BATCH, threads=self.threads,
                             watch=watch)
        return (len(stamps) - 1) * -(-(ROWS - held) // BATCH) / (stamps[-1] - stamps[0])

    def score(self, seconds, rows):
        return rate(lambda: len(self.flow.score(self.x[:rows], threads=self.threads)), seconds)

    def sample(self, seconds, rows):
        return rate(lambda: len(self.flow.sample(rows, threads=self.threads)), seconds)


class Theirs:
    def __init__(self, kind, sizes, threads):
        import torch
        import torch_flows
        torch.set_num_threads(threads)
        self.torch, self.torch_flows, self.x = torch, torch_flows, torch.from_numpy(data())
        self.flow = torch_flows.build(kind, CHANNELS, **sizes)
        self.optimizer = torch.optim.Adam(self.flow.parameters(), lr=1e-3, foreach=True)
        self.train(0, 0)

    def train(self, seconds, _):
        self.flow.train()
        return rate(lambda: self.torch_flows.steps(self.flow, self.x, BATCH, 16, self.optimizer), seconds)

    def score(self, seconds, rows):
        self.flow.eval()
        with self.torch.no_grad():
            return rate(lambda: len(self.flow.log_density(self.x[:rows])), seconds)

    def sample(self, seconds, rows):
        self.flow.eval()
        with self.torch.no_grad():
            return rate(lambda: len(self.flow.sample(rows)), seconds)


def work(side, kind, sizes, threads):
    """The process of one side: reads what to measure, for how long and with how many rows, says the rate."""
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    subject = {'ours': Ours, 'theirs': Theirs}[side](kind, json.loads(sizes), int(threads))
    print('ready', flush=True)
    for line in sys.stdin:
        what, seconds, rows = json.loads(line)
        print(getattr(subject, what)(seconds, rows), flush=True)


class Side:
    def __init__(self, side, kind, options):
        environment = {name: value for name, value in os.environ.items() if not name.startswith('OPENBLAS_')}
        environment['VOCODE_LIBRARY'] = str(options.library)
        sizes = json.dumps(dict(SIZES[kind], depth=options.depth))
        self.process = subprocess.Popen([sys.executable, __file__, '--work', side, kind, sizes, str(options.threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        if self.process.stdout.readline().strip() != 'ready':
            sys.exit('%s of %s did not start' % (side, kind))

    def measure(self, *what):
        print(json.dumps(what), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def measure(kind, options):
    sides = [Side(side, kind, options) for side in ('ours', 'theirs')]
    for what, unit, rows in [('train', 'steps', BATCH)] + [(what, 'rows', rows) for what in ('score', 'sample') for rows in options.rows]:
        pairs = [[side.measure(what, options.seconds, rows) for side in sides] for _ in range(options.turns)]
        ours, theirs = (sorted(numbers) for numbers in zip(*pairs))
        ratios = sorted(a / b for a, b in pairs)
        print('| %s | %s | %.0f (%.0f to %.0f) | %.0f (%.0f to %.0f) | %.1f (%.1f to %.1f) |' % (
            (kind, '%s %d rows, %s a second' % (what, rows, unit))
            + sum(((statistics.median(numbers), numbers[0], numbers[-1]) for numbers in (ours, theirs, ratios)), ())), flush=True)
    for side in sides:
        side.end()


def main():
    if sys.argv[1:2] == ['--work']:
        return work(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--library', type=pathlib.Path, default=ROOT / 'build/release/libvocode.so')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--turns', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=1)
    parser.add_argument('--flows', nargs='+', choices=SIZES, default=list(SIZES))
    parser.add_argument('--depth', type=int, default=3)
    parser.add_argument('--rows', type=int, nargs='+', default=[256, 4096])
    options = parser.parse_args()
    print('| flow | what | vocode | PyTorch | ratio |\n|---|---|---|---|---|')
    for kind in options.flows:
        measure(kind, options)


main()
