#!/usr/bin/env python3
"""The handwritten digits of Debian's python3-sklearn as arrays for `vocode flow`.

usage: /usr/bin/python3 tools/digits.py OUT.npy [--flat] [--labels LABELS.npy]

OUT.npy: 1797 images of 8 by 8 pixels in whole numbers 0 to 16, [1797, 8, 8], or with --flat [1797, 64]; float32. LABELS.npy:
which digit each is, as ten columns of which one is 1 (a context for `vocode flow fit`), [1797, 10].
The data set is Alpaydin's and Kaynak's "Optical Recognition of Handwritten Digits" (UCI, 1998): its test part. Needs numpy and
python3-sklearn (apt), of which the file alone is read.
"""
import argparse
import gzip
import pathlib
import sys

import numpy

SOURCE = pathlib.Path('/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out')
    parser.add_argument('--flat', action='store_true')
    parser.add_argument('--labels')
    parser.add_argument('--source', type=pathlib.Path, default=SOURCE)
    given = parser.parse_args()
    if not given.source.exists():
        sys.exit(f'digits.py: {given.source} is not there: apt install python3-sklearn')
    with gzip.open(given.source, 'rt') as lines:
        rows = numpy.loadtxt(lines, delimiter=',', dtype=numpy.float32)
    if rows.shape != (1797, 65):
        sys.exit(f'digits.py: {given.source}: expected 1797 rows of 65 numbers, found {rows.shape}')
    images, digits = rows[:, :64], rows[:, 64].astype(int)
    numpy.save(given.out, images if given.flat else images.reshape(-1, 8, 8))
    if given.labels:
        numpy.save(given.labels, numpy.eye(10, dtype=numpy.float32)[digits])


if __name__ == '__main__':
    main()
