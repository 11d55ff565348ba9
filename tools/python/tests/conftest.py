"""Inputs of the tests: the shipped model, a real mel, a recording-like signal."""

import pathlib

import numpy as np
import pytest

import vocode

TREE = pathlib.Path(__file__).resolve().parents[3]
FRAMES = 40


@pytest.fixture(scope="session")
def model():
    return vocode.Model(TREE / "models" / "default.safetensors")


@pytest.fixture(scope="session")
def mel():
    """float32 [80, FRAMES] of speech."""
    return np.load(TREE / "audio" / "english.npy")[:, 60 : 60 + FRAMES]


@pytest.fixture(scope="session")
def voiced():
    """float32 [n], 22050 Hz: a gliding tone with harmonics."""
    t = np.arange(22050 // 2) / 22050
    phase = 2 * np.pi * (120 * t + 40 * t**2)
    return sum(0.1 / k * np.sin(k * phase) for k in range(1, 12)).astype(np.float32)
