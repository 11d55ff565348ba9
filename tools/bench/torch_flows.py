"""MAF and RealNVP of vectors in PyTorch, as `maf` and `realnvp` of vocode are built: what tools/bench/flows_against_torch.py measures
beside them.

Layers of actnorm and MADE (Papamakarios, Pavlakou, Murray 2017) whose orders take turns, or of actnorm and affine coupling (Dinh,
Sohl-Dickstein, Bengio 2017) whose halves do; `depth` hidden layers of `hidden` SiLUs, log-scales of 2 tanh(r / 2). Masked weights are
multiplied by their mask in every run; in evaluation mode the product is kept.
"""
import math

import torch
from torch import nn
from torch.nn import functional


class ActNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.shift, self.log_scale = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return (x + self.shift) * self.log_scale.exp(), self.log_scale.sum()

    def inverse(self, z):
        return z * (-self.log_scale).exp() - self.shift


class MaskedLinear(nn.Linear):
    def __init__(self, seen, sees):
        super().__init__(len(seen), len(sees))
        self.register_buffer('mask', (seen[None, :] <= sees[:, None]).float())
        self.folded = None

    def train(self, mode=True):
        self.folded = None if mode else (self.weight * self.mask).detach()
        return super().train(mode)

    def forward(self, x):
        return functional.linear(x, self.weight * self.mask if self.folded is None else self.folded, self.bias)


def perceptron(layers):
    """SiLUs between linear layers; the last of them starts at zero, so that a fresh flow is the identity."""
    nn.init.zeros_(layers[-1].weight)
    nn.init.zeros_(layers[-1].bias)
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.SiLU())][:-1])


class Made(nn.Module):
    def __init__(self, channels, hidden, depth, backwards):
        super().__init__()
        self.order = torch.arange(channels).flip(0) if backwards else torch.arange(channels)
        degree = torch.empty(channels, dtype=torch.long)
        degree[self.order] = torch.arange(1, channels + 1)
        inner = 1 + torch.arange(hidden) * (channels - 1) // hidden
        degrees = [degree] + [inner] * depth + [degree.repeat(2) - 1]
        self.net = perceptron([MaskedLinear(*pair) for pair in zip(degrees, degrees[1:])])

    def scales(self, x):
        shift, raw = self.net(x).chunk(2, dim=1)
        return shift, 2 * torch.tanh(raw / 2)

    def forward(self, x):
        shift, s = self.scales(x)
        return (x - shift) * torch.exp(-s), -s.sum(1)

    def inverse(self, z):
        x = torch.zeros_like(z)
        for i in self.order.tolist():
            shift, s = self.scales(x)
            x[:, i] = z[:, i] * torch.exp(s[:, i]) + shift[:, i]
        return x


class Coupling(nn.Module):
    def __init__(self, channels, hidden, depth, backwards):
        super().__init__()
        self.backwards, self.passed = backwards, channels // 2
        sizes = [self.passed] + [hidden] * depth + [2 * (channels - self.passed)]
        self.net = perceptron([nn.Linear(*pair) for pair in zip(sizes, sizes[1:])])

    def move(self, x, inverse):
        a, b = x.split((self.passed, x.shape[1] - self.passed), dim=1)
        if self.backwards:
            a, b = b, a
        shift, raw = self.net(a).chunk(2, dim=1)
        s = 2 * torch.tanh(raw / 2)
        b = (b - shift) * torch.exp(-s) if inverse else b * torch.exp(s) + shift
        return torch.cat((b, a) if self.backwards else (a, b), dim=1), s.sum(1)

    def forward(self, x):
        return self.move(x, False)

    def inverse(self, z):
        return self.move(z, True)[0]


class Flow(nn.Module):
    def __init__(self, layer, channels, layers, hidden, depth):
        super().__init__()
        self.channels = channels
        self.parts = nn.ModuleList(part for i in range(layers) for part in (ActNorm(channels), layer(channels, hidden, depth, i % 2 == 1)))

    def log_density(self, x):
        total = 0
        for part in self.parts:
            x, logdet = part(x)
            total = total + logdet
        return total - (x * x).sum(1) / 2 - self.channels * math.log(2 * math.pi) / 2

    def sample(self, rows):
        x = torch.randn(rows, self.channels)
        for part in reversed(self.parts):
            x = part.inverse(x)
        return x


def build(kind, channels, layers, hidden, depth):
    return Flow({'maf': Made, 'realnvp': Coupling}[kind], channels, layers, hidden, depth)


def steps(flow, x, batch, count, optimizer):
    """count steps of maximum likelihood."""
    for _ in range(count):
        rows = x[torch.randint(len(x), (batch,))]
        optimizer.zero_grad(set_to_none=True)
        loss = -flow.log_density(rows).mean()
        loss.backward()
        optimizer.step()
    return count
