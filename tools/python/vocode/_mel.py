"""Audio to mel spectrogram."""

from typing import Any, Optional

import numpy as np

from . import _arrays
from ._errors import Status, VocodeError
from ._library import Handle, call, library


class Mel:
    """The front end of one mel convention, kept open; for any number of threads.

    preset: ``"tacotron2"``, ``"hifigan"``, ... (``vocode mel --help`` lists them). VocodeError (VALUE) names the
    known ones where there is none such.
    """

    def __init__(self, preset: str = "tacotron2", *, _handle: Optional[Handle] = None) -> None:
        self._handle = _handle or Handle.opened("vocode_mel_free", "vocode_mel_open", preset.encode())

    @property
    def sample_rate(self) -> int:
        """Hz, that audio must have."""
        return int(library().vocode_mel_sample_rate(self._handle.value))

    @property
    def n_mels(self) -> int:
        """Bands."""
        return int(library().vocode_mel_bands(self._handle.value))

    def frames(self, samples: int) -> int:
        """Frames that so many samples give."""
        return int(library().vocode_mel_frames(self._handle.value, _arrays.whole(samples, "samples", 0, 2**62)))

    def __call__(self, audio: Any, sr: int, layout: str = "mels-first") -> np.ndarray:
        """audio [samples], mono, sr Hz -> float32 [n_mels, T] in the convention's units.

        VocodeError: CONVENTION for another sample rate (nothing is resampled), VALUE for audio that is not finite or
        too short, SHAPE for more than one channel.
        """
        _arrays.check_layout(layout)
        samples = _arrays.audio_in(audio)
        if sr != self.sample_rate:
            raise VocodeError(
                Status.CONVENTION, f"the mel convention is for {self.sample_rate} Hz, found {sr} Hz: resample first"
            )
        out = np.empty((self.frames(len(samples)), self.n_mels), dtype=np.float32)
        call("vocode_mel_compute", self._handle.value, _arrays.floats(samples), len(samples), _arrays.floats(out))
        return _arrays.mel_out(out, layout)


def mel(audio: Any, sr: int, preset: str = "tacotron2", layout: str = "mels-first") -> np.ndarray:
    """audio [samples], mono floats of full scale 1 or int16, at sr Hz -> mel spectrogram, float32 [n_mels, T].

    The sample rate must be the preset's (22050 Hz for most): another is refused with VocodeError (CONVENTION), since
    nothing is resampled here. ``layout="frames-first"`` gives [T, n_mels].
    """
    return Mel(preset)(audio, sr, layout)
