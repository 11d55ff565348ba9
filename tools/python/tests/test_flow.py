"""Densities of vectors: numpy in and out, the same as the program's, and a sentence for what is wrong."""

import math
import os
import subprocess
import threading

import numpy as np
import pytest

import vocode

SPEC = "maf:layers=2,hidden=16,depth=1"
ENTROPY = 2 * 0.5 * math.log(2 * math.pi * math.e) + math.log(2) - math.log(2)


def draw(n):
    """x1 follows x0, and c says with which sign."""
    random = np.random.default_rng(1)
    c = random.choice([-1.0, 1.0], (n, 1))
    x0 = 3 + 2 * random.standard_normal((n, 1))
    return np.hstack([x0, c * x0 / 2 + random.standard_normal((n, 1)) / 2]), c


@pytest.fixture(scope="module")
def rows():
    return draw(1500)


@pytest.fixture(scope="module")
def flow(rows):
    x, c = rows
    return vocode.Flow.fit(x, SPEC, c, epochs=60, rate=1e-2, batch=128)


def test_a_fit_finds_the_density(flow, rows):
    x, c = rows
    density = flow.score(x, c)
    assert density.dtype == np.float64 and density.shape == (1500,)
    assert -density.mean() == pytest.approx(ENTROPY, abs=0.12)
    assert flow.info.spec == SPEC and flow.info.base == "gaussian"
    assert (flow.info.channels, flow.info.context, flow.info.rows) == (2, 1, 1500)
    assert flow.info.valid_nll == pytest.approx(ENTROPY, abs=0.3)
    assert SPEC in repr(flow)


def test_there_and_back(flow, rows):
    x, c = rows
    z = flow.encode(x, c, threads=2)
    assert z.dtype == np.float32 and z.shape == x.shape
    assert np.allclose(flow.decode(z, c), x, atol=1e-4)
    assert abs(z.mean()) < 0.1 and z.std() == pytest.approx(1, abs=0.1)


def test_samples(flow, rows):
    _, c = rows
    x = flow.sample(1500, c, seed=3)
    assert x.dtype == np.float32 and x.shape == (1500, 2)
    assert np.array_equal(x[:10], flow.sample(10, c[:10], seed=3, threads=1))
    assert not np.array_equal(x, flow.sample(1500, c, seed=4))
    assert np.corrcoef(x[c[:, 0] > 0].T)[0, 1] > 0.7 > -0.7 > np.corrcoef(x[c[:, 0] < 0].T)[0, 1]


def test_types_and_layouts_do_not_matter(flow, rows):
    x, c = rows
    density = flow.score(x, c)
    assert np.array_equal(density, flow.score(np.asfortranarray(x).astype(np.float32), c[:, 0]))
    assert np.array_equal(density[:5], flow.score(x[:5].tolist(), c[:5].astype(int)))


@pytest.mark.skipif("VOCODE" not in os.environ, reason="the path of the program is not given")
def test_files_are_the_program_s(flow, rows, tmp_path):
    x, c = rows
    flow.save(tmp_path / "model")
    again = vocode.Flow(tmp_path / "model")
    assert again.info == flow.info
    assert np.array_equal(again.sample(9, c[:9]), flow.sample(9, c[:9]))
    np.save(tmp_path / "c.npy", c.astype(np.float32))
    command = [os.environ["VOCODE"], "flow", "sample", "model", "1500", "x.npy", "--context", "c.npy", "--seed", "8"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert np.array_equal(np.load(tmp_path / "x.npy"), flow.sample(1500, c, seed=8))


def test_fresh_flows():
    fresh = vocode.Flow.create("actnorm,linear", 3, base="logistic", seed=2)
    assert math.isnan(fresh.info.valid_nll) and fresh.info.base == "logistic"
    at = fresh.score(np.zeros((1, 3)))
    assert at[0] == pytest.approx(3 * math.log(0.25), abs=1e-5)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).integers(0, 4, (90, 4, 2, 3)) + np.arange(3)


def test_images_keep_their_shape(images, tmp_path):
    spec = "dequantize,coupling:mask=alternate_channelwise,network=conv,hidden=3,depth=1*2"
    flow = vocode.Flow.fit(images, spec, epochs=2)
    assert flow.info.channels == 24 and flow.info.shape == (4, 2, 3)
    assert "4 x 2 x 3 channels" in repr(flow)
    z = flow.encode(images)
    assert z.shape == (90, 24)
    assert np.array_equal(flow.decode(z), images)
    flow.save(tmp_path / "model")
    again = vocode.Flow(tmp_path / "model")
    drawn = again.sample(5, seed=1)
    assert drawn.dtype == np.float32 and drawn.shape == (5, 4, 2, 3)
    assert np.array_equal(again.score(drawn), flow.score(drawn.reshape(5, 24)))
    flat = vocode.Flow.fit(images.reshape(90, 24), "dequantize,actnorm", epochs=1)
    assert flat.info.shape == (24,) and flat.sample(2).shape == (2, 24)
    refused(vocode.Status.SHAPE, r"x \[n, 4, 2, 3\] or \[n, 24\], found \[90, 2, 4, 3\]", flow.score, images.reshape(90, 2, 4, 3))
    refused(vocode.Status.SHAPE, r"x \[n, 24\], found \[90, 4, 2, 3\]", flat.score, images)


def test_fresh_flows_of_images():
    fresh = vocode.Flow.create("multiscale:channels=2", (4, 4))
    assert fresh.info.shape == (4, 4) and fresh.sample(3).shape == (3, 4, 4)
    refused(vocode.Status.ARGUMENT, "shape of an image", vocode.Flow.create, "actnorm", (2, 2, 2, 2))
    refused(vocode.Status.ARGUMENT, "channels from 1", vocode.Flow.create, "actnorm", (2, 0))
    refused(vocode.Status.SHAPE, "at least one number", vocode.Flow.create, "actnorm", 0)


@pytest.mark.skipif("VOCODE" not in os.environ, reason="the path of the program is not given")
def test_images_are_the_program_s(images, tmp_path):
    np.save(tmp_path / "x.npy", images[..., 0].astype(np.float32))
    command = ["flow", "fit", "x.npy", "model", "--flow", "affine", "--dequantize", "uniform", "--epochs", "2"]
    subprocess.run([os.environ["VOCODE"], *command], cwd=tmp_path, check=True)
    read = vocode.Flow(tmp_path / "model")
    assert read.info.shape == (4, 2)
    same = vocode.Flow.fit(images[..., 0], "dequantize,affine", epochs=2)
    assert read.info == same.info
    assert np.array_equal(read.sample(4, seed=3), same.sample(4, seed=3))


def test_watching_a_fit(rows):
    x, _ = rows
    seen = []
    flow = vocode.Flow.fit(x, "actnorm", epochs=20, patience=20, watch=lambda now: seen.append(now) or now.epoch == 3)
    assert [now.epoch for now in seen] == [1, 2, 3] and seen[0].epochs == 20
    assert flow.info.epochs == 3 and flow.info.valid_nll == min(now.valid_nll for now in seen if now.best)

    def stumble(now):
        raise ZeroDivisionError(now)

    with pytest.raises(ZeroDivisionError):
        vocode.Flow.fit(x, "actnorm", epochs=5, watch=stumble)


P = np.array([[2, 1], [1, 1.5]])


def gaussian(z):
    away = z - [1, -2]
    return np.einsum("ni,ij,nj->n", away, P, away) / 2 + 3, away @ P


def test_inference_finds_a_gaussian():
    seen = []
    options = dict(tries=1, steps=600, batch=64, rate=0.1)
    flow = vocode.Flow.infer(gaussian, "linear", 2, **options, watch=lambda now: seen.append(now))
    found = flow.evidence(gaussian, 20000)
    log_z = math.log(2 * math.pi) - math.log(np.linalg.det(P)) / 2 - 3
    assert found.log_z == pytest.approx(log_z, abs=1e-3) and found.bound == pytest.approx(log_z, abs=5e-3)
    assert found.effective > 0.98 * found.draws and found.draws == 20000
    assert flow.info.turned and seen[-1].step == 600 and seen[-1].free_energy == pytest.approx(-log_z, abs=0.05)
    assert np.allclose(np.cov(flow.sample(40000).T), np.linalg.inv(P), atol=0.05)

    def stumble(z):
        raise ZeroDivisionError(z)

    with pytest.raises(ZeroDivisionError):
        vocode.Flow.infer(stumble, "linear", 2)
    with pytest.raises(ZeroDivisionError):
        flow.evidence(stumble)
    with pytest.raises(ValueError):
        vocode.Flow.infer(lambda z: (np.zeros(3), z), "linear", 2)


def test_threads_share_a_flow(flow, rows):
    x, c = rows
    results = {}

    def work(key):
        results[key] = flow.score(x, c, threads=1)

    threads = [threading.Thread(target=work, args=(key,)) for key in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(results[key], flow.score(x, c)) for key in range(4))


def refused(code, sentence, function, *arguments, **options):
    with pytest.raises(vocode.VocodeError, match=sentence) as caught:
        function(*arguments, **options)
    assert caught.value.code is code


def test_errors_are_exceptions(flow, rows, tmp_path):
    x, c = rows
    status = vocode.Status
    fit = vocode.Flow.fit
    constant, holed = x.copy(), x.copy()
    constant[:, 1] = 4
    holed[6, 0] = np.nan
    refused(status.VALUE, "column 1: .*found 4", fit, constant, SPEC)
    refused(status.VALUE, "NaN or infinity, the first is 6", fit, holed, SPEC)
    refused(status.VALUE, "at least 2 rows", fit, x[:1], SPEC)
    refused(status.SHAPE, "at least one row", fit, x[:0], SPEC)
    refused(status.SHAPE, r"x \[n, columns\], found \[1500, 2, 1, 1, 1\]", fit, x[:, :, None, None, None], SPEC)
    refused(status.SHAPE, r"context \[1500, columns\], found \[7, 1\]", fit, x, SPEC, c[:7])
    refused(status.VALUE, 'found "mafs"', fit, x, "mafs")
    refused(status.VALUE, "gaussian or logistic", fit, x, SPEC, base="cauchy")
    refused(status.ARGUMENT, "options.valid", fit, x, SPEC, valid=0.95)
    refused(status.ARGUMENT, "rate above zero", fit, x, SPEC, rate=0)
    refused(status.ARGUMENT, "epochs from 1", fit, x, SPEC, epochs=0)
    refused(status.ARGUMENT, "real numbers", fit, x.astype(complex), SPEC)
    refused(status.SHAPE, r"x \[n, 2\], found \[1500, 1\]", flow.score, c, c)
    refused(status.SHAPE, "1 numbers of context a row, found none", flow.score, x)
    refused(status.VALUE, "x: .*found nan in row 6, column 0", flow.encode, holed, c)
    refused(status.ARGUMENT, "a number of rows from 1", flow.sample, 0)
    refused(status.IO, "nowhere", vocode.Flow, tmp_path / "nowhere")
    refused(status.IO, "nowhere", flow.save, tmp_path / "nowhere" / "model")
