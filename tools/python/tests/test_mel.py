"""The mel front end."""

import numpy as np
import pytest

import vocode
from conftest import TREE

DATA = TREE / "tests" / "data" / "dsp"


def read_pcm16(path):
    """int16 [n] of a plain mono WAV file."""
    wave = pytest.importorskip("wave")
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def test_a_golden_mel(voiced):
    samples, rate = read_pcm16(DATA / "clip.wav")
    golden = np.load(DATA / "clip.tacotron2.npy")
    mel = vocode.mel(samples, rate)
    assert mel.dtype == np.float32 and mel.flags.c_contiguous
    assert mel.shape == golden.shape
    assert np.abs(mel - golden).max() < 1e-4
    assert np.array_equal(mel, vocode.mel(samples / 32768.0, rate, "waveglow"))
    assert np.array_equal(mel.T, vocode.mel(samples[None], rate, layout="frames-first"))


def test_presets(voiced):
    front_end = vocode.Mel("vocos")
    assert (front_end.sample_rate, front_end.n_mels, front_end.frames(2560)) == (24000, 100, 11)
    assert front_end(voiced, 24000).shape == (100, 1 + len(voiced) // 256)
    assert vocode.mel(voiced, 22050, "hifigan").shape == (80, len(voiced) // 256)


def test_refusals(voiced):
    for code, sentence, arguments in (
        (vocode.Status.CONVENTION, "22050 Hz, found 16000 Hz", (voiced, 16000)),
        (vocode.Status.VALUE, "nonsense.*hifigan", (voiced, 22050, "nonsense")),
        (vocode.Status.SHAPE, r"mono audio.*found \[2, 5512\]", (np.stack([voiced[:5512]] * 2), 22050)),
        (vocode.Status.ARGUMENT, "int64", (np.arange(4096), 22050)),
        (vocode.Status.VALUE, "sample 3 .*NaN", (np.where(np.arange(4096) == 3, np.nan, 0), 22050)),
        (vocode.Status.VALUE, "0 samples", (voiced[:0], 22050)),
    ):
        with pytest.raises(vocode.VocodeError, match=sentence) as caught:
            vocode.mel(*arguments)
        assert caught.value.code is code
