"""Between the arrays that callers have and those that the library takes: C-contiguous float32, mels [T, n_mels]."""

import ctypes
import math
from typing import Any, Optional, Tuple

import numpy as np

from ._errors import Status, VocodeError

LAYOUTS = ("mels-first", "frames-first")
_INT16_SCALE = np.float32(1 / 32768)  # as sound-file libraries read PCM


def floats(array: np.ndarray) -> Any:
    """The pointer that the library takes."""
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def check_layout(layout: str) -> None:
    if layout not in LAYOUTS:
        raise VocodeError(Status.ARGUMENT, f'expected the layout "mels-first" or "frames-first", found {layout!r}')


def _numbers(value: Any, what: str) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise VocodeError(Status.ARGUMENT, f"expected {what} of real numbers, found the dtype {array.dtype}")
    return array


def mel_in(value: Any, n_mels: int, layout: str) -> np.ndarray:
    """A mel of a caller -> float32 [T, n_mels], C-contiguous."""
    check_layout(layout)
    array = _numbers(value, "a mel")
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    axis = LAYOUTS.index(layout)
    if array.ndim != 2 or array.shape[axis] != n_mels:
        expected = f"[{n_mels}, T]" if axis == 0 else f"[T, {n_mels}]"
        hint = ""
        if array.ndim == 2 and array.shape[1 - axis] == n_mels:
            hint = f'; it looks like layout="{LAYOUTS[1 - axis]}"'
        raise VocodeError(
            Status.SHAPE, f"expected a mel {expected} with at most a batch axis of 1, found {list(array.shape)}{hint}"
        )
    return np.ascontiguousarray(array.T if axis == 0 else array, dtype=np.float32)


def mel_out(rows: np.ndarray, layout: str) -> np.ndarray:
    """float32 [T, n_mels] -> the caller's layout, C-contiguous."""
    return np.ascontiguousarray(rows.T) if layout == LAYOUTS[0] else rows


def audio_in(value: Any) -> np.ndarray:
    """Mono audio of a caller, [n] or [1, n]: floats of full scale 1, or int16 -> float32 [n]."""
    array = _numbers(value, "audio")
    if array.ndim == 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 1:
        raise VocodeError(Status.SHAPE, f"expected mono audio [samples], found {list(array.shape)}")
    if array.dtype == np.int16:
        return array.astype(np.float32) * _INT16_SCALE
    if array.dtype.kind != "f":
        raise VocodeError(Status.ARGUMENT, f"expected audio as floats of full scale 1 or as int16, found {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.float32)


def latent_in(value: Any, channels: int) -> np.ndarray:
    """A latent of a caller -> float32 [channels, columns]."""
    array = _numbers(value, "a latent")
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2 or array.shape[0] != channels:
        raise VocodeError(Status.SHAPE, f"expected a latent [{channels}, columns], found {list(array.shape)}")
    return np.ascontiguousarray(array, dtype=np.float32)


def rows_in(value: Any, what: str, rows: Optional[int] = None, columns: Optional[int] = None) -> np.ndarray:
    """Rows of a caller, [n, columns] or [n] -> float32 [n, columns], C-contiguous; as many as asked for (None: any)."""
    array = _numbers(value, what)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or rows not in (None, array.shape[0]) or columns not in (None, array.shape[1]):
        expected = f"[{'n' if rows is None else rows}, {'columns' if columns is None else columns}]"
        raise VocodeError(Status.SHAPE, f"expected {what} {expected}, found {list(np.shape(value))}")
    return np.ascontiguousarray(array, dtype=np.float32)


def images_in(value: Any, what: str, shape: Tuple[int, ...]) -> np.ndarray:
    """Images of a caller, [n, *shape], or rows of as many numbers -> float32 [n, columns], C-contiguous."""
    array, columns = _numbers(value, what), math.prod(shape)
    if array.shape[1:] not in (shape, (columns,)):
        axes = ", ".join(map(str, shape))
        raise VocodeError(
            Status.SHAPE, f"expected {what} [n, {axes}] or [n, {columns}], found {list(array.shape)}"
        )
    return np.ascontiguousarray(array, dtype=np.float32).reshape(len(array), columns)


def whole(value: Any, what: str, least: int, most: int) -> int:
    """A whole number that fits the library's type; ctypes would wrap it around silently."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= int(value) <= most:
        raise VocodeError(Status.ARGUMENT, f"expected {what} from {least} to {most}, found {value!r}")
    return int(value)
