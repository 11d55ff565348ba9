"""make_run.py FOLDER [STEPS]: a folder as a training run leaves it, with known numbers: log, configuration, samples.

The loss after step s is 1 - 6.5 (1 - exp(-s / 900)) and a ripple; every line counts 0.25 seconds a step."""
import json
import math
import os
import struct
import sys
import wave

folder, steps = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 4000
rate = 22050
os.makedirs(folder, exist_ok=True)
config = {'kind': 'frameflow', 'sample_rate': rate, 'frameflow': {'note': '<b>&"'},
          'train': {'steps': 2 * steps, 'batch': 20, 'segment': 24576, 'accumulate': 1}}


def loss(step):
    return 1 - 6.5 * (1 - math.exp(-step / 900)) + 0.03 * math.sin(step * 12.9898)


with open(os.path.join(folder, 'config.json'), 'w') as file:
    json.dump(config, file)
with open(os.path.join(folder, 'log.jsonl'), 'w') as file:
    print(json.dumps({'about': 'nll is in nats & may be < 0', 'config': config}), file=file)
    for step in range(10, steps + 1, 10):
        warm = min(step / 500, 1)
        print(json.dumps({'step': step, 'nll': loss(step), 'bits': loss(step) / math.log(2),
                          'gradient_norm': 3 / (1 + step / 200) + 0.2 + 0.05 * math.sin(step),
                          'learning_rate': 4e-4 * warm * (0.525 + 0.475 * math.cos(math.pi * step / (2 * steps))),
                          'audio_seconds_a_second': 66 + 2 * math.sin(step / 50), 'seconds': step / 4, 'skipped': 1,
                          'new_field': [1, 2]}), file=file)
        if step % 500 == 0:
            print(json.dumps({'step': step, 'validation_nll': loss(step) + 0.05, 'best': True}), file=file)


def clip(path, harmonics, noise):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    samples, seed = [], 1
    for i in range(rate):
        seed = (1103515245 * seed + 12345) % 2**31
        pitch = 2 * math.pi * (120 * i / rate + 3 * math.sin(4 * math.pi * i / rate))
        tone = sum(math.sin(k * pitch) / k for k in range(1, harmonics + 1))
        samples.append(0.12 * tone * (1 - math.cos(6 * math.pi * i / rate)) + noise * (seed / 2**30 - 1))
    with wave.open(path, 'wb') as file:
        file.setparams((1, 2, rate, 0, 'NONE', ''))
        file.writeframes(struct.pack('<%dh' % rate, *(int(32767 * max(-1, min(1, x))) for x in samples)))


for name in ('a0027', 'b<0028>'):
    clip(os.path.join(folder, 'samples', 'recording', name + '.wav'), 30, 0.003)
    for i, step in enumerate((500, 1000, 2000, 3000, 4000)):
        clip(os.path.join(folder, 'samples', str(step), name + '.wav'), 5 + 5 * i, 0.05 / (1 + 2 * i))
