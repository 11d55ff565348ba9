"""Two steps of a tiny SqueezeWave in training, batch norm included, by PyTorch in float64, for
tests/train/test_batch_norm_f64.c.

usage: python3 make_training.py [OUT_DIR]      needs torch and numpy

squeezewave.txt is the state dict's names and counts in order; squeezewave.npy one flat float32 array: parameters and
buffers, then for each step mel [batch, frames, bands] and x [batch, samples]; then what must come out: the loss of each
step, the first step's gradients of everything (zero for buffers), and parameters and buffers after both steps.
"""
import os
import sys

import numpy as np
import torch
import torch.nn as nn

from make_networks import SqueezeWN

BANDS, GROUP, HOP, FLOWS, EARLY_EVERY, EARLY_SIZE, SIGMA, STEPS = 3, 8, 16, 3, 2, 2, 0.8, 2
BATCH, FRAMES = 2, 3


class Invertible(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 1, bias=False)


class SqueezeWave(nn.Module):
    def __init__(self):
        super().__init__()
        self.convinv, self.WN = nn.ModuleList(), nn.ModuleList()
        left = GROUP
        for k in range(FLOWS):
            if k and k % EARLY_EVERY == 0:
                left -= EARLY_SIZE
            self.convinv.append(Invertible(left))
            self.WN.append(SqueezeWN(left // 2, left, BANDS, 2, 4, 3, True, True))

    def loss(self, mel, x):
        rest, early, gain = x.reshape(BATCH, -1, GROUP).transpose(1, 2), [], 0
        for k in range(FLOWS):
            if k and k % EARLY_EVERY == 0:
                early.append(rest[:, :EARLY_SIZE])
                rest = rest[:, EARLY_SIZE:]
            weight = self.convinv[k].conv.weight
            gain = gain + BATCH * rest.shape[2] * torch.linalg.slogdet(weight[:, :, 0])[1]
            rest = nn.functional.conv1d(rest, weight)
            half = rest.shape[1] // 2
            shift, scale = self.WN[k](rest[:, :half], mel).split(half, 1)
            gain = gain + scale.sum()
            rest = torch.cat([rest[:, :half], rest[:, half:] * scale.exp() + shift], 1)
        z = torch.cat(early + [rest], 1)
        return ((z * z).sum() / (2 * SIGMA ** 2) - gain) / z.numel()


def state(model, wanted):
    kinds = dict(model.named_parameters())
    return [(name, wanted(name, value, kinds)) for name, value in model.state_dict().items()
            if not name.endswith("num_batches_tracked")]


def exact(value):
    """As the file holds it."""
    return value.to(torch.float32).to(value.dtype)


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "training")
    torch.manual_seed(7)
    torch.set_default_dtype(torch.float64)
    model = SqueezeWave()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.startswith("convinv"):
                value.copy_(torch.linalg.qr(torch.randn(value.shape[:2]))[0][:, :, None])
            elif value.dtype == torch.float64 and "running" not in name:
                value += 0.2 * torch.randn_like(value)
            value.copy_(exact(value))
    start = state(model, lambda name, value, kinds: value.clone())
    batches = [(exact(torch.randn(BATCH, FRAMES, BANDS)), exact(0.3 * torch.randn(BATCH, FRAMES * HOP)))
               for _ in range(STEPS)]
    optimizer = torch.optim.AdamW(model.parameters(), 0.01, betas=(0.9, 0.99), eps=1e-8, weight_decay=0)
    losses, first = [], None
    model.train()
    for mel, x in batches:
        optimizer.zero_grad()
        loss = model.loss(mel.transpose(1, 2), x)
        loss.backward()
        if first is None:
            first = state(model, lambda name, value, kinds:
                          kinds[name].grad.clone() if name in kinds else torch.zeros_like(value))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
    end = state(model, lambda name, value, kinds: value)
    arrays = [value for _, value in start] + [part for batch in batches for part in batch]
    arrays += losses + [value for _, value in first + end]
    os.makedirs(out, exist_ok=True)
    np.save(os.path.join(out, "squeezewave.npy"), 
            np.concatenate([a.detach().numpy().reshape(-1) for a in arrays]).astype(np.float32))
    with open(os.path.join(out, "squeezewave.txt"), "w") as names:
        names.writelines(f"{name} {value.numel()}\n" for name, value in start)


main()
