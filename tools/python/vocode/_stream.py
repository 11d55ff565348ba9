"""Streams: frames in, samples out while they are being made."""

import threading
from typing import Any, Iterable, Iterator, List, Optional

import numpy as np

from . import _arrays
from ._errors import Status, VocodeError
from ._library import Handle, library
from ._options import Options


class Stream:
    """One utterance, made by :meth:`Model.stream`. What comes out is, bit for bit, what :meth:`Model.synthesize` gives
    of the whole mel (with ``refine=0``), however the frames are cut.

    A context manager (leaving it frees the stream), and iterable where it was made with mels: then it yields samples
    until all are out. After an error a stream can only be closed.
    """

    def __init__(
        self, model: Handle, n_mels: int, options: Options, layout: str, mels: Optional[Iterable[Any]] = None
    ) -> None:
        _arrays.check_layout(layout)
        self._options = options
        self._n_mels = n_mels
        self._layout = layout
        self._mels = mels
        self._turn = threading.Lock()  # the library serves one caller at a time
        self._broken = False
        self._handle: Optional[Handle] = Handle.opened(
            "vocode_stream_free", "vocode_stream_open", model.value, options.struct, keeps=model
        )

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Frees the stream; samples not taken are lost. Closing again is fine."""
        with self._turn:
            self._handle = None

    def _open(self) -> Handle:
        if self._handle is None or self._broken:
            raise VocodeError(Status.ARGUMENT, "the stream is closed" if self._handle is None else "the stream failed")
        return self._handle

    def _run(self, name: str, *arguments: Any) -> List[np.ndarray]:
        with self._turn:
            handle = self._open()
            try:
                self._options.call(name, handle.value, *arguments)
            except BaseException:
                self._broken = True
                raise
            samples = np.empty(library().vocode_stream_available(handle.value), dtype=np.float32)
            count = library().vocode_stream_pull(handle.value, _arrays.floats(samples), len(samples))
        return [samples[:count]] if count else []

    @property
    def look_ahead(self) -> int:
        """Frames after a frame that must have been pushed before the last of its samples is out."""
        with self._turn:
            return int(library().vocode_stream_look_ahead(self._open().value))

    def push(self, mel: Any) -> List[np.ndarray]:
        """mel [n_mels, n] (or as the stream's layout says), the frames that follow; n may be 0. Returns the samples
        that are ready, float32 arrays in order; none, as long as the look-ahead is not filled."""
        rows = _arrays.mel_in(mel, self._n_mels, self._layout)
        return self._run("vocode_stream_push", _arrays.floats(rows), len(rows))

    def finish(self) -> List[np.ndarray]:
        """No more frames: returns the rest of the samples. In all, frames * hop samples have come out then."""
        return self._run("vocode_stream_finish")

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._mels is None:
            raise VocodeError(Status.ARGUMENT, "nothing to iterate over: give Model.stream() mels, or push them")
        with self:
            for mel in self._mels:
                yield from self.push(mel)
            yield from self.finish()
