"""Densities of vectors: flows fitted to rows of numbers."""

import ctypes
import math
import os
from typing import Any, Callable, NamedTuple, Optional, Tuple, Union

import numpy as np

from . import _arrays
from ._errors import Status, VocodeError
from ._library import FlowInfo as _InfoStruct
from ._library import Energy as _EnergyFunction
from ._library import EvidenceResult, FlowOptions, Handle, Image, InferenceOptions, Watch, WatchInference, call, library
from ._options import threads_in

_MOST = 2**63 - 1


class FlowInfo(NamedTuple):
    """What a flow is."""

    spec: str  #: the line that it was made of
    base: str  #: distribution of the latent's numbers: "gaussian" or "logistic"
    channels: int  #: columns of the data and of the latent
    context: int  #: columns of what rows are conditioned on, 0: none
    parameters: int  #: trained numbers
    rows: int  #: that it was fitted to; 0 where it was not
    epochs: int  #: passes of the fit
    valid_nll: float  #: nats a row held out, at the best pass; NaN where it was not fitted
    turned: bool  #: spec goes from latent to data (:meth:`Flow.infer`)
    shape: Tuple[int, ...]  #: of a row: (channels,), or of an image, (height, width) or (height, width, planes)


class InferenceProgress(NamedTuple):
    """What an inference says some two hundred times a try."""

    attempt: int  #: from 1
    attempts: int
    step: int  #: of the attempt
    steps: int
    skipped: int  #: steps so far whose loss or gradient was not finite
    free_energy: float  #: nats, of the batches since the last time
    beta: float  #: what the energy counts for, 0.01 to 1
    rate: float  #: learning rate


class Evidence(NamedTuple):
    """What draws of a flow tell of exp(-U), nats; errors are standard errors."""

    bound: float  #: -E[log q + U], no more than log Z
    bound_error: float
    log_z: float  #: by importance sampling
    log_z_error: float
    effective: float  #: so many draws are as good as drawn from exp(-U) / Z
    draws: int


#: z, float32 [n, channels] -> (U [n], dU/dz [n, channels])
Energy = Callable[[np.ndarray], Tuple[Any, Any]]


class FitProgress(NamedTuple):
    """What a fit says after a pass over the rows."""

    epoch: int  #: the pass that ended, from 1
    epochs: int  #: the most there will be
    skipped: int  #: steps so far whose loss or gradient was not finite
    train_nll: float  #: nats a row, mean while training
    valid_nll: float  #: nats a row held out
    rate: float  #: learning rate of the pass
    best: bool  #: valid_nll is the lowest so far


class _Watcher:
    """Between a Python function and the library's callback. An exception cannot pass through C: it cancels the fit, and
    is raised again behind the call. Control-C arrives here."""

    def __init__(self, watch: Optional[Callable[[Any], Any]], kind: Any = FitProgress) -> None:
        self.watch = watch
        self.kind = kind
        self.raised: Optional[BaseException] = None

    def __call__(self, _: Any, now: Any) -> int:
        try:
            if self.watch is None:
                return 0
            now = self.kind(*(getattr(now.contents, name) for name in self.kind._fields))
            return 1 if self.watch(now) else 0
        except BaseException as raised:  # pylint: disable=broad-except
            self.raised = raised
            return -1


class _Energy:
    """Between a Python function of numpy arrays and the library's callback; exceptions as for :class:`_Watcher`."""

    def __init__(self, find: Energy, channels: int) -> None:
        self.find = find
        self.channels = channels
        self.raised: Optional[BaseException] = None

    def __call__(self, _: Any, z: Any, rows: int, value: Any, slope: Any) -> int:
        try:
            shape = (rows, self.channels)
            energies, slopes = self.find(np.ctypeslib.as_array(z, shape).copy())
            np.ctypeslib.as_array(value, (rows,))[:] = np.asarray(energies, dtype=np.float64).reshape(rows)
            if slope:
                np.ctypeslib.as_array(slope, shape)[:] = np.asarray(slopes, dtype=np.float32).reshape(shape)
            return 0
        except BaseException as raised:  # pylint: disable=broad-except
            self.raised = raised
            return 1


def _raise_again(error: VocodeError, *callbacks: Any) -> None:
    for callback in callbacks:
        if error.code == Status.CANCELLED and callback.raised is not None:
            raise callback.raised from None


def _options(seed: int, base: str, threads: int = 0, watcher: Optional[_Watcher] = None, **numbers: Any) -> FlowOptions:
    if not isinstance(base, str):
        raise VocodeError(Status.ARGUMENT, f"expected the name of a base, found {base!r}")
    options = FlowOptions(
        size=ctypes.sizeof(FlowOptions),
        base=base.encode(),
        seed=_arrays.whole(seed, "a seed", 0, 2**64 - 1),
        threads=threads_in(threads),
    )
    if watcher is not None:
        options.watch = Watch(watcher)
    for name, value in numbers.items():
        setattr(options, name, value)
    return options


def _positive(value: Optional[float], what: str) -> float:
    """None is the library's default, which it knows as zero."""
    if value is None:
        return 0.0
    if not float(value) > 0:
        raise VocodeError(Status.ARGUMENT, f"expected {what} above zero, found {value!r}")
    return float(value)


def _count(value: Optional[int], what: str) -> int:
    return 0 if value is None else _arrays.whole(value, what, 1, _MOST)


def _image(shape: Tuple[int, ...]) -> Image:
    """Of a row's shape; rows that are no images have one axis."""
    return Image() if len(shape) < 2 else Image(*shape)


def _floats(rows: Optional[np.ndarray]) -> Any:
    return None if rows is None else _arrays.floats(rows)


class Flow:
    """A density of vectors, made by :meth:`fit`, or read from a file that :meth:`save` or ``vocode flow fit`` wrote.
    Immutable: any number of threads may use it at once.

    Rows are [n, channels]; [n] is taken as n rows of one number. A flow that was fitted to images, [n, height, width]
    or [n, height, width, planes], takes them or rows of as many numbers, and gives images; latents are rows. context is
    [n, info.context], wherever the flow was fitted with one.
    """

    def __init__(self, path: Union[str, "os.PathLike[str]"]) -> None:
        self._take(Handle.opened("vocode_flow_free", "vocode_flow_open", os.fsencode(path)))

    def _take(self, handle: Handle) -> None:
        self._handle = handle
        info = _InfoStruct()
        library().vocode_flow_describe(handle.value, ctypes.byref(info))
        values = {name: getattr(info, name) for name, *_ in _InfoStruct._fields_}
        image = Image()
        library().vocode_flow_image(handle.value, ctypes.byref(image))
        shape = tuple(size for size in (image.height, image.width, image.planes) if size) or (info.channels,)
        values.update(spec=info.spec.decode(), base=info.base.decode(), turned=bool(info.turned), shape=shape)
        #: what the flow is
        self.info = FlowInfo(**values)

    @classmethod
    def _made(cls, name: str, *arguments: Any) -> "Flow":
        flow = cls.__new__(cls)
        flow._take(Handle.opened("vocode_flow_free", name, *arguments))
        return flow

    @classmethod
    def create(
        cls,
        spec: str,
        channels: Union[int, Tuple[int, ...]],
        context: int = 0,
        *,
        base: str = "gaussian",
        seed: int = 0,
    ) -> "Flow":
        """A fresh flow, its weights drawn from the seed. spec: from data to latent, such as "maf:layers=5,hidden=128"
        (``vocode flow list`` prints what may be named). channels: the columns of rows, or the shape of an image,
        (height, width) or (height, width, planes)."""
        shape = tuple(channels) if isinstance(channels, (tuple, list)) else (channels,)
        if not 1 <= len(shape) <= 3:
            raise VocodeError(Status.ARGUMENT, f"expected channels or the shape of an image, found {channels!r}")
        shape = tuple(_arrays.whole(size, "channels", int(len(shape) > 1), _MOST) for size in shape)
        width, conditions = math.prod(shape), _arrays.whole(context, "context", 0, _MOST)
        options = _options(seed, base, image=_image(shape))
        return cls._made("vocode_flow_create", spec.encode(), width, conditions, ctypes.byref(options))

    @classmethod
    def fit(
        cls,
        x: Any,
        spec: str,
        context: Any = None,
        *,
        base: str = "gaussian",
        seed: int = 0,
        valid: Optional[float] = None,
        batch: Optional[int] = None,
        epochs: Optional[int] = None,
        patience: Optional[int] = None,
        rate: Optional[float] = None,
        decay: Optional[float] = None,
        clip: Optional[float] = None,
        threads: int = 0,
        watch: Optional[Callable[[FitProgress], Any]] = None,
    ) -> "Flow":
        """The flow that makes the rows x [n, channels] likely, given context [n, c] or nothing, by maximum likelihood.
        x may be images, [n, height, width] or [n, height, width, planes], whose shape the flow then keeps.

        spec: as for :meth:`create`. base: "gaussian" or "logistic". seed: of the first weights, of which rows are held
        out and of the order of the others; the fit is the same at any number of threads. valid: the share of rows held
        out (0.1). batch: rows of a step (256, or 128 for images and 1024 for matching). epochs: passes at most (as many
        as make 20000 steps, of images 800; 50 to 1000). patience: passes without improvement after which it ends (half
        of them). rate, decay, clip: of AdamW (0.002, or 0.001 for additive couplings and 0.004 for MADE, images
        and matching; 1e-6; 10). watch: called after every pass with a :class:`FitProgress`; a true result ends the fit with what was
        best so far.

        VocodeError: VALUE for NaN or infinity, fewer than two rows, a constant column or a spec that cannot be built,
        SHAPE, ARGUMENT.
        """
        shape = np.shape(x)[1:]
        rows = _arrays.images_in(x, "x", shape) if len(shape) in (2, 3) else _arrays.rows_in(x, "x")
        given = None if context is None else _arrays.rows_in(context, "context", len(rows))
        watcher = _Watcher(watch)
        options = _options(
            seed,
            base,
            threads,
            watcher,
            image=_image(shape),
            valid=_positive(valid, "valid"),
            batch=_count(batch, "batch"),
            epochs=_count(epochs, "epochs"),
            patience=_count(patience, "patience"),
            rate=_positive(rate, "rate"),
            decay=0.0 if decay is None else float(decay) or -1.0,
            clip=_positive(clip, "clip"),
        )
        try:
            return cls._made(
                "vocode_flow_fit",
                spec.encode(),
                _arrays.floats(rows),
                *rows.shape,
                _floats(given),
                0 if given is None else given.shape[1],
                ctypes.byref(options),
            )
        except VocodeError as error:
            _raise_again(error, watcher)
            raise

    @classmethod
    def infer(
        cls,
        energy: Energy,
        spec: str,
        channels: int,
        *,
        base: str = "gaussian",
        seed: int = 0,
        tries: Optional[int] = None,
        steps: Optional[int] = None,
        batch: Optional[int] = None,
        anneal: Optional[int] = None,
        rate: Optional[float] = None,
        clip: Optional[float] = None,
        threads: int = 0,
        watch: Optional[Callable[[InferenceProgress], Any]] = None,
    ) -> "Flow":
        """The flow whose samples are as if drawn from exp(-U) / Z, by reverse KL (variational inference).

        energy: called with z, float32 [n, channels]; gives U [n], up to a constant, and its gradient [n, channels].
        spec: from noise to z, such as "planar:K=32" or "iaf". tries: fits with seed, seed + 1, ..., of which the best
        stays (3). steps, batch: of each (20000, 256). anneal: steps until the energy counts in full (half of them).
        rate, clip: of Adam (0.02, 10). watch: a true result ends the try, and the inference.

        VocodeError: VALUE where it runs away, ARGUMENT.
        """
        size = _arrays.whole(channels, "channels", 1, 2**31)
        watcher, target = _Watcher(watch, InferenceProgress), _Energy(energy, size)
        options = InferenceOptions(
            size=ctypes.sizeof(InferenceOptions),
            base=base.encode(),
            seed=_arrays.whole(seed, "a seed", 0, 2**64 - 1),
            tries=_count(tries, "tries"),
            steps=_count(steps, "steps"),
            batch=_count(batch, "batch"),
            anneal=_count(anneal, "anneal"),
            rate=_positive(rate, "rate"),
            clip=_positive(clip, "clip"),
            threads=threads_in(threads),
            watch=WatchInference(watcher),
        )
        function = _EnergyFunction(target)
        try:
            return cls._made("vocode_flow_infer", spec.encode(), size, function, None, ctypes.byref(options))
        except VocodeError as error:
            _raise_again(error, watcher, target)
            raise

    def evidence(self, energy: Energy, draws: int = 100000, *, seed: int = 1, threads: int = 0) -> Evidence:
        """What draws tell of the integral Z of exp(-U): a lower bound of log Z, and an estimate of it."""
        target = _Energy(energy, self.info.channels)
        result = EvidenceResult()
        count = _arrays.whole(draws, "draws", 2, 2**48)
        start = _arrays.whole(seed, "a seed", 0, 2**64 - 1)
        function, used = _EnergyFunction(target), threads_in(threads)
        try:
            call("vocode_flow_evidence", self._handle.value, function, None, count, start, used, ctypes.byref(result))
        except VocodeError as error:
            _raise_again(error, target)
            raise
        return Evidence(*(getattr(result, name) for name in Evidence._fields))

    def __repr__(self) -> str:
        channels = " x ".join(map(str, self.info.shape))
        return f"<vocode.Flow {self.info.spec!r}: {channels} channels, {self.info.parameters} parameters>"

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes a model file, whole or not at all."""
        call("vocode_flow_save", self._handle.value, os.fsencode(path))

    def _context(self, context: Any, rows: int) -> Optional[np.ndarray]:
        if context is None:
            return None
        return _arrays.rows_in(context, "context", rows, self.info.context)

    def _rows(self, value: Any, what: str) -> np.ndarray:
        if len(self.info.shape) == 1:
            return _arrays.rows_in(value, what, None, self.info.channels)
        return _arrays.images_in(value, what, self.info.shape)

    def sample(self, n: int, context: Any = None, *, seed: int = 0, threads: int = 0) -> np.ndarray:
        """n rows, float32 [n, channels], or images. Row i is a function of the seed, of i and of its context."""
        count = _arrays.whole(n, "a number of rows", 1, 2**48)
        given = self._context(context, count)
        x = np.empty((count, *self.info.shape), dtype=np.float32)
        start = _arrays.whole(seed, "a seed", 0, 2**64 - 1)
        used = threads_in(threads)
        call("vocode_flow_sample", self._handle.value, _floats(given), count, start, used, _arrays.floats(x))
        return x

    def score(self, x: Any, context: Any = None, *, threads: int = 0) -> np.ndarray:
        """Log densities, float64 [n] in nats, of rows x [n, channels] or images."""
        rows = self._rows(x, "x")
        density = np.empty(len(rows), dtype=np.float64)
        call(
            "vocode_flow_score",
            self._handle.value,
            _arrays.floats(rows),
            _floats(self._context(context, len(rows))),
            len(rows),
            threads_in(threads),
            density.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
        )
        return density

    def _carry(self, name: str, what: str, value: Any, context: Any, threads: int) -> np.ndarray:
        rows = self._rows(value, what)
        given = self._context(context, len(rows))
        out = np.empty_like(rows)
        used = threads_in(threads)
        call(name, self._handle.value, _arrays.floats(rows), _floats(given), len(rows), used, _arrays.floats(out))
        return out

    def encode(self, x: Any, context: Any = None, *, threads: int = 0) -> np.ndarray:
        """Rows x [n, channels] or images -> latent, float32 [n, channels]."""
        return self._carry("vocode_flow_encode", "x", x, context, threads)

    def decode(self, z: Any, context: Any = None, *, threads: int = 0) -> np.ndarray:
        """The inverse of encode: latent z [n, channels] -> rows, or images."""
        x = self._carry("vocode_flow_decode", "z", z, context, threads)
        return x.reshape(len(x), *self.info.shape)
