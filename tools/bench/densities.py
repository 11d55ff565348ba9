#!/usr/bin/env python3
"""How near flows come to densities of the plane whose entropy is known.

usage: /usr/bin/python3 tools/bench/densities.py OUT_DIR [--program build/release/bin/vocode] [--sets NAME...]
           [--flows NAME...] [--spec NAME=SPEC]... [--fit "OPTION..."] [--threads 2] [--no-pictures]

The sets: a ring of 8 Gaussians, two spirals as a mixture of Gaussians, a banana, a checkerboard; 20,000 rows to fit, 50,000 others to
score. A cell is the mean of -log p of those in nats, minus the entropy, and the seconds of the fit. OUT_DIR receives the rows, the
models, a picture a cell (vocode flow plot) and table.md. Needs numpy.
"""
import argparse
import math
import pathlib
import re
import resource
import shlex
import subprocess
import sys
import time

import numpy

ROWS, HELD_OUT = 20000, 50000
FLOWS = {'nice': 'nice', 'realnvp': 'realnvp', 'glow': 'glow', 'recursive': 'recursive', 'maf': 'maf', 'continuous': 'ode'}


class Mixture:
    """Gaussians of one deviation and equal weights."""

    def __init__(self, centres, deviation):
        self.centres, self.deviation = numpy.asarray(centres, float), deviation

    def draw(self, random, rows):
        chosen = random.integers(len(self.centres), size=rows)
        return self.centres[chosen] + self.deviation * random.standard_normal((rows, 2))

    def density(self, x, y):
        total = numpy.zeros(numpy.broadcast(x, y).shape)
        for centre in self.centres:
            total += numpy.outer(numpy.exp(-(y - centre[1]) ** 2 / 2 / self.deviation ** 2),
                                 numpy.exp(-(x - centre[0]) ** 2 / 2 / self.deviation ** 2))
        return total / (2 * math.pi * self.deviation ** 2 * len(self.centres))

    def entropy(self):
        """The midpoint rule, which converges geometrically for what is so smooth; four points a deviation are plenty."""
        step = self.deviation / 4
        low, high = self.centres.min(0) - 9 * self.deviation, self.centres.max(0) + 9 * self.deviation
        x, y = numpy.arange(low[0], high[0], step), numpy.arange(low[1], high[1], step)
        p = self.density(x[None, :], y[:, None])
        assert abs(p.sum() * step ** 2 - 1) < 1e-9
        return -(p * numpy.log(numpy.maximum(p, 1e-300))).sum() * step ** 2


class Banana:
    """x0 = n0, x1 = x0^2 / 2 + n1 / 2: a shear of a Gaussian."""

    def draw(self, random, rows):
        n = random.standard_normal((rows, 2))
        return numpy.stack([n[:, 0], n[:, 0] ** 2 / 2 + n[:, 1] / 2], axis=1)

    def entropy(self):
        return math.log(2 * math.pi * math.e) - math.log(2)


class Checkerboard:
    """Uniform on every other field of a board of 4 x 4 fields with sides of 2."""

    def draw(self, random, rows):
        row, place = random.integers(4, size=rows), random.integers(2, size=rows)
        corner = numpy.stack([2 * place + row % 2, row], axis=1)
        return 2 * (corner + random.random((rows, 2)) - 2)

    def entropy(self):
        return math.log(8 * 4)


def ring():
    turns = 2 * math.pi * numpy.arange(8) / 8
    return Mixture(2 * numpy.stack([numpy.cos(turns), numpy.sin(turns)], axis=1), 0.2)


def spirals():
    """Centres evenly along two arms of one and a half turns."""
    angle = 3 * math.pi * numpy.sqrt((numpy.arange(100) + 0.5) / 100)
    arm = numpy.stack([-numpy.cos(angle), numpy.sin(angle)], axis=1) * angle[:, None] / 3
    return Mixture(numpy.concatenate([arm, -arm]), 0.12)


SETS = {'ring': ring, 'spirals': spirals, 'banana': Banana, 'checkerboard': Checkerboard}


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit('%s: %s' % (' '.join(map(str, command)), done.stderr.strip()))
    return done.stdout


class Cell:
    def __init__(self, options, name, density, entropy):
        self.options, self.name, self.entropy = options, name, entropy
        self.train, self.held_out = (options.out / ('%s-%s.npy' % (name, part)) for part in ('train', 'held-out'))
        random = numpy.random.default_rng(1)
        numpy.save(self.train, density.draw(random, ROWS).astype('f4'))
        numpy.save(self.held_out, density.draw(random, HELD_OUT).astype('f4'))

    def measure(self, flow, spec):
        options, model = self.options, self.options.out / ('%s-%s.safetensors' % (self.name, flow))
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        run(options.program, 'flow', 'fit', self.train, model, '--flow', spec, '--threads', options.threads,
            *shlex.split(options.fit))
        seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        told = run(options.program, 'flow', 'score', model, self.held_out, '--threads', options.threads)
        above = -float(re.search(r'log density (-?[0-9.]+)', told).group(1)) - self.entropy
        if options.pictures:
            run(options.program, 'flow', 'plot', model, model.with_suffix('.png'), '--threads', options.threads)
        print('%-13s %-11s %.4f nats above the entropy, %.0f s, %.0f s of processors' % (self.name, flow, above, seconds, busy),
              flush=True)
        return '%.3f (%.0f s)' % (above, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('out', type=pathlib.Path)
    parser.add_argument('--program', type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[2] / 'build/release/bin/vocode')
    parser.add_argument('--sets', nargs='+', choices=SETS, default=list(SETS))
    parser.add_argument('--flows', nargs='+', default=list(FLOWS))
    parser.add_argument('--spec', action='append', default=[], metavar='NAME=SPEC')
    parser.add_argument('--fit', default='', help='more options of vocode flow fit')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--no-pictures', dest='pictures', action='store_false')
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    specs = {**FLOWS, **dict(item.split('=', 1) for item in options.spec)}
    cells = {}
    table = ['| flow |', '|---|']
    for name in options.sets:
        density = SETS[name]()
        cells[name] = Cell(options, name, density, density.entropy())
        table[0] += ' %s, entropy %.4f |' % (name, cells[name].entropy)
        table[1] += '---|'
    for flow in options.flows:
        row = '| %s |' % flow
        for name in options.sets:
            row += ' %s |' % cells[name].measure(flow, specs[flow])
        table.append(row)
    (options.out / 'table.md').write_text('\n'.join(table) + '\n')
    print('\n'.join(table))


if __name__ == '__main__':
    main()
