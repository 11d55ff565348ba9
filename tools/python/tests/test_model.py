"""Models: what Python gives is what the library and the program give."""

import math
import os
import struct
import subprocess
import threading

import numpy as np
import pytest

import vocode
from conftest import FRAMES, TREE


def test_info(model):
    assert model.info.kind == "frameflow"
    assert (model.info.sample_rate, model.info.hop, model.info.n_mels) == (22050, 256, 80)
    assert model.info.config["mel"]["preset"] == "tacotron2"
    assert "frameflow" in repr(model)


def test_synthesis_is_a_function_of_the_seed(model, mel):
    audio = model.synthesize(mel, seed=3)
    assert audio.dtype == np.float32 and audio.shape == (FRAMES * 256,)
    assert np.isfinite(audio).all() and audio.std() > 1e-3
    assert np.array_equal(audio, model.synthesize(mel, seed=3, threads=1))
    assert np.array_equal(audio, vocode.synthesize(mel, model, seed=3))
    assert np.array_equal(audio, vocode.synthesize(mel, model.path, seed=3))
    assert not np.array_equal(audio, model.synthesize(mel, seed=2**64 - 1))


@pytest.mark.skipif("VOCODE" not in os.environ, reason="the path of the program is not given")
def test_the_program_makes_the_same_samples(model, mel, tmp_path):
    np.save(tmp_path / "mel.npy", mel)
    command = [os.environ["VOCODE"], "-q", "mel.npy", "-", "--raw", "f32le", "--model", model.path]
    command += ["--seed", "5", "--sigma", "0.6", "--mel-match", "1", "--gain", "-3", "--denoise", "0.1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    audio = model.synthesize(mel, 0.6, 5, mel_match=1, gain_db=-3, denoise=0.1)
    assert np.array_equal(np.frombuffer(done.stdout, "<f4"), audio)


def test_layouts_and_types_do_not_matter(model, mel):
    audio = model.synthesize(mel)
    assert np.array_equal(audio, model.synthesize(mel.T, layout="frames-first"))
    assert np.array_equal(audio, model.synthesize(mel[None]))
    assert np.array_equal(audio, model.synthesize(np.asfortranarray(mel).astype(np.float64)))
    assert np.array_equal(audio, model.synthesize(mel.astype(">f4")))
    assert np.array_equal(audio, model.synthesize(mel.tolist()))


def test_sigma_zero_and_noise(model, mel):
    quiet = model.synthesize(mel, sigma=0)
    assert np.array_equal(quiet, model.synthesize(mel, sigma=0, seed=9))
    zeros = np.zeros((model.info.latent_channels, FRAMES), np.float32)
    assert np.array_equal(quiet, model.synthesize(mel, noise=zeros))
    with pytest.raises(vocode.VocodeError, match=f"{FRAMES} columns, found {FRAMES - 1}") as caught:
        model.synthesize(mel, noise=zeros[:, 1:])
    assert caught.value.code is vocode.Status.SHAPE


def test_encode_decode_score(model, voiced):
    mel = model.mel(voiced)
    assert np.array_equal(mel, vocode.mel(voiced, 22050))
    z = model.encode(voiced, mel)
    assert np.array_equal(z, model.encode(voiced))
    assert np.array_equal(z, model.encode(voiced, mel.T, layout="frames-first"))
    same = model.decode(z, mel)
    assert len(same) == len(voiced) // 256 * 256
    error = np.square(same.astype(np.float64) - voiced[: len(same)]).sum()
    assert 10 * math.log10(np.square(same.astype(np.float64)).sum() / error) > 80
    for sigma in (None, 0.7):
        scored = model.score(voiced, mel, sigma)
        used = model.info.train_sigma if sigma is None else sigma
        square = np.square(z.astype(np.float64)).sum()
        nats = (square / (2 * used**2) - scored.log_determinant) / z.size + math.log(used * math.sqrt(2 * math.pi))
        assert scored.nll_nats == pytest.approx(nats, rel=1e-6)
        assert scored.nll_bits == pytest.approx(nats / math.log(2), rel=1e-6)
        assert (scored.sigma, scored.numbers) == (used, z.size)


def test_denoise_leaves_its_input(model, voiced):
    before = voiced.copy()
    cleaned = model.denoise(voiced, 0.5)
    assert np.array_equal(before, voiced) and cleaned.shape == voiced.shape
    assert not np.array_equal(cleaned, voiced)
    assert np.allclose(model.denoise(voiced, 0), voiced, atol=1e-5)


def refused(code, sentence, function, *arguments, **options):
    with pytest.raises(vocode.VocodeError, match=sentence) as caught:
        function(*arguments, **options)
    assert caught.value.code is code


def test_errors_are_exceptions(model, mel, voiced, tmp_path):
    status = vocode.Status
    spoiled = mel.copy()
    spoiled[7, 11] = np.nan
    refused(status.VALUE, "band 7.*frame 11", model.synthesize, spoiled)
    refused(status.SHAPE, r"\[80, T\].*found \[80\]", model.synthesize, mel[:, 0])
    refused(status.SHAPE, 'looks like layout="frames-first"', model.synthesize, mel.T)
    refused(status.SHAPE, "zero frames", model.synthesize, mel[:, :0])
    refused(status.SHAPE, "found", model.synthesize, np.stack([mel, mel]))
    refused(status.ARGUMENT, "real numbers", model.synthesize, mel.astype(complex))
    refused(status.ARGUMENT, "layout", model.synthesize, mel, layout="sideways")
    refused(status.ARGUMENT, "sigma", model.synthesize, mel, sigma=-1)
    refused(status.ARGUMENT, "a seed from 0", model.synthesize, mel, seed=2**64)
    refused(status.ARGUMENT, "threads", model.synthesize, mel, threads=-1)
    refused(status.ARGUMENT, "mel_match", model.synthesize, mel, mel_match=-1)
    refused(status.VALUE, "tacotron2", model.synthesize, mel, mel_preset="nonsense")
    refused(status.CONVENTION, "coqui|fmax|8000", model.synthesize, mel, mel_preset="coqui")
    refused(status.ARGUMENT, "sigma above zero", model.score, voiced, None, 0)
    refused(status.SHAPE, "too short", model.encode, voiced[:255], mel)
    refused(status.SHAPE, "latent", model.decode, np.zeros((3, 5)), mel)
    refused(status.IO, "nowhere", vocode.Model, tmp_path / "nowhere")
    (tmp_path / "bad").write_bytes(struct.pack("<Q", 2**60))
    refused(status.FORMAT, "bad", vocode.Model, tmp_path / "bad")


def test_what_looks_wrong_is_warned_of(model, mel):
    with pytest.warns(vocode.VocodeWarning, match="does not look like tacotron2"):
        model.synthesize(np.full((80, 200), -5.0), mel_match=0)


def test_progress_cancels_and_passes_exceptions(model, mel):
    seen = []
    model.synthesize(mel, progress=seen.append)
    assert seen and seen[-1] == 1
    refused(vocode.Status.CANCELLED, "cancelled", model.synthesize, mel, progress=lambda done: True)

    def stumble(done):
        raise ZeroDivisionError(done)

    with pytest.raises(ZeroDivisionError):
        model.synthesize(mel, progress=stumble)


def test_a_closed_model_refuses(mel):
    with vocode.Model(TREE / "models" / "default.safetensors") as short:
        stream = short.stream()
    refused(vocode.Status.ARGUMENT, "closed", short.synthesize, mel)
    assert sum(len(part) for part in stream.push(mel) + stream.finish()) == FRAMES * 256  # keeps the model


def test_the_default_model(monkeypatch, mel, model):
    monkeypatch.setenv("VOCODE_MODEL", model.path)
    assert vocode.default_model_path() == model.path
    assert np.array_equal(vocode.synthesize(mel), model.synthesize(mel))
    monkeypatch.setenv("VOCODE_MODEL", "nowhere")
    refused(vocode.Status.IO, "nowhere", vocode.synthesize, mel)


def test_threads_share_a_model(model, mel):
    results = {}

    def work(seed):
        parts = []
        with model.stream(seed=seed, threads=1) as stream:
            for t in range(0, FRAMES, 3 + seed):
                parts += stream.push(mel[:, t : t + 3 + seed])
            results[seed] = np.concatenate(parts + stream.finish())

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        assert np.array_equal(results[seed], model.synthesize(mel, seed=seed))
