"""Options of synthesis, from keyword arguments to vocode_synthesis."""

import ctypes
import warnings
from typing import Any, Callable, List, Optional

import numpy as np

from . import _arrays
from ._errors import Status, VocodeError, VocodeWarning
from ._library import Progress, Synthesis, Warn, call

MOST_THREADS = 1024
_MOST_INT = 2**31 - 1


def threads_in(threads: int) -> int:
    return _arrays.whole(threads, "threads", 0, MOST_THREADS)


def _level(value: Optional[int], what: str) -> int:
    """The library takes 0 for the model's own and a negative number for none."""
    if value is None:
        return 0
    return _arrays.whole(value, what, 0, _MOST_INT) or -1


class _Reports:
    """What the library says while it works."""

    def __init__(self, report: Optional[Callable[[float], Any]]) -> None:
        self.report = report
        self.sentences: List[str] = []
        self.raised: Optional[BaseException] = None

    def progress(self, _: Any, done: float) -> int:
        # An exception cannot pass through C: it cancels, and is raised again behind the call. Control-C arrives here.
        try:
            return 1 if self.report is not None and self.report(done) else 0
        except BaseException as raised:  # pylint: disable=broad-except
            self.raised = raised
            return 1

    def warning(self, _: Any, sentence: bytes) -> None:
        self.sentences.append(sentence.decode("utf-8", "replace"))


class Options:
    """One caller's options. They must live as long as what was opened with them, since the library calls back."""

    def __init__(
        self,
        sigma: Optional[float] = None,
        seed: int = 0,
        noise: Optional[np.ndarray] = None,
        mel_match: Optional[int] = None,
        refine: Optional[int] = None,
        denoise: float = 0.0,
        gain_db: float = 0.0,
        mel_preset: Optional[str] = None,
        threads: int = 0,
        progress: Optional[Callable[[float], Any]] = None,
        steps: Optional[int] = None,
    ) -> None:
        self._reports = _Reports(progress)
        self.struct = Synthesis(
            size=ctypes.sizeof(Synthesis),
            sigma=0.0 if sigma is None else float(sigma),
            silent_latent=sigma is not None and float(sigma) == 0,
            seed=_arrays.whole(seed, "a seed", 0, 2**64 - 1),
            mel_match=_level(mel_match, "mel_match"),
            refine=_level(refine, "refine"),
            denoise=float(denoise),
            gain_db=float(gain_db),
            mel_preset=None if mel_preset is None else mel_preset.encode(),
            threads=threads_in(threads),
            progress=Progress(self._reports.progress),
            warning=Warn(self._reports.warning),
            steps=0 if steps is None else _arrays.whole(steps, "steps", 1, 1000),
        )
        if noise is not None:
            self.struct.noise = _arrays.floats(noise)
            self.struct.noise_columns = noise.shape[1]

    def call(self, name: str, *arguments: Any) -> None:
        """The library's function, then what came of the callbacks."""
        reports = self._reports
        try:
            call(name, *arguments)
        except VocodeError as error:
            raised, reports.raised = reports.raised, None
            if error.code == Status.CANCELLED and raised is not None:
                raise raised from None
            raise
        finally:
            sentences, reports.sentences = reports.sentences, []
        for sentence in sentences:
            warnings.warn(sentence, VocodeWarning, stacklevel=4)
