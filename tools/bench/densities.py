#!/usr/bin/env python3
"""How near flows come to densities of the plane whose entropy is known.

usage: /usr/bin/python3 tools/bench/densities.py OUT_DIR [--program build/release/bin/vocode] [--sets NAME...]
           [--flows NAME...] [--spec NAME=SPEC]... [--fit "OPTION..."] [--seed 1] [--threads 2] [--no-pictures]

The sets: a ring of 8 Gaussians, two spirals as a mixture of Gaussians, a banana, a checkerboard; 20,000 rows to fit, 200,000 others to
score, drawn from the seed. A cell is the mean of -log p of those in nats, minus the entropy, and the processors' seconds of the fit.
Besides: the integral of the fitted density over a grid of 400 x 400 points, and for continuous flows by how many standard errors the
mean of Hutchinson's estimates (40 seeds, 1000 rows) is off the exact log density. OUT_DIR receives the rows, the models, table.md, and of
each set a picture: the density itself, then the fitted ones in the order of --flows. Needs numpy.
"""
import argparse
import json
import math
import pathlib
import re
import resource
import shlex
import struct
import subprocess
import sys
import time
import zlib

import numpy

ROWS, HELD_OUT = 20000, 200000
GRID, MARGIN = 400, 1
ESTIMATES, ESTIMATED = 40, 1000
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

    def density(self, x, y):
        return numpy.exp(-x ** 2 / 2 - 2 * (y - x ** 2 / 2) ** 2) / math.pi

    def entropy(self):
        return math.log(2 * math.pi * math.e) - math.log(2)


class Checkerboard:
    """Uniform on every other field of a board of 4 x 4 fields with sides of 2."""

    def draw(self, random, rows):
        row, place = random.integers(4, size=rows), random.integers(2, size=rows)
        corner = numpy.stack([2 * place + row % 2, row], axis=1)
        return 2 * (corner + random.random((rows, 2)) - 2)

    def density(self, x, y):
        inside = (numpy.abs(x) < 4) & (numpy.abs(y) < 4)
        return inside * ((numpy.floor(x / 2) + numpy.floor(y / 2)) % 2 == 0) / 32

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


COLOURS = ((8, 8, 20), (70, 25, 110), (190, 55, 80), (250, 150, 40), (255, 250, 200))
SHADES = 48


def write_picture(path, panels):
    """Densities [rows, columns] side by side, from 0 to what the first of them has at most, as a PNG of few colours."""
    most, gap = panels[0].max(), numpy.full((panels[0].shape[0], 4), SHADES, 'u1')
    shades = [numpy.minimum(panel / most * (SHADES - 1), SHADES - 1).astype('u1')[::-1] for panel in panels]
    image = numpy.hstack([part for shade in shades for part in (shade, gap)][:-1])
    steps = numpy.linspace(0, len(COLOURS) - 1, SHADES)
    palette = numpy.stack([numpy.interp(steps, range(len(COLOURS)), channel) for channel in zip(*COLOURS)], axis=1).astype('u1')
    lines = numpy.hstack([numpy.zeros((len(image), 1), 'u1'), image]).tobytes()
    chunks = [(b'IHDR', struct.pack('>IIBBBBB', image.shape[1], image.shape[0], 8, 3, 0, 0, 0)),
              (b'PLTE', palette.tobytes() + bytes((255, 255, 255))), (b'IDAT', zlib.compress(lines, 9)), (b'IEND', b'')]
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body)) for kind, body in chunks))


def halved(panel):
    """Means of two by two."""
    return panel.reshape(panel.shape[0] // 2, 2, panel.shape[1] // 2, 2).mean((1, 3))


def turned_to_estimates(model, path, seed):
    """The model file again, of the same tensors, with Hutchinson's estimate."""
    whole = model.read_bytes()
    size = struct.unpack('<Q', whole[:8])[0]
    header = json.loads(whole[8:8 + size])
    config = json.loads(header['__metadata__']['config'])
    config['flow'] += '%strace=hutchinson,seed=%d' % (',' if ':' in config['flow'] else ':', seed)
    header['__metadata__']['config'] = json.dumps(config)
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    path.write_bytes(struct.pack('<Q', len(text)) + text + whole[8 + size:])


class Set:
    def __init__(self, options, name):
        density = SETS[name]()
        self.options, self.name, self.entropy = options, name, density.entropy()
        self.train, self.held_out = (options.out / ('%s-%s.npy' % (name, part)) for part in ('train', 'held-out'))
        random = numpy.random.default_rng(options.seed)
        rows = density.draw(random, ROWS).astype('f4')
        numpy.save(self.train, rows)
        numpy.save(self.held_out, density.draw(random, HELD_OUT).astype('f4'))
        low, high = rows.min(0) - MARGIN, rows.max(0) + MARGIN
        self.step = (high - low) / GRID
        x, y = (low[i] + self.step[i] * (numpy.arange(GRID) + 0.5) for i in range(2))
        self.grid = options.out / ('%s-grid.npy' % name)
        numpy.save(self.grid, numpy.stack(numpy.meshgrid(x, y), axis=2).reshape(-1, 2).astype('f4'))
        self.panels = [density.density(x[None, :], y[:, None])]

    def score(self, model, rows, to):
        run(self.options.program, 'flow', 'score', model, rows, to, '--threads', self.options.threads)
        return numpy.load(to)

    def integral(self, model):
        panel = numpy.exp(self.score(model, self.grid, model.with_suffix('.grid.npy'))).reshape(GRID, GRID)
        self.panels.append(panel)
        return panel.sum() * self.step.prod()

    def bias_of_estimates(self, model):
        """The mean of the estimates minus the exact log density, in standard errors of that mean."""
        few, to, other = (model.with_suffix(end) for end in ('.few.npy', '.rows.npy', '.estimate.safetensors'))
        numpy.save(few, numpy.load(self.held_out)[:ESTIMATED])
        exact, gaps = self.score(model, few, to), []
        for seed in range(ESTIMATES):
            turned_to_estimates(model, other, seed + 1)
            gaps.append(numpy.mean(self.score(other, few, to) - exact))
        return numpy.mean(gaps) / (numpy.std(gaps, ddof=1) / math.sqrt(ESTIMATES))

    def measure(self, flow, spec):
        options, model = self.options, self.options.out / ('%s-%s.safetensors' % (self.name, flow))
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        run(options.program, 'flow', 'fit', self.train, model, '--flow', spec, '--threads', options.threads,
            *shlex.split(options.fit))
        seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        told = run(options.program, 'flow', 'score', model, self.held_out, '--threads', options.threads)
        above = -float(re.search(r'log density (-?[0-9.]+)', told).group(1)) - self.entropy
        line = '%-13s %-11s %.4f nats above the entropy, %.0f s, %.0f s of processors' % (self.name, flow, above, seconds, busy)
        if options.pictures:
            line += ', integral %.4f' % self.integral(model)
            if spec.split(':')[0] in ('ode', 'cnf'):
                line += ', estimates off by %.2f standard errors' % self.bias_of_estimates(model)
        print(line, flush=True)
        return '%.3f (%.0f s)' % (above, busy)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('out', type=pathlib.Path)
    parser.add_argument('--program', type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parents[2] / 'build/release/bin/vocode')
    parser.add_argument('--sets', nargs='+', choices=SETS, default=list(SETS))
    parser.add_argument('--flows', nargs='+', default=list(FLOWS))
    parser.add_argument('--spec', action='append', default=[], metavar='NAME=SPEC')
    parser.add_argument('--fit', default='', help='more options of vocode flow fit')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--no-pictures', dest='pictures', action='store_false', help='nor integrals')
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    specs = {**FLOWS, **dict(item.split('=', 1) for item in options.spec)}
    sets = [Set(options, name) for name in options.sets]
    table = ['| flow |', '|---|']
    for one in sets:
        table[0] += ' %s, entropy %.4f |' % (one.name, one.entropy)
        table[1] += '---|'
    for flow in options.flows:
        table.append('| %s |' % flow + ''.join(' %s |' % one.measure(flow, specs[flow]) for one in sets))
    for one in sets:
        if options.pictures:
            write_picture(options.out / (one.name + '.png'), [halved(panel) for panel in one.panels])
    (options.out / 'table.md').write_text('\n'.join(table) + '\n')
    print('\n'.join(table))


if __name__ == '__main__':
    main()
