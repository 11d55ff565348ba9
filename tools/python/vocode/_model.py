"""Models: mel to audio, audio to latent and back, likelihoods."""

import ctypes
import functools
import json
import os
import pathlib
from typing import Any, Callable, Dict, Iterable, NamedTuple, Optional, Union

import numpy as np

from . import _arrays
from ._errors import Status, VocodeError
from ._library import Handle, LikelihoodResult, ModelInfo, call, library, tree
from ._mel import Mel
from ._options import Options, threads_in
from ._stream import Stream

_DATA = pathlib.PurePath("share", "vocode", "models", "default.safetensors")


class Info(NamedTuple):
    """What a model is."""

    kind: str  #: "waveglow", "squeezewave", "frameflow"
    config: Dict[str, Any]  #: the whole configuration
    parameters: int  #: trained numbers
    sample_rate: int  #: Hz
    hop: int  #: samples a mel frame
    n_mels: int  #: bands
    latent_channels: int  #: rows of a latent
    columns_per_frame: float  #: latent columns a mel frame
    sigma: float  #: standard deviation of the noise that synthesis uses by default
    train_sigma: float  #: of the Gaussian that training assumed, and score by default
    mel_match: int  #: default number of mel-consistency passes
    refine: int  #: default number of phase-refinement iterations
    look_ahead: int  #: frames after a frame that its audio depends on, passes and refinement left out


class Likelihood(NamedTuple):
    """The exact likelihood of a clip."""

    nll_nats: float  #: negative log-likelihood a number of the latent, nats
    nll_bits: float  #: the same in bits
    sigma: float  #: of the Gaussian that it is stated under
    log_determinant: float  #: of audio to latent, the whole clip, nats
    numbers: int  #: that the averages are over


class Model:
    """An open model file. Immutable: any number of threads may use it at once.

    path: a .safetensors file of ``vocode convert``, ``init`` or training; None: the default model
    (:func:`default_model_path`). VocodeError: IO, FORMAT, VALUE or SHAPE, with a sentence that names the file.
    """

    def __init__(self, path: Union[str, "os.PathLike[str]", None] = None) -> None:
        self.path = os.fspath(path) if path is not None else default_model_path()
        self._handle: Optional[Handle] = Handle.opened(
            "vocode_model_free", "vocode_model_open", os.fsencode(self.path)
        )
        info = ModelInfo()
        library().vocode_model_describe(self._handle.value, ctypes.byref(info))
        values = {name: getattr(info, name) for name, *_ in ModelInfo._fields_}
        values.update(kind=info.kind.decode(), config=json.loads(info.config.decode()))
        #: what the model is
        self.info = Info(**values)

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<vocode.Model {self.path!r}: {self.info.kind}, {self.info.parameters} parameters>"

    def close(self) -> None:
        """Lets go of the model. Its streams, and calls under way in other threads, keep it until they end."""
        self._handle = None

    def _open(self) -> Handle:
        handle = self._handle
        if handle is None:
            raise VocodeError(Status.ARGUMENT, f"{self.path}: the model is closed")
        return handle

    def synthesize(
        self,
        mel: Any,
        sigma: Optional[float] = None,
        seed: int = 0,
        *,
        noise: Any = None,
        mel_match: Optional[int] = None,
        refine: Optional[int] = None,
        steps: Optional[int] = None,
        denoise: float = 0.0,
        gain_db: float = 0.0,
        mel_preset: Optional[str] = None,
        layout: str = "mels-first",
        threads: int = 0,
        progress: Optional[Callable[[float], Any]] = None,
    ) -> np.ndarray:
        """mel [n_mels, T] -> audio, float32 [T * hop].

        sigma: the noise's standard deviation; None: the model's own. seed: of the noise, 0 to 2**64 - 1: the same seed
        gives the same bits at any number of threads. noise: the latent to use as it is, [latent_channels, columns].
        mel_match, refine: passes in all and iterations; None: the model's own (iterations: unless
        mel_match is given), 0: none. steps: of a
        continuous flow's solver; None: the model's own. denoise: strength of the bias removal. gain_db: applied last. mel_preset: the convention that the mel is in where it is not the model's;
        converted where that is exact. threads: 0: all. progress: called with 0 to 1; a true result cancels.

        VocodeError: SHAPE, VALUE for NaN, infinity or an unknown preset, CONVENTION for a mel that cannot be converted,
        ARGUMENT for options out of range, CANCELLED. VocodeWarning where the mel looks like another convention.
        """
        handle = self._open()
        rows = _arrays.mel_in(mel, self.info.n_mels, layout)
        latent = None if noise is None else _arrays.latent_in(noise, self.info.latent_channels)
        options = Options(sigma, seed, latent, mel_match, refine, denoise, gain_db, mel_preset, threads, progress, steps)
        audio = np.empty(len(rows) * self.info.hop, dtype=np.float32)
        options.call(
            "vocode_synthesize",
            handle.value,
            _arrays.floats(rows),
            len(rows),
            self.info.n_mels,
            options.struct,
            _arrays.floats(audio),
        )
        return audio

    def stream(
        self,
        mels: Optional[Iterable[Any]] = None,
        sigma: Optional[float] = None,
        seed: int = 0,
        *,
        mel_match: Optional[int] = None,
        refine: Optional[int] = None,
        steps: Optional[int] = None,
        denoise: float = 0.0,
        gain_db: float = 0.0,
        mel_preset: Optional[str] = None,
        layout: str = "mels-first",
        threads: int = 0,
        progress: Optional[Callable[[float], Any]] = None,
    ) -> Stream:
        """A stream: push frames, take samples while they are made. With mels (an iterable of pieces [n_mels, n]) it can
        be iterated over. Options as for :meth:`synthesize`. Passes and refinement make it
        look further ahead: mel_match=0 and refine=0 leave them out."""
        options = Options(sigma, seed, None, mel_match, refine, denoise, gain_db, mel_preset, threads, progress, steps)
        return Stream(self._open(), self.info.n_mels, options, layout, mels)

    def mel(self, audio: Any, sr: Optional[int] = None, layout: str = "mels-first") -> np.ndarray:
        """audio [samples] -> mel [n_mels, T] in the convention that the model was trained on. sr None: the audio is at
        the model's rate; another is refused (CONVENTION). UNSUPPORTED where the model does not say its convention."""
        front_end = Mel(_handle=Handle.opened("vocode_mel_free", "vocode_mel_for_model", self._open().value))
        return front_end(audio, self.info.sample_rate if sr is None else sr, layout)

    def _clip(self, audio: Any, mel: Any, layout: str) -> "tuple[np.ndarray, np.ndarray]":
        samples = _arrays.audio_in(audio)
        rows = self.mel(samples, layout="frames-first") if mel is None else None
        return samples, _arrays.mel_in(mel, self.info.n_mels, layout) if rows is None else rows

    def encode(self, audio: Any, mel: Any = None, *, layout: str = "mels-first", threads: int = 0) -> np.ndarray:
        """audio [samples], mel [n_mels, T] (None: computed from the audio) -> latent, float32 [latent_channels,
        columns], of the first min(samples // hop, T) * hop samples. SHAPE where that is none."""
        handle = self._open()
        samples, rows = self._clip(audio, mel, layout)
        used, columns = ctypes.c_size_t(), ctypes.c_size_t()
        library().vocode_encode_size(
            handle.value, len(samples), len(rows), ctypes.byref(used), ctypes.byref(columns)
        )
        latent = np.empty((self.info.latent_channels, columns.value), dtype=np.float32)
        call(
            "vocode_encode",
            handle.value,
            _arrays.floats(samples),
            len(samples),
            _arrays.floats(rows),
            len(rows),
            threads_in(threads),
            _arrays.floats(latent),
            None,
        )
        return latent

    def decode(self, latent: Any, mel: Any, *, layout: str = "mels-first", threads: int = 0) -> np.ndarray:
        """The inverse of encode: latent [latent_channels, columns] and the mel that it was encoded with -> audio."""
        handle = self._open()
        z = _arrays.latent_in(latent, self.info.latent_channels)
        rows = _arrays.mel_in(mel, self.info.n_mels, layout)
        audio = np.empty(library().vocode_decode_size(handle.value, z.shape[1]), dtype=np.float32)
        call(
            "vocode_decode",
            handle.value,
            _arrays.floats(z),
            z.shape[1],
            _arrays.floats(rows),
            len(rows),
            threads_in(threads),
            _arrays.floats(audio),
        )
        return audio

    def score(
        self,
        audio: Any,
        mel: Any = None,
        sigma: Optional[float] = None,
        *,
        layout: str = "mels-first",
        threads: int = 0,
    ) -> Likelihood:
        """The exact likelihood of audio [samples] given the mel (None: computed from the audio), under a Gaussian of
        standard deviation sigma (None: the model's train_sigma; otherwise above zero)."""
        handle = self._open()
        if sigma is not None and not float(sigma) > 0:
            raise VocodeError(Status.ARGUMENT, f"expected a sigma above zero, found {sigma!r}")
        samples, rows = self._clip(audio, mel, layout)
        result = LikelihoodResult()
        call(
            "vocode_score",
            handle.value,
            _arrays.floats(samples),
            len(samples),
            _arrays.floats(rows),
            len(rows),
            0.0 if sigma is None else float(sigma),
            threads_in(threads),
            ctypes.byref(result),
        )
        return Likelihood(*(getattr(result, name) for name in Likelihood._fields))

    def denoise(self, audio: Any, strength: float = 0.1, *, threads: int = 0) -> np.ndarray:
        """A copy of audio [samples] without the tones that the model makes of a zero latent; strength 1: all."""
        handle = self._open()
        samples = np.array(_arrays.audio_in(audio))
        used = threads_in(threads)
        call("vocode_denoise", handle.value, _arrays.floats(samples), len(samples), float(strength), used)
        return samples


def default_model_path() -> str:
    """The model that is used where none is given: VOCODE_MODEL, that of the source tree, that beside the installed
    library, or that of /usr/local/share or /usr/share. VocodeError (IO) where there is none."""
    given = os.environ.get("VOCODE_MODEL")
    if given:
        return given
    root = tree()
    places = [root / "models" / "default.safetensors"] if root else []
    path = os.environ.get("VOCODE_LIBRARY")
    if path:
        places += [folder / _DATA for folder in pathlib.Path(path).resolve().parents]
    places += [pathlib.Path("/usr/local") / _DATA, pathlib.Path("/usr") / _DATA]
    for place in places:
        if place.is_file():
            return str(place)
    looked = ", ".join(str(place) for place in places)
    raise VocodeError(
        Status.IO, f"there is no default model: set VOCODE_MODEL, or give the path of one; looked for {looked}"
    )


@functools.lru_cache(maxsize=1)
def _kept(path: str) -> Model:
    return Model(path)


def synthesize(
    mel: Any,
    model: Union[Model, str, "os.PathLike[str]", None] = None,
    sigma: Optional[float] = None,
    seed: int = 0,
    **options: Any,
) -> np.ndarray:
    """mel [n_mels, T] -> audio, float32 [T * hop], at the model's sample rate.

    model: a :class:`Model`, or the path of one (opened for this call), or None: the default model, which stays open
    from the first call on. Everything else is as for :meth:`Model.synthesize`.
    """
    if model is None:
        model = _kept(default_model_path())
    elif not isinstance(model, Model):
        model = Model(model)
    return model.synthesize(mel, sigma, seed, **options)
