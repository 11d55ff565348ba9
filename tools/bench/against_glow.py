#!/usr/bin/env python3
"""The same training steps here and in a PyTorch reference of WaveGlow, from the same weights and batches: the losses side by side.

usage: /usr/bin/python3 tools/bench/against_glow.py RECORDING.wav... [--reference ../shared/reference] [--steps 100]
           [--channels 64] [--batch 2] [--frames 31] [--rate 1e-4] [--double]

Rounding differs, and training amplifies it: with --double both compute in double precision, where what is left is small.
Recordings are 16-bit WAV at 22,050 Hz. The reference's folder holds glow.py; needs torch and numpy, and what -DVOCODE_BENCH=ON builds.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import wave

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOP, KINDS = 256, {'F32': np.float32, 'F64': np.float64}


def weights_of(path):
    """The tensors of a safetensors file."""
    data = path.read_bytes()
    size = struct.unpack('<Q', data[:8])[0]
    header, body = json.loads(data[8:8 + size]), memoryview(data)[8 + size:]
    header.pop('__metadata__', None)
    return {name: torch.from_numpy(np.frombuffer(body[slice(*entry['data_offsets'])], KINDS[entry['dtype']]).copy().reshape(entry['shape']))
            for name, entry in header.items()}


def batches(options, folder):
    """Segments that start at frames, and the rows of their recordings' mels: [steps * batch, ...]."""
    draw, sounds = np.random.default_rng(0), []
    for path in options.recordings:
        with wave.open(str(path)) as file:
            sound = np.frombuffer(file.readframes(file.getnframes()), dtype='<i2').astype(np.float32) / 32768
        subprocess.run([options.program, 'mel', '-q', path, folder / 'mel.npy', '--layout', 'frames-first'], check=True)
        sounds.append((sound, np.load(folder / 'mel.npy')))
    mels, audios = [], []
    for _ in range(options.steps * options.batch):
        sound, mel = sounds[draw.integers(len(sounds))]
        first = draw.integers(len(sound) // HOP - options.frames)
        mels.append(mel[first:first + options.frames])
        audios.append(sound[first * HOP:(first + options.frames) * HOP])
    return np.stack(mels).astype(np.float32), np.stack(audios).astype(np.float32)


def reference(options, config, weights, mels, audios):
    sys.path.insert(0, str(options.reference))
    import glow
    torch.set_num_threads(2)
    sizes = config['waveglow']
    model = glow.WaveGlow(sizes['n_mel_channels'], sizes['n_flows'], sizes['n_group'], sizes['n_early_every'], sizes['n_early_size'],
                          sizes['WN_config'])
    model.load_state_dict(weights)
    kind = torch.float64 if options.double else torch.float32
    model.to(kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.rate)
    for first in range(0, len(audios), options.batch):
        mel = torch.from_numpy(mels[first:first + options.batch]).transpose(1, 2).to(kind)
        optimizer.zero_grad()
        loss = glow.loss(*model(mel, torch.from_numpy(audios[first:first + options.batch]).to(kind)))
        loss.backward()
        optimizer.step()
        yield loss.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('recordings', nargs='+', type=pathlib.Path)
    parser.add_argument('--reference', type=pathlib.Path, default=ROOT.parent / 'shared/reference')
    parser.add_argument('--program', type=pathlib.Path, default=ROOT / 'build/release/bin/vocode')
    for name, value in (('steps', 100), ('channels', 64), ('batch', 2), ('frames', 31)):
        parser.add_argument('--' + name, type=int, default=value)
    parser.add_argument('--rate', type=float, default=1e-4)
    parser.add_argument('--double', action='store_true')
    options = parser.parse_args()
    config = json.loads((ROOT / 'models/configs/waveglow-256.json').read_text())
    config['waveglow']['WN_config']['n_channels'] = options.channels
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / 'config.json').write_text(json.dumps(config))
        mels, audios = batches(options, folder)
        np.save(folder / 'mels.npy', mels)
        np.save(folder / 'audios.npy', audios)
        keys = dict(batch=options.batch, segment=options.frames * HOP, learning_rate=options.rate, schedule='constant', warmup=0, clip=0,
                    weight_decay=0, beta1=0.9, beta2=0.999, epsilon=1e-8, sigma=1, precision='float', memory='taped')
        done = subprocess.run([options.program.with_name('follow_steps_f64' if options.double else 'follow_steps'), folder / 'config.json', folder / 'model.safetensors',
                               folder / 'mels.npy', folder / 'audios.npy', *('%s=%s' % pair for pair in keys.items())],
                              check=True, stdout=subprocess.PIPE, text=True)
        ours = [float(line) for line in done.stdout.split()]
        theirs = list(reference(options, config, weights_of(folder / 'model.safetensors'), mels, audios))
    for step, pair in enumerate(zip(ours, theirs)):
        if step % 10 == 9 or step == 0:
            print('step %3d  %9.6f  %9.6f  difference %8.1e' % (step + 1, *pair, pair[0] - pair[1]))
    print('largest difference of %d steps: %.1e' % (len(ours), max(abs(a - b) for a, b in zip(ours, theirs))))


main()
