#!/usr/bin/env python3
"""Griffin-Lim, the baseline that needs no model: mels of tacotron2's convention to audio.

usage: /usr/bin/python3 tools/bench/griffin_lim.py MEL_DIR OUT_DIR [--iterations 100]

Magnitudes are found by multiplicative updates from a flat start, 100 of them; phases from noise by the accelerated iteration (Perraudin,
Balazs, Sondergaard 2013, algorithm 2, alpha 0.99). Compare with `vocode eval RECORDINGS OUT_DIR`. Needs numpy.
"""
import argparse
import pathlib
import wave

import numpy as np

RATE, FFT, HOP, BANDS, TOP = 22050, 1024, 256, 80, 8000
WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)


def mel_of(hertz):
    """Slaney's scale: linear to 1 kHz, logarithmic above."""
    return np.where(hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1) / 1000) / np.log(6.4))


def hertz_of(mel):
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def filterbank():
    """[BANDS, FFT / 2 + 1], triangles of unit area in Hz."""
    edges = hertz_of(np.linspace(0, mel_of(np.array(float(TOP))), BANDS + 2))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    at = np.arange(FFT // 2 + 1)[None] * RATE / FFT
    rising, falling = (at - low) / (middle - low), (high - at) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)


def stft(audio):
    padded = np.pad(audio, FFT // 2, mode='reflect')
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    return np.fft.rfft(frames * WINDOW, axis=1)


def istft(spectrum, samples):
    frames = np.fft.irfft(spectrum, FFT, axis=1) * WINDOW
    total, weight = np.zeros(samples + FFT), np.full(samples + FFT, 1e-8)
    for i, frame in enumerate(frames):
        part = slice(i * HOP, min(i * HOP + FFT, samples + FFT))
        total[part] += frame[:part.stop - part.start]
        weight[part] += (WINDOW ** 2)[:part.stop - part.start]
    return (total / weight)[FFT // 2:FFT // 2 + samples]


def magnitudes(mel, bank, updates=100):
    """[T, FFT / 2 + 1] >= 0 whose mel is the wanted one: gain = sum_m W r / sum_m W, r the ratio of wanted to found."""
    wanted, share = np.exp(mel), bank.sum(axis=0)
    found = np.where(share > 0, 1.0, 0.0)[None].repeat(len(mel), axis=0)
    for _ in range(updates):
        ratio = wanted / np.maximum(found @ bank.T, 1e-9)
        found *= np.where(share > 0, ratio @ bank / np.maximum(share, 1e-12), 0)
    return found


def griffin_lim(size, samples, iterations, alpha=0.99):
    draw = np.random.default_rng(0)
    wanted = size * np.exp(2j * np.pi * draw.random(size.shape))
    before = np.zeros_like(wanted)
    for _ in range(iterations):
        consistent = stft(istft(wanted, samples))[:len(size)]
        moved = consistent + alpha * (consistent - before)
        before = consistent
        wanted = size * moved / np.maximum(np.abs(moved), 1e-12)
    return istft(wanted, samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('mels', type=pathlib.Path)
    parser.add_argument('out', type=pathlib.Path)
    parser.add_argument('--iterations', type=int, default=100)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    bank = filterbank()
    for path in sorted(options.mels.glob('*.npy')):
        mel = np.load(path)
        if mel.shape[0] == BANDS:
            mel = mel.T
        audio = griffin_lim(magnitudes(mel.astype(float), bank), (len(mel) - 1) * HOP, options.iterations)
        with wave.open(str(options.out / (path.stem + '.wav')), 'wb') as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes((np.clip(audio, -1, 1) * 32767).round().astype('<i2').tobytes())


main()
