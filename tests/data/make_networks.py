"""Reference outputs and gradients of the networks, by PyTorch in float64, for tests/nn/test_networks.c.

usage: python3 make_networks.py [OUT_DIR]      needs torch and numpy

A case is NAME.txt, the state dict's names and shapes in order, and NAME.npy, one flat float32 array:
parameters, x, cond, dy, then what must come out: y, dx, dcond, and the gradients of all parameters (zero for buffers) of
sum(y * dy). Arrays are time-major, [batch, frames, channels].
"""
import os
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import weight_norm


def conv(normed, *sizes, **more):
    layer = nn.Conv1d(*sizes, **more)
    return weight_norm(layer) if normed else layer


class WN(nn.Module):
    """WaveGlow's coupling network."""

    def __init__(self, inputs, outputs, conditioning, layers, channels, kernel, normed):
        super().__init__()
        self.channels = channels
        self.in_layers, self.res_skip_layers = nn.ModuleList(), nn.ModuleList()
        self.start = conv(normed, inputs, channels, 1)
        self.end = nn.Conv1d(channels, outputs, 1)
        self.cond_layer = conv(normed, conditioning, 2 * channels * layers, 1)
        for i in range(layers):
            last = i == layers - 1
            self.in_layers.append(conv(normed, channels, 2 * channels, kernel, dilation=2 ** i,
                                       padding=2 ** i * (kernel // 2)))
            self.res_skip_layers.append(conv(normed, channels, channels if last else 2 * channels, 1))

    def forward(self, x, cond):
        c, skip = self.channels, 0
        h, parts = self.start(x), self.cond_layer(cond).split(2 * self.channels, 1)
        for i, (inner, outer) in enumerate(zip(self.in_layers, self.res_skip_layers)):
            a = inner(h) + parts[i]
            r = outer(torch.tanh(a[:, :c]) * torch.sigmoid(a[:, c:]))
            skip = skip + r[:, -c:]
            if i < len(self.in_layers) - 1:
                h = h + r[:, :c]
        return self.end(skip)


class SqueezeWN(nn.Module):
    """SqueezeWave's coupling network."""

    def __init__(self, inputs, outputs, conditioning, layers, channels, kernel, normed, batch_norm):
        super().__init__()
        self.channels = channels
        self.in_layers, self.res_skip_layers = nn.ModuleList(), nn.ModuleList()
        self.start = conv(normed, inputs, channels, 1)
        self.end = nn.Conv1d(channels, outputs, 1)
        self.cond_layer = conv(normed, conditioning, 2 * channels * layers, 1)
        for _ in range(layers):
            parts = [nn.BatchNorm1d(channels)] if batch_norm else []
            parts.append(nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels))
            parts.append(nn.Conv1d(channels, 2 * channels, 1))
            self.in_layers.append(nn.Sequential(*parts))
            self.res_skip_layers.append(conv(normed, channels, channels, 1))

    def forward(self, x, cond):
        c, h = self.channels, self.start(x)
        parts = torch.repeat_interleave(self.cond_layer(cond), x.shape[2] // cond.shape[2], 2).split(2 * c, 1)
        for inner, outer, part in zip(self.in_layers, self.res_skip_layers, parts):
            a = inner(h) + part
            h = h + outer(torch.tanh(a[:, :c]) * torch.sigmoid(a[:, c:]))
        return self.end(h)


class Block(nn.Module):
    def __init__(self, dim, expansion, kernel):
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.up, self.down = nn.Linear(dim, dim * expansion), nn.Linear(dim * expansion, dim)
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        y = self.norm(self.depthwise(x).transpose(1, 2))
        return x + (self.scale * self.down(F.gelu(self.up(y)))).transpose(1, 2)


class ConvNeXt(nn.Module):
    def __init__(self, inputs, outputs, conditioning, blocks, dim, expansion, kernel):
        super().__init__()
        self.enter = nn.Conv1d(inputs + conditioning, dim, 3, padding=1)
        self.blocks = nn.Sequential(*[Block(dim, expansion, kernel) for _ in range(blocks)])
        self.exit = nn.Conv1d(dim, outputs, 1)

    def forward(self, x, cond):
        return self.exit(self.blocks(self.enter(torch.cat([x, cond], 1))))


class Upsampler(nn.Module):
    """The mel is x; columns of group samples come out."""

    def __init__(self, channels, taps, stride, group, columns):
        super().__init__()
        self.layer = nn.ConvTranspose1d(channels, channels, taps, stride=stride)
        self.group, self.columns = group, columns

    def forward(self, x, cond):
        b, m, _ = x.shape
        up = self.layer(x)[:, :, :self.columns * self.group]
        return up.reshape(b, m, self.columns, self.group).transpose(2, 3).reshape(b, m * self.group, self.columns)


class TimeEmbedding(nn.Module):
    """x [1, 1, n] are n times; y [1, dim, n]."""

    def __init__(self, features, dim):
        super().__init__()
        self.half = features // 2
        self.linear_1, self.linear_2 = nn.Linear(features, dim), nn.Linear(dim, dim)

    def forward(self, x, cond):
        angle = x[0, 0, :, None] * 1000 * 10000 ** (-torch.arange(self.half, dtype=x.dtype) / self.half)
        e = torch.cat([torch.sin(angle), torch.cos(angle)], 1)
        return self.linear_2(F.silu(self.linear_1(e))).T[None]


def case(out, name, net, batch, frames, cond_frames, inputs, conditioning, uniform=False):
    net = net.double().eval()
    state = {k: v for k, v in net.state_dict().items() if not k.endswith('num_batches_tracked')}
    for key, value in state.items():
        # rounded to float32, so that both sides start from the same numbers
        drawn = torch.rand(value.shape) + 0.5 if 'running_var' in key or 'weight_g' in key else 0.4 * torch.randn(value.shape)
        value.copy_(drawn.float().double())
    random = torch.rand if uniform else torch.randn
    x = random(batch, inputs, frames).double().requires_grad_()
    cond = torch.randn(batch, conditioning, cond_frames).double().requires_grad_()
    y = net(x, cond)
    dy = torch.randn(y.shape).double()
    (y * dy).sum().backward()
    trained = dict(net.named_parameters())
    zeros = torch.zeros_like
    grads = [trained[k].grad if k in trained else zeros(v) for k, v in state.items()]
    columns = lambda v: v.detach().transpose(1, 2)
    dcond = cond.grad if cond.grad is not None else zeros(cond)
    parts = list(state.values()) + [columns(v) for v in (x, cond, dy, y, x.grad, dcond)] + grads
    flat = np.concatenate([p.detach().contiguous().numpy().reshape(-1) for p in parts]).astype(np.float32)
    np.save(os.path.join(out, name + '.npy'), flat)
    with open(os.path.join(out, name + '.txt'), 'w') as f:
        for k, v in state.items():
            f.write(' '.join([k.replace('layer.', '', 1) if name.startswith('upsampler') else k] +
                             [str(n) for n in v.shape]) + '\n')


if __name__ == '__main__':
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), 'networks')
    os.makedirs(out, exist_ok=True)
    torch.manual_seed(2)
    case(out, 'wn', WN(3, 6, 4, 3, 5, 3, False), 2, 7, 7, 3, 4)
    case(out, 'wn_normed', WN(2, 4, 3, 2, 4, 5, True), 1, 9, 9, 2, 3)
    case(out, 'squeeze_wn', SqueezeWN(3, 6, 4, 2, 4, 3, True, True), 2, 8, 4, 3, 4)
    case(out, 'squeeze_wn_bare', SqueezeWN(3, 6, 4, 2, 4, 3, False, False), 1, 6, 6, 3, 4)
    case(out, 'convnext', ConvNeXt(3, 6, 4, 2, 5, 3, 7), 2, 9, 9, 3, 4)
    case(out, 'upsampler', Upsampler(3, 16, 4, 2, 14), 2, 7, 1, 3, 0)
    case(out, 'upsampler_odd', Upsampler(2, 11, 6, 4, 8), 2, 5, 1, 2, 0)
    case(out, 'time_embedding', TimeEmbedding(8, 5), 1, 4, 1, 1, 0, uniform=True)
