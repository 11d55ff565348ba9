#!/usr/bin/python3
"""Writes tests/data/checkpoints: the same two tiny models in every layout that torch.save and published code give them,
files that must be refused, and what the importer must make of the good ones (NAME.safetensors); and the fuzzer's seeds
(tests/fuzz/corpus/pt).

All weights are multiples of 1/64 below 2, so float16, bfloat16, float32 and float64 hold the same numbers.
Needs PyTorch 1.13 or later (Debian: python3-torch). usage: make_checkpoints.py [FOLDER]
"""
import argparse, collections, functools, io, json, os, pathlib, pickle, struct, sys, tarfile, types, zipfile

import numpy as np
import torch
import torch.nn as nn
from torch.nn.utils import weight_norm, remove_weight_norm

FOLDER = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), 'checkpoints')
SEEDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'fuzz', 'corpus', 'pt')
MELS, FLOWS, EVERY, SIZE, LAYERS, CHANNELS, KERNEL, STRIDE = 2, 2, 1, 2, 2, 4, 3, 4
GROUP = {'WaveGlow': 6, 'SqueezeWave': 8}

glow = types.ModuleType('glow')
sys.modules['glow'] = glow


def published(cls):
    cls.__module__ = 'glow'
    setattr(glow, cls.__name__, cls)
    return cls


@published
class Invertible1x1Conv(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv1d(c, c, 1, bias=False)
        self.W_inverse = torch.eye(c).half()  # what inference caches on the module


@published
class WN(nn.Module):
    def __init__(self, n_in, n_cond, separable):
        super().__init__()
        self.n_layers, self.n_channels = LAYERS, CHANNELS
        self.start = weight_norm(nn.Conv1d(n_in, CHANNELS, 1))
        self.end = nn.Conv1d(CHANNELS, 2 * n_in, 1)
        self.cond_layer = weight_norm(nn.Conv1d(n_cond, 2 * CHANNELS * LAYERS, 1))
        self.in_layers, self.res_skip_layers = nn.ModuleList(), nn.ModuleList()
        for i in range(LAYERS):
            if separable:
                layer = nn.Sequential(nn.BatchNorm1d(CHANNELS), nn.Conv1d(CHANNELS, CHANNELS, 3, groups=CHANNELS),
                                      nn.Conv1d(CHANNELS, 2 * CHANNELS, 1))
            else:
                layer = weight_norm(nn.Conv1d(CHANNELS, 2 * CHANNELS, KERNEL, dilation=2 ** i))
            self.in_layers.append(layer)
            out = CHANNELS if separable or i == LAYERS - 1 else 2 * CHANNELS
            self.res_skip_layers.append(weight_norm(nn.Conv1d(CHANNELS, out, 1)))


class Flow(nn.Module):
    def build(self, group, n_cond, separable):
        self.n_flows, self.n_early_every, self.n_early_size = FLOWS, EVERY, SIZE
        self.convinv, self.WN = nn.ModuleList(), nn.ModuleList()
        for k in range(FLOWS):
            c = group - k // EVERY * SIZE
            self.convinv.append(Invertible1x1Conv(c))
            self.WN.append(WN(c // 2, n_cond, separable))
        generator = torch.Generator().manual_seed(7)
        for name, tensor in self.state_dict().items():
            if tensor.dtype == torch.float32:
                tensor.copy_(torch.randint(-127, 128, tensor.shape, generator=generator) / 64)
        return self


@published
class WaveGlow(Flow):
    def __init__(self):
        super().__init__()
        self.n_group = GROUP['WaveGlow']
        self.upsample = nn.ConvTranspose1d(MELS, MELS, 4 * STRIDE, stride=STRIDE)
        self.build(self.n_group, MELS * self.n_group, False)


@published
class SqueezeWave(Flow):
    def __init__(self):
        super().__init__()
        self.n_audio_channel = GROUP['SqueezeWave']
        self.build(self.n_audio_channel, MELS, True)


@published
class Wrapper:
    """A class that no reader can know."""

    def __init__(self, model):
        self.net = model


class Command:
    """What an attacker would pickle; a reader that ran it would leave a file behind."""

    def __reduce__(self):
        return os.system, ('touch vocode-was-here',)


CONFIG = dict(n_mel_channels=MELS, n_flows=FLOWS, n_group=GROUP['WaveGlow'], n_early_every=EVERY, n_early_size=SIZE,
              WN_config=dict(n_layers=LAYERS, n_channels=CHANNELS, kernel_size=KERNEL))


def path(name):
    return os.path.join(FOLDER, name)


def save(name, thing, **options):
    torch.save(thing, path(name), **options)


def legacy(name, thing, **options):
    save(name, thing, _use_new_zipfile_serialization=False, **options)


def expected(name, state):
    """A safetensors file of the float32 tensors that the importer must give."""
    tensors = {k: v.detach().to(torch.float32).contiguous().numpy() for k, v in state.items()
               if v.is_floating_point() and 'W_inverse' not in k}
    header, blob = {}, b''
    for key, value in tensors.items():
        header[key] = dict(dtype='F32', shape=list(value.shape), data_offsets=[len(blob), len(blob) + value.nbytes])
        blob += value.tobytes()
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path(name + '.safetensors'), 'wb') as f:
        f.write(struct.pack('<Q', len(text)) + text + blob)


def old_layers(state):
    """WaveGlow of 2018: residual, skip and conditioning layers each on their own."""
    out = collections.OrderedDict()
    for key, value in state.items():
        parts = key.split('.')
        if 'res_skip_layers' in parts:
            i = int(parts[3])
            if i < LAYERS - 1:
                out[key.replace('res_skip', 'res')] = value[:CHANNELS]
                out[key.replace('res_skip', 'skip')] = value[CHANNELS:]
            else:
                out[key.replace('res_skip', 'skip')] = value
        elif 'cond_layer' in parts:
            for i in range(LAYERS):
                out[f'WN.{parts[1]}.cond_layers.{i}.{parts[3]}'] = value[2 * CHANNELS * i:2 * CHANNELS * (i + 1)]
        else:
            out[key] = value
    return out


def rewrite(source, target, compression=zipfile.ZIP_STORED, rename=lambda n: n, change=lambda n, b: b, extra=(),
            zip64=False):
    """The zip container written anew by another program."""
    with zipfile.ZipFile(path(source)) as old, zipfile.ZipFile(path(target), 'w') as new:
        for name, data in [(rename(i.filename), change(i.filename, old.read(i))) for i in old.infolist()] + list(extra):
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            with new.open(info, 'w', force_zip64=zip64) as f:
                f.write(data)


def layouts(model, state):
    for protocol in range(6):
        save(f'zip_protocol{protocol}.pt', state, pickle_protocol=protocol)
        legacy(f'legacy_protocol{protocol}.pt', state, pickle_protocol=protocol)
    optimizer = torch.optim.Adam(model.parameters())
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    training = dict(model=model, iteration=1200, optimizer=optimizer.state_dict(), learning_rate=1e-4)
    legacy('module_legacy.pt', training)
    save('module_zip.pt', model)
    save('data_parallel_module.pt', dict(model=nn.DataParallel(model)), pickle_protocol=4)
    save('data_parallel.pt', dict(state_dict={'module.' + k: v for k, v in state.items()}, config=CONFIG))
    save('lightning.pt', {'state_dict': {'model.waveglow.' + k: v for k, v in state.items()}, 'global_step': 77,
                          'hyper_parameters': argparse.Namespace(**{**CONFIG, 'sampling_rate': 16000}),
                          'optimizer_states': [optimizer.state_dict()], 'callbacks': {'best': pathlib.Path('/x')}})
    save('average_first.pt', dict(ema={k: v * 0 for k, v in state.items()}, model_state_dict=state, epoch=3))
    save('generator.pt', dict(generator=state, discriminators=[1, 2]))
    save('parametrized.pt', {k.replace('weight_g', 'parametrizations.weight.original0')
                             .replace('weight_v', 'parametrizations.weight.original1'): v for k, v in state.items()})
    for name in ('float16', 'bfloat16', 'float64'):
        save(f'{name}.pt', dict(model={k: v.to(getattr(torch, name)) for k, v in state.items()}))
    legacy('float16_legacy.pt', dict(model={k: v.half() for k, v in state.items()}))
    save('old_layers.pt', dict(model=old_layers(state)))
    legacy('old_layers_legacy.pt', old_layers(state))
    strange = dict(numpy=np.float32(1), array=np.arange(3), path=pathlib.PurePosixPath('/a'), set={1, 'b'},
                   frozen=frozenset([2]), bytes=b'\x00\xff', array_of_bytes=bytearray(b'abc'), big=1 << 100,
                   small=-(1 << 40), negative=-1, text='\u00fcml\u00e4ut \U0001f600 \\ \'"\n', nan=float('nan'),
                   partial=functools.partial(int, base=2), default=collections.defaultdict(list, {'a': [1]}),
                   device=torch.device('cuda:0'), dtype=torch.float16, size=torch.Size([1, 2]), none=None,
                   complex=1j, command=Command(), parameter=nn.Parameter(torch.ones(1)))
    for protocol in (1, 2, 5):
        save(f'strange_values{protocol}.pt', {**strange, 'model': state}, pickle_protocol=protocol)


def storages(state):
    """Strided, shared and offset storages; CUDA tags; other bytes around the same entries."""
    one = torch.cat([v.reshape(-1) for v in state.values()])
    shared, at = {}, 0
    for key, value in state.items():
        shared[key] = one[at:at + value.numel()].view(value.shape)
        at += value.numel()
    save('shared_storage.pt', shared)
    legacy('shared_storage_legacy.pt', shared)
    save('strided.pt', {k: (v.transpose(0, -1).contiguous().transpose(0, -1) if v.dim() > 1
                            else torch.stack([v, v + 1], 1)[:, 0]) for k, v in state.items()})
    tag, torch.serialization.location_tag = torch.serialization.location_tag, lambda storage: 'cuda:0'
    save('cuda.pt', state)
    legacy('cuda_legacy.pt', state)
    torch.serialization.location_tag = tag
    rewrite('zip_protocol2.pt', 'deflated.pt', zipfile.ZIP_DEFLATED)
    rewrite('zip_protocol2.pt', 'zip64.pt', zip64=True)
    rewrite('zip_protocol2.pt', 'renamed_folder.pt', rename=lambda n: n.replace(n.split('/')[0], 'my model (1)'))
    rewrite('zip_protocol2.pt', 'no_folder.pt', rename=lambda n: n.split('/', 1)[1])
    big = [('archive/byteorder', b'big')]
    rewrite('zip_protocol2.pt', 'big_endian.pt', extra=big, rename=lambda n: n.replace(n.split('/')[0], 'archive'),
            change=lambda n, b: np.frombuffer(b, '<f4').astype('>f4').tobytes() if '/data/' in n else b)


def refused(state):
    names = dict(
        hifigan=dict(generator=['conv_pre.weight_g', 'ups.0.weight_g', 'resblocks.0.convs1.0.weight_g']),
        bigvgan=dict(generator=['conv_pre.weight_g', 'resblocks.0.activations.0.act.alpha', 'activation_post.act.alpha']),
        melgan=dict(model_g=['generator.1.weight_g', 'generator.4.block.2.weight_g']),
        vocos=['backbone.embed.weight', 'backbone.convnext.0.gamma', 'head.out.weight'],
        parallel_wavegan=dict(model=dict(generator=['conv_layers.0.conv.weight', 'upsample_net.conv_in.weight'])),
        tacotron2=dict(state_dict=['encoder.lstm.weight_ih_l0', 'decoder.attention_rnn.weight_ih']),
        fastspeech2=dict(model=['encoder.position_enc', 'variance_adaptor.pitch_bins']),
        glow_tts=dict(model=['encoder.emb.weight', 'decoder.flows.0.logs']),
        discriminator=dict(mpd=['discriminators.0.convs.0.weight_g'], msd=['discriminators.0.convs.0.weight_g']),
        other_model=dict(model=['layer1.weight', 'layer2.weight']))

    def fill(tree):
        return {k: fill(v) for k, v in tree.items()} if isinstance(tree, dict) else {k: torch.ones(1) for k in tree}

    for name, tree in names.items():
        save(f'refused_{name}.pt', fill(tree))
    few = {k: v for k, v in state.items() if k.startswith(('convinv.0.', 'WN.0.', 'upsample.'))}
    key = 'WN.0.end.weight'
    save('refused_quantized.pt', {**few, key: torch.quantize_per_tensor(few[key], 0.1, 0, torch.qint8)})
    save('refused_sparse.pt', {**few, key: few[key].to_sparse()})
    save('refused_numpy.pt', {k: v.numpy() for k, v in few.items()})
    save('refused_wrapper.pt', dict(model=Wrapper(few)))
    save('refused_complex.pt', {**few, key: few[key].to(torch.complex64)})
    save('refused_integers.pt', {**few, key: few[key].long()})
    save('refused_nan.pt', {**few, key: few[key] * float('nan')})
    save('refused_missing.pt', {k: v for k, v in few.items() if k != key})
    save('refused_shape.pt', {**few, key: few[key][:-1]})
    save('refused_extra.pt', {**few, 'WN.0.in_layers.0.extra': torch.ones(1)})
    save('refused_gain.pt', {**few, 'WN.0.start.weight_g': torch.ones(1, 3, 1)})
    save('refused_config.pt', dict(model=few, config={**CONFIG, 'n_flows': 12}))
    save('refused_no_tensor.pt', dict(epoch=3))
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), path('refused_script.pt'))
    np.savez(path('refused_arrays.npz'), a=np.ones(2))
    np.save(path('refused_array.npy'), np.ones(2))
    with zipfile.ZipFile(path('refused_archive.zip'), 'w') as archive:
        archive.writestr('readme.txt', 'hello')
    with tarfile.open(path('refused_tar.pt'), 'w') as archive:
        for name in ('sys_info', 'pickle', 'tensors', 'storages'):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with open(path('refused_pickle.pt'), 'wb') as f:
        pickle.dump(dict(a=1), f, protocol=2)


def seeds():
    """Fuzzing starts from one flow of one layer of one channel, so that little else than structure can change."""
    os.makedirs(SEEDS, exist_ok=True)

    def layer(name, *shape, normed=False):
        weights = {'weight_g': torch.ones(shape[0], 1, 1), 'weight_v': torch.ones(shape)} if normed else \
            {'weight': torch.ones(shape)}
        return {f'{name}.{k}': v for k, v in {**weights, 'bias': torch.ones(shape[0])}.items()}

    def flow(*middle):
        state = {'convinv.0.conv.weight': torch.eye(2).view(2, 2, 1), **layer('WN.0.start', 1, 1, 1, normed=True),
                 **layer('WN.0.end', 2, 1, 1)}
        for part in middle:
            state.update(part)
        return state

    wave = flow(layer('upsample', 1, 1, 4), layer('WN.0.cond_layer', 2, 2, 1), layer('WN.0.in_layers.0', 2, 1, 1),
                layer('WN.0.res_skip_layers.0', 1, 1, 1))
    old = flow(layer('upsample', 1, 1, 4), layer('WN.0.cond_layers.0', 2, 2, 1), layer('WN.0.in_layers.0', 2, 1, 1),
               layer('WN.0.skip_layers.0', 1, 1, 1))
    statistics = {f'WN.0.in_layers.0.0.{k}': torch.ones(1) for k in ('weight', 'bias', 'running_mean', 'running_var')}
    squeeze = flow(layer('WN.0.cond_layer', 2, 1, 1), statistics, layer('WN.0.in_layers.0.1', 1, 1, 3),
                   layer('WN.0.in_layers.0.2', 2, 1, 1), layer('WN.0.res_skip_layers.0', 1, 1, 1))
    model = nn.Module()
    model.convinv = nn.ModuleList([Invertible1x1Conv(2)])
    training = dict(config=dict(n_flows=1, n_group=2, WN_config=dict(n_layers=1)), iteration=1, hparams=argparse.Namespace(
        sampling_rate=22050, mel_fmin=0.0), model={'module.' + k: v.half() for k, v in wave.items()})
    target = os.path.join(SEEDS, '')
    for protocol in (0, 2, 4):
        legacy(f'{target}wave_legacy{protocol}', wave, pickle_protocol=protocol)
    for name, thing in (('wave_zip', wave), ('old_zip', old), ('squeeze_zip', squeeze), ('training_zip', training),
                        ('module_zip', model)):
        save(target + name, thing)
        legacy(target + name.replace('zip', 'legacy'), thing)
    rewrite(target + 'wave_zip', target + 'wave_deflated', zipfile.ZIP_DEFLATED)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    # The legacy container holds the source of each module's class; ours should not hold PyTorch's.
    torch.serialization.get_source_lines_and_file = lambda c: ([f'class {c.__name__}: ...\n'], 1, 'glow.py')
    torch.manual_seed(0)
    state = WaveGlow().state_dict()
    expected('waveglow', state)
    layouts(WaveGlow(), state)
    storages(state)
    refused(state)
    folded = WaveGlow()
    for module in list(folded.modules()):
        if hasattr(module, 'weight_g'):
            remove_weight_norm(module)
    save('folded.pt', dict(model=folded.state_dict()))
    expected('waveglow_folded', folded.state_dict())
    normed_end = dict(state)
    for k in range(FLOWS):  # the module form of the same layer, which a model file holds folded
        value = normed_end.pop(f'WN.{k}.end.weight')
        gain = value.flatten(1).norm(dim=1).view(-1, 1, 1)
        normed_end[f'WN.{k}.end.weight_g'], normed_end[f'WN.{k}.end.weight_v'] = gain, value * 3
    save('normed_end.pt', normed_end)

    seeds()
    squeeze = SqueezeWave()
    legacy('squeezewave_module.pt', dict(model=squeeze, iteration=5))
    save('squeezewave.pt', dict(state_dict=squeeze.state_dict()))
    expected('squeezewave', squeeze.state_dict())
    fused = {}
    for key, value in squeeze.state_dict().items():
        parts = key.split('.')
        if 'in_layers' in parts:
            if parts[4] == '0':
                continue
            parts[4] = str(int(parts[4]) - 1)
        fused['.'.join(parts)] = value
    save('squeezewave_fused.pt', fused)
    expected('squeezewave_fused', fused)


if __name__ == '__main__':
    main()
