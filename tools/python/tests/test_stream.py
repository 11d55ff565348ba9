"""Streams: the same samples, however the frames are cut."""

import numpy as np
import pytest

import vocode
from conftest import FRAMES


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunks_change_no_bit(model, mel, chunk):
    whole = model.synthesize(mel, 0.7, 4)
    pieces = (mel[:, t : t + chunk] for t in range(0, FRAMES, chunk))
    assert np.array_equal(np.concatenate(list(model.stream(pieces, 0.7, 4))), whole)


def test_push_and_finish(model, mel):
    with model.stream(seed=1, layout="frames-first", mel_match=0) as stream:
        assert model.info.look_ahead <= stream.look_ahead
        assert stream.push(mel.T[:0]) == []
        parts = stream.push(mel.T) + stream.finish() + stream.finish()
    assert all(part.dtype == np.float32 and part.ndim == 1 for part in parts)
    assert np.array_equal(np.concatenate(parts), model.synthesize(mel, seed=1, mel_match=0))


def test_samples_come_before_the_end(model, mel):
    with model.stream() as stream:
        frames = np.tile(mel, 4)
        early = sum(len(part) for part in stream.push(frames))
        late = sum(len(part) for part in stream.finish())
    assert early >= (4 * FRAMES - stream_reach(model)) * 256
    assert early + late == 4 * FRAMES * 256


def stream_reach(model):
    with model.stream() as stream:
        return stream.look_ahead


def test_refinement_waits_for_the_end(model, mel):
    with model.stream(seed=2, refine=2) as stream:
        assert stream.push(mel) == []
        assert np.array_equal(np.concatenate(stream.finish()), model.synthesize(mel, seed=2, refine=2))


def test_wrong_use_is_refused(model, mel):
    stream = model.stream()
    stream.push(mel)
    stream.finish()
    with pytest.raises(vocode.VocodeError, match="finished"):
        stream.push(mel)
    stream.close()
    stream.close()
    with pytest.raises(vocode.VocodeError, match="closed"):
        stream.push(mel)
    with pytest.raises(vocode.VocodeError, match="closed"):
        stream.look_ahead
    with pytest.raises(vocode.VocodeError, match="iterate"):
        next(iter(model.stream()))
    with pytest.raises(vocode.VocodeError, match=r"found \[79, 4\]"):
        model.stream().push(mel[:79, :4])
    with pytest.raises(vocode.VocodeError, match="zero frames"):
        model.stream().finish()


def test_cancelling_ends_a_stream(model, mel):
    gone = []
    stream = model.stream(progress=lambda done: bool(gone))
    stream.push(mel)
    gone.append(True)
    with pytest.raises(vocode.VocodeError, match="cancelled") as caught:
        stream.push(mel)
    assert caught.value.code is vocode.Status.CANCELLED
    with pytest.raises(vocode.VocodeError, match="failed"):
        stream.push(mel)
