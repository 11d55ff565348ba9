#!/usr/bin/python3
"""usage: make_data.py REFERENCE_DIR OUT_DIR: the small golden files of tests/data/dsp, from numpy definitions (mel.py and
quality.py of the reference folder). Signals are synthetic: gliding harmonics under two formants, noise and silence."""
import os
import sys
import numpy as np
from scipy.io import wavfile

reference, out = sys.argv[1:3]
sys.path.insert(0, reference)
import mel
import quality

RATE = 22050


def voice(seconds, seed, glide=40.0, breath=0.02):
    rng = np.random.default_rng(seed)
    t = np.arange(int(RATE * seconds)) / RATE
    f0 = 120 + glide * np.sin(2 * np.pi * 1.3 * t)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    x = sum(np.exp(-((k * 120 - 600) / 500) ** 2 - k / 30) * np.sin(k * phase) for k in range(1, 60))
    x += sum(0.3 * np.exp(-((k * 120 - 2200) / 400) ** 2) * np.sin(k * phase + k) for k in range(10, 30))
    x *= 0.25 * (np.sin(2 * np.pi * 2.1 * t - 0.4) > -0.3)
    return x + breath * rng.standard_normal(len(t)) * (np.sin(2 * np.pi * 3.1 * t) > 0.2)


def save(name, x):
    x = np.round(np.clip(x, -1, 1) * 32767).astype(np.int16)
    wavfile.write(f'{out}/{name}.wav', RATE, x)
    return x.astype(np.float32) / 32768


os.makedirs(out, exist_ok=True)
clip = save('clip', voice(0.25, 1))
for preset, p in mel.PRESETS.items():
    np.save(f'{out}/clip.{preset}.npy', mel.mel_spectrogram(clip, **p).astype(np.float32))
short = clip[1000:1300]                             # shorter than the padding: the reflection repeats
np.save(f'{out}/short.tacotron2.npy', mel.mel_spectrogram(short, **mel.PRESETS['tacotron2']).astype(np.float32))
np.save(f'{out}/short.librosa.npy', mel.mel_spectrogram(short, **mel.PRESETS['librosa']).astype(np.float32))

save('reference', voice(0.9, 2))
degraded = voice(0.9, 3, glide=43.0, breath=0.05)
save('generated', np.convolve(degraded, [0.6, 0.3, 0.1])[:len(degraded) - 100])
figures = quality.one(f'{out}/reference.wav', f'{out}/generated.wav')
a, b = (quality.load(f'{out}/{n}.wav') for n in ('reference', 'generated'))
n = min(len(a), len(b))
p = mel.PRESETS['tacotron2']
figures['mel'] = np.mean(np.abs(mel.mel_spectrogram(a[:n], **p) - mel.mel_spectrogram(b[:n], **p)))
with open(f'{out}/quality.txt', 'w') as f:
    for k in ('mrstft', 'mcd', 'per', 'vuv', 'f0', 'mel'):
        f.write(f'{k} {figures[k]:.9g}\n')
