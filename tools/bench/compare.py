#!/usr/bin/env python3
"""vocode beside PyTorch peers, alternating in one run, so that both meet the same machine.

usage: /usr/bin/python3 tools/bench/compare.py [--program build/release/bin/vocode] [--peers ../shared/peer]
           [--rounds 2] [--seconds 20] [--waveglow-seconds 20] [--steps build/release/bin/bench_steps] [--only PART...]

The parts: waveglow (256 channels, fresh weights), frames (the shipped model), start (a whole process), mel, memory, and, where named,
training (whole steps; needs bench_steps of -DVOCODE_BENCH=ON). Peers are scripts that need
torch; without them, or without torch, their columns say "skipped". Every figure is the best of its rounds, each of which is the best
of several runs inside one process. OPENBLAS_* are unset for vocode; peers get OPENBLAS_NUM_THREADS=1, which is their fastest setting.
"""
import argparse
import array
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import time
import wave

RATE, HOP, BANDS = 22050, 256, 80
PARTS = ('waveglow', 'frames', 'start', 'mel', 'memory', 'training')
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT = ROOT / 'models/default.safetensors'


def frames_of(seconds):
    return -(-int(seconds * RATE) // HOP)


def environment(**more):
    return {**{k: v for k, v in os.environ.items() if not k.startswith('OPENBLAS_')}, **more}


def write_mel(path, frames):
    """[frames, bands] of numbers about those of speech, none below the floor of ln 1e-5."""
    draw = random.Random(0)
    values = array.array('f', (max(-11.5, draw.gauss(-5, 2)) for _ in range(frames * BANDS)))
    if sys.byteorder == 'big':
        values.byteswap()
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (frames, BANDS)
    header = header.ljust(117) + '\n'
    path.write_bytes(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode() + values.tobytes())


def write_wav(path, seconds):
    draw = random.Random(0)
    second = struct.pack('<%dh' % RATE, *(draw.randrange(-8000, 8000) for _ in range(RATE)))
    with wave.open(str(path), 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(second * int(seconds))


class Run:
    def __init__(self, options, folder):
        self.program = str(options.program.resolve())
        self.peers, self.rounds, self.seconds, self.folder = options.peers, options.rounds, options.seconds, folder
        self.waveglow_seconds, self.steps = options.waveglow_seconds, options.steps
        self.has_torch = subprocess.run(['/usr/bin/python3', '-c', 'import torch'], capture_output=True).returncode == 0

    def vocode(self, *arguments, **variables):
        return subprocess.run([self.program, *map(str, arguments)], env=environment(**variables), check=True,
                              capture_output=True, text=True).stdout

    def bench(self, model, *arguments):
        """{threads: figures} of vocode bench."""
        return {run['threads']: run for run in json.loads(self.vocode('bench', model, '--json', *arguments))['runs']}

    def peer(self, script, *arguments):
        """Times real time, or None where the peer is absent."""
        path = self.peers / script
        if not path.exists() or not self.has_torch:
            return None
        done = subprocess.run(['/usr/bin/python3', str(path), *map(str, arguments)], check=True, capture_output=True,
                              text=True, env=environment(OPENBLAS_NUM_THREADS='1'))
        return float(done.stdout.split()[-1])

    def step(self, config, *settings):
        """Seconds of a training step on two threads."""
        done = subprocess.run([str(self.steps.resolve()), str(config), 'threads=2', *settings], check=True, capture_output=True,
                              text=True, env=environment())
        return json.loads(done.stdout)['seconds']

    def peak_memory(self, *arguments):
        """MB that the program held at most."""
        child = os.posix_spawn(self.program, [self.program, *map(str, arguments)], environment())
        _, status, used = os.wait4(child, 0)
        if status:
            raise SystemExit('vocode %s failed' % ' '.join(map(str, arguments)))
        return used.ru_maxrss * 1024 / 1e6


def best(values):
    values = [v for v in values if v is not None]
    return max(values) if values else None


def row(what, ours, theirs=None, unit='x real time', bar='', other='peer'):
    text = '%-58s %9.2f %-12s' % (what, ours, unit)
    if theirs is not None:
        text += ' %s %9.2f  ratio %5.2f' % (other, theirs, ours / theirs)
    print(text + ('  (%s)' % bar if bar else ''), flush=True)


def compare_waveglow(run):
    model = run.folder / 'waveglow.safetensors'
    run.vocode('init', '-q', ROOT / 'models/configs/waveglow-256.json', model)
    ours, theirs = [], {1: [], 2: []}
    for _ in range(run.rounds):
        ours.append(run.bench(model, '--seconds', run.waveglow_seconds, '--threads', 2))
        for threads in theirs:
            theirs[threads].append(run.peer('torch_waveglow.py', 'infer', threads, 256, frames_of(run.waveglow_seconds)))
    for threads, bar in ((1, 'at least 1.1, target 1.35'), (2, 'at least 1.6, target 2.0')):
        row('waveglow-256, %g s, %d thread(s)' % (run.waveglow_seconds, threads), max(o[threads]['real_time_factor'] for o in ours),
            best(theirs[threads]), bar=bar)
        row('    share of the arithmetic peak', 100 * max(o[threads]['share_of_peak'] or 0 for o in ours), unit='%')
    return model


def compare_frames(run):
    ours, bare, whole, same, vocos = [], [], [], {1: [], 2: []}, {1: [], 2: []}
    frames = frames_of(run.seconds)
    for _ in range(run.rounds):
        bare.append(run.bench(DEFAULT, '--seconds', run.seconds, '--threads', 2, '--mel-match', 0))
        for threads in same:
            same[threads].append(run.peer('torch_frameflow.py', 'infer', threads, frames))
            vocos[threads].append(run.peer('torch_frame_rate.py', threads, frames))
        ours.append(run.bench(DEFAULT, '--seconds', run.seconds, '--threads', 2, '--mel-match', 2))
        whole.append(run.bench(DEFAULT, '--seconds', run.seconds, '--threads', 2))

    def most(runs, threads):
        return max(r[threads]['real_time_factor'] for r in runs)

    either = best(same[1] + same[2])
    row('default model, no passes, 1 thread', most(bare, 1), best(same[1]), bar='at least 1.3')
    row('    share of the arithmetic peak', 100 * max(r[1]['share_of_peak'] or 0 for r in bare), unit='%')
    row('default model, no passes, 2 threads, peer at its best', most(bare, 2), either, bar='at least 2.3')
    row('default model, 2 passes, 2 threads, against without', most(ours, 2), most(bare, 2), bar='at least 0.8',
        other='bare')
    for threads in (1, 2):
        row('default model, no passes, %d thread(s), Vocos-size peer' % threads, most(bare, threads), best(vocos[threads]),
            bar='above 1')
        row('default model as it is used, %d thread(s)' % threads, most(whole, threads), best(vocos[threads]),
            other='Vocos-size')
    first = min(r[1]['first_audio_at_once_ms'] for r in ours)
    row('first audio after the frames that it needs', first, unit='ms', bar='at most 50')


def compare_start(run):
    mel, times = run.folder / 'second.npy', []
    write_mel(mel, frames_of(1))
    for _ in range(5 * run.rounds):
        start = time.perf_counter()
        run.vocode(mel, run.folder / 'second.wav', '-q', '--model', DEFAULT)
        times.append(time.perf_counter() - start)
    row('whole process on a mel of 1 s', 1e3 * min(times), unit='ms', bar='at most 100')


def compare_mel(run):
    sound, seconds, times = run.folder / 'sound.wav', 300, []
    write_wav(sound, seconds)
    for _ in range(5 * run.rounds):
        start = time.perf_counter()
        run.vocode('mel', '-q', sound, run.folder / 'sound.npy', OMP_NUM_THREADS='1')
        times.append(time.perf_counter() - start)
    row('vocode mel, one core, %d s of audio, whole process' % seconds, seconds / min(times), bar='at least 2000')


def compare_training(run):
    """Steps a second; a segment of 15872 samples is the 62 frames of the peer's 16000."""
    if not run.steps.exists():
        raise SystemExit('compare.py: %s is not there: configure with -DVOCODE_BENCH=ON' % run.steps)
    glow = json.loads((ROOT / 'models/configs/waveglow-256.json').read_text())
    glow['waveglow']['WN_config']['n_channels'] = 64
    small = run.folder / 'waveglow-64.json'
    small.write_text(json.dumps(glow))
    frames, large = ROOT / 'models/configs/frameflow.json', ROOT / 'models/configs/waveglow-256.json'
    parts = (('frameflow, 20 x 96 frames', frames, 20, 24576, ('torch_frameflow.py', 'train', 2, 20, 96)),
             ('waveglow, 64 channels, 4 x 16000', small, 4, 15872, ('torch_waveglow.py', 'train', 2, 64, 4, 16000)),
             ('waveglow, 256 channels, 1 x 16000', large, 1, 15872, ('torch_waveglow.py', 'train', 2, 256, 1, 16000)))
    for name, config, batch, segment, peer in parts:
        ours, theirs = {'taped': [], 'constant': []}, []
        for _ in range(run.rounds):
            for memory, taken in ours.items():
                taken.append(1 / run.step(config, 'batch=%d' % batch, 'segment=%d' % segment, 'memory=%s' % memory))
            seconds = run.peer(*peer)
            theirs.append(seconds and 1 / seconds)
        row(name + ', taped', best(ours['taped']), best(theirs), unit='steps/s', bar='at least 1.5')
        row(name + ', constant memory', best(ours['constant']), best(theirs), unit='steps/s', bar='at least 1.0')


def compare_memory(run, waveglow):
    if not waveglow:
        waveglow = run.folder / 'waveglow.safetensors'
        run.vocode('init', '-q', ROOT / 'models/configs/waveglow-256.json', waveglow)
    for name, model in (('default model', DEFAULT), ('waveglow-256', waveglow)):
        size = {}
        for seconds in (20, 200):
            mel = run.folder / 'long.npy'
            write_mel(mel, frames_of(seconds))
            size[seconds] = run.peak_memory(mel, run.folder / 'long.wav', '-q', '--model', model)
        most = 1.3 * model.stat().st_size / 1e6 + 150
        row('%s, peak memory, 20 s' % name, size[20], unit='MB', bar='at most %.0f' % most)
        row('%s, peak memory, 200 s against 20 s' % name, size[200], size[20], unit='MB', bar='within 5 %',
            other='20 s')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--program', type=pathlib.Path, default=ROOT / 'build/release/bin/vocode')
    parser.add_argument('--peers', type=pathlib.Path, default=ROOT.parent / 'shared/peer')
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--seconds', type=float, default=20)
    parser.add_argument('--waveglow-seconds', type=float, default=20,
                        help='audio of the waveglow part, of which a slow peer takes minutes a run')
    parser.add_argument('--only', nargs='+', choices=PARTS, default=[p for p in PARTS if p != 'training'])
    parser.add_argument('--steps', type=pathlib.Path, default=ROOT / 'build/release/bin/bench_steps')
    options = parser.parse_args()
    if not options.program.exists():
        raise SystemExit('compare.py: %s is not there: run tools/build.sh first' % options.program)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(options, pathlib.Path(folder))
        if not run.peers.is_dir():
            print('peers skipped: no folder %s' % run.peers)
        elif not run.has_torch:
            print('peers skipped: /usr/bin/python3 has no torch')
        waveglow = None
        if 'waveglow' in options.only:
            waveglow = compare_waveglow(run)
        for part, compare in (('frames', compare_frames), ('start', compare_start), ('mel', compare_mel),
                              ('training', compare_training)):
            if part in options.only:
                compare(run)
        if 'memory' in options.only:
            compare_memory(run, waveglow)


main()
