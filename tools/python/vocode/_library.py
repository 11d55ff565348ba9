"""Finds and loads libvocode, and declares what it exports (include/vocode/*.h)."""

import ctypes
import ctypes.util
import functools
import os
import pathlib
from typing import Any, Iterator, List, Optional

from ._errors import Status, VocodeError

_SONAME = "libvocode.so.0"
_FLOATS = ctypes.POINTER(ctypes.c_float)
_HANDLE = ctypes.c_void_p

Progress = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_double)
Warn = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)


class Error(ctypes.Structure):
    """vocode_error."""

    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 1024)]


class ModelInfo(ctypes.Structure):
    """vocode_model_info."""

    _fields_ = [
        ("kind", ctypes.c_char_p),
        ("config", ctypes.c_char_p),
        ("parameters", ctypes.c_size_t),
        ("sample_rate", ctypes.c_uint),
        ("hop", ctypes.c_size_t),
        ("n_mels", ctypes.c_size_t),
        ("latent_channels", ctypes.c_size_t),
        ("columns_per_frame", ctypes.c_double),
        ("sigma", ctypes.c_double),
        ("train_sigma", ctypes.c_double),
        ("mel_match", ctypes.c_uint),
        ("refine", ctypes.c_uint),
        ("look_ahead", ctypes.c_size_t),
    ]


class Synthesis(ctypes.Structure):
    """vocode_synthesis."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("sigma", ctypes.c_double),
        ("silent_latent", ctypes.c_int),
        ("seed", ctypes.c_uint64),
        ("noise", _FLOATS),
        ("noise_columns", ctypes.c_size_t),
        ("mel_match", ctypes.c_int),
        ("refine", ctypes.c_int),
        ("denoise", ctypes.c_double),
        ("gain_db", ctypes.c_double),
        ("mel_preset", ctypes.c_char_p),
        ("threads", ctypes.c_int),
        ("progress", Progress),
        ("warning", Warn),
        ("context", ctypes.c_void_p),
        ("steps", ctypes.c_int),
    ]


class LikelihoodResult(ctypes.Structure):
    """vocode_likelihood."""

    _fields_ = [
        ("nll_nats", ctypes.c_double),
        ("nll_bits", ctypes.c_double),
        ("sigma", ctypes.c_double),
        ("log_determinant", ctypes.c_double),
        ("numbers", ctypes.c_size_t),
    ]


class FlowProgress(ctypes.Structure):
    """vocode_flow_progress."""

    _fields_ = [
        ("epoch", ctypes.c_size_t),
        ("epochs", ctypes.c_size_t),
        ("skipped", ctypes.c_size_t),
        ("train_nll", ctypes.c_double),
        ("valid_nll", ctypes.c_double),
        ("rate", ctypes.c_double),
        ("best", ctypes.c_int),
    ]


Watch = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(FlowProgress))


class Image(ctypes.Structure):
    """vocode_image."""

    _fields_ = [
        ("height", ctypes.c_size_t),
        ("width", ctypes.c_size_t),
        ("planes", ctypes.c_size_t),
    ]


class FlowOptions(ctypes.Structure):
    """vocode_flow_options."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("base", ctypes.c_char_p),
        ("seed", ctypes.c_uint64),
        ("valid", ctypes.c_double),
        ("batch", ctypes.c_size_t),
        ("epochs", ctypes.c_size_t),
        ("patience", ctypes.c_size_t),
        ("rate", ctypes.c_double),
        ("decay", ctypes.c_double),
        ("clip", ctypes.c_double),
        ("threads", ctypes.c_int),
        ("watch", Watch),
        ("context", ctypes.c_void_p),
        ("image", Image),
    ]


class FlowInfo(ctypes.Structure):
    """vocode_flow_info."""

    _fields_ = [
        ("spec", ctypes.c_char_p),
        ("base", ctypes.c_char_p),
        ("channels", ctypes.c_size_t),
        ("context", ctypes.c_size_t),
        ("parameters", ctypes.c_size_t),
        ("rows", ctypes.c_size_t),
        ("epochs", ctypes.c_size_t),
        ("valid_nll", ctypes.c_double),
        ("turned", ctypes.c_int),
    ]


Energy = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, _FLOATS, ctypes.c_size_t, ctypes.POINTER(ctypes.c_double), _FLOATS)


class InferenceProgress(ctypes.Structure):
    """vocode_inference_progress."""

    _fields_ = [
        ("attempt", ctypes.c_size_t),
        ("attempts", ctypes.c_size_t),
        ("step", ctypes.c_size_t),
        ("steps", ctypes.c_size_t),
        ("skipped", ctypes.c_size_t),
        ("free_energy", ctypes.c_double),
        ("beta", ctypes.c_double),
        ("rate", ctypes.c_double),
    ]


WatchInference = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(InferenceProgress))


class InferenceOptions(ctypes.Structure):
    """vocode_inference_options."""

    _fields_ = [
        ("size", ctypes.c_size_t),
        ("base", ctypes.c_char_p),
        ("seed", ctypes.c_uint64),
        ("tries", ctypes.c_size_t),
        ("steps", ctypes.c_size_t),
        ("batch", ctypes.c_size_t),
        ("anneal", ctypes.c_size_t),
        ("rate", ctypes.c_double),
        ("clip", ctypes.c_double),
        ("threads", ctypes.c_int),
        ("watch", WatchInference),
        ("context", ctypes.c_void_p),
    ]


class EvidenceResult(ctypes.Structure):
    """vocode_evidence."""

    _fields_ = [
        ("bound", ctypes.c_double),
        ("bound_error", ctypes.c_double),
        ("log_z", ctypes.c_double),
        ("log_z_error", ctypes.c_double),
        ("effective", ctypes.c_double),
        ("draws", ctypes.c_size_t),
    ]


_SIZE = ctypes.c_size_t
_SIZES = ctypes.POINTER(ctypes.c_size_t)
_DOUBLES = ctypes.POINTER(ctypes.c_double)
_HANDLES = ctypes.POINTER(_HANDLE)
_ERROR = ctypes.POINTER(Error)
_OPTIONS = ctypes.POINTER(Synthesis)
_STATUS = ctypes.c_int
_FLOW_OPTIONS = ctypes.POINTER(FlowOptions)
# Rows in, context, how many, threads, what comes out.
_ROWS = [_HANDLE, _FLOATS, _FLOATS, _SIZE, ctypes.c_int]

# name: (result, arguments)
_FUNCTIONS = {
    "vocode_version": (ctypes.c_char_p, []),
    "vocode_model_open": (_STATUS, [ctypes.c_char_p, _HANDLES, _ERROR]),
    "vocode_model_free": (None, [_HANDLE]),
    "vocode_model_describe": (None, [_HANDLE, ctypes.POINTER(ModelInfo)]),
    "vocode_synthesize": (_STATUS, [_HANDLE, _FLOATS, _SIZE, _SIZE, _OPTIONS, _FLOATS, _ERROR]),
    "vocode_latent_columns": (_SIZE, [_HANDLE, _SIZE]),
    "vocode_encode_size": (None, [_HANDLE, _SIZE, _SIZE, _SIZES, _SIZES]),
    "vocode_decode_size": (_SIZE, [_HANDLE, _SIZE]),
    "vocode_encode": (
        _STATUS,
        [_HANDLE, _FLOATS, _SIZE, _FLOATS, _SIZE, ctypes.c_int, _FLOATS, _DOUBLES, _ERROR],
    ),
    "vocode_decode": (_STATUS, [_HANDLE, _FLOATS, _SIZE, _FLOATS, _SIZE, ctypes.c_int, _FLOATS, _ERROR]),
    "vocode_score": (
        _STATUS,
        [
            _HANDLE,
            _FLOATS,
            _SIZE,
            _FLOATS,
            _SIZE,
            ctypes.c_double,
            ctypes.c_int,
            ctypes.POINTER(LikelihoodResult),
            _ERROR,
        ],
    ),
    "vocode_denoise": (_STATUS, [_HANDLE, _FLOATS, _SIZE, ctypes.c_double, ctypes.c_int, _ERROR]),
    "vocode_mel_open": (_STATUS, [ctypes.c_char_p, _HANDLES, _ERROR]),
    "vocode_mel_for_model": (_STATUS, [_HANDLE, _HANDLES, _ERROR]),
    "vocode_mel_free": (None, [_HANDLE]),
    "vocode_mel_sample_rate": (ctypes.c_uint, [_HANDLE]),
    "vocode_mel_bands": (_SIZE, [_HANDLE]),
    "vocode_mel_frames": (_SIZE, [_HANDLE, _SIZE]),
    "vocode_mel_compute": (_STATUS, [_HANDLE, _FLOATS, _SIZE, _FLOATS, _ERROR]),
    "vocode_stream_open": (_STATUS, [_HANDLE, _OPTIONS, _HANDLES, _ERROR]),
    "vocode_stream_free": (None, [_HANDLE]),
    "vocode_stream_push": (_STATUS, [_HANDLE, _FLOATS, _SIZE, _ERROR]),
    "vocode_stream_finish": (_STATUS, [_HANDLE, _ERROR]),
    "vocode_stream_available": (_SIZE, [_HANDLE]),
    "vocode_stream_pull": (_SIZE, [_HANDLE, _FLOATS, _SIZE]),
    "vocode_stream_look_ahead": (_SIZE, [_HANDLE]),
    "vocode_flow_create": (_STATUS, [ctypes.c_char_p, _SIZE, _SIZE, _FLOW_OPTIONS, _HANDLES, _ERROR]),
    "vocode_flow_fit": (
        _STATUS,
        [ctypes.c_char_p, _FLOATS, _SIZE, _SIZE, _FLOATS, _SIZE, _FLOW_OPTIONS, _HANDLES, _ERROR],
    ),
    "vocode_flow_open": (_STATUS, [ctypes.c_char_p, _HANDLES, _ERROR]),
    "vocode_flow_save": (_STATUS, [_HANDLE, ctypes.c_char_p, _ERROR]),
    "vocode_flow_free": (None, [_HANDLE]),
    "vocode_flow_describe": (None, [_HANDLE, ctypes.POINTER(FlowInfo)]),
    "vocode_flow_image": (None, [_HANDLE, ctypes.POINTER(Image)]),
    "vocode_flow_sample": (_STATUS, [_HANDLE, _FLOATS, _SIZE, ctypes.c_uint64, ctypes.c_int, _FLOATS, _ERROR]),
    "vocode_flow_score": (_STATUS, [*_ROWS, _DOUBLES, _ERROR]),
    "vocode_flow_encode": (_STATUS, [*_ROWS, _FLOATS, _ERROR]),
    "vocode_flow_decode": (_STATUS, [*_ROWS, _FLOATS, _ERROR]),
    "vocode_flow_infer": (
        _STATUS,
        [ctypes.c_char_p, _SIZE, Energy, ctypes.c_void_p, ctypes.POINTER(InferenceOptions), _HANDLES, _ERROR],
    ),
    "vocode_flow_evidence": (
        _STATUS,
        [
            _HANDLE,
            Energy,
            ctypes.c_void_p,
            _SIZE,
            ctypes.c_uint64,
            ctypes.c_int,
            ctypes.POINTER(EvidenceResult),
            _ERROR,
        ],
    ),
}


def tree() -> Optional[pathlib.Path]:
    """The source tree that the package lies in (tools/python/vocode), if it does."""
    here = pathlib.Path(__file__).resolve()
    root = here.parents[3] if len(here.parents) > 3 else None
    return root if root and (root / "include" / "vocode" / "vocode.h").is_file() else None


def _candidates() -> Iterator[str]:
    given = os.environ.get("VOCODE_LIBRARY")
    if given:
        yield given
        return
    beside = pathlib.Path(__file__).resolve().parent
    for name in (_SONAME, "libvocode.so"):
        if (beside / name).is_file():
            yield str(beside / name)
    root = tree()
    if root:
        folders = [root / "build" / "release", root / "build"]
        folders += sorted(path for path in (root / "build").glob("*") if path.is_dir())
        for folder in folders:
            if (folder / "libvocode.so").is_file():
                yield str(folder / "libvocode.so")
    yield ctypes.util.find_library("vocode") or _SONAME


@functools.lru_cache(maxsize=None)
def library() -> ctypes.CDLL:
    """The library, loaded and declared once. VocodeError (IO) where there is none."""
    tried: List[str] = []
    for path in _candidates():
        try:
            loaded = ctypes.CDLL(path)
            for name, (result, arguments) in _FUNCTIONS.items():
                function = getattr(loaded, name)
                function.restype = result
                function.argtypes = arguments
            return loaded
        except (OSError, AttributeError) as problem:
            tried.append(f"{path} ({problem})")
    raise VocodeError(
        Status.IO,
        "cannot load libvocode: set VOCODE_LIBRARY to the path of libvocode.so, or build or install it; tried "
        + ", ".join(tried),
    )


def call(name: str, *arguments: Any) -> None:
    """Calls a function that returns a status and ends in a vocode_error; raises what it says."""
    error = Error()
    status = getattr(library(), name)(*arguments, ctypes.byref(error))
    if status != Status.OK:
        raise VocodeError(Status(status), error.message.decode("utf-8", "replace"))


def version() -> str:
    """The library's version, such as ``"0.1.0"``."""
    return str(library().vocode_version().decode())


class Handle:
    """An object of the library. It is freed when the last Python object that uses it lets go of it, so that closing a
    model cannot pull it from under its streams or under another thread's call."""

    def __init__(self, value: ctypes.c_void_p, free: str, keeps: Optional["Handle"] = None) -> None:
        self.value = value
        self.keeps = keeps  # what this one uses: it must be freed after it
        self._free = getattr(library(), free)

    @classmethod
    def opened(cls, free: str, name: str, *arguments: Any, keeps: Optional["Handle"] = None) -> "Handle":
        """What ``name(arguments..., &handle, &error)`` opens."""
        value = ctypes.c_void_p()
        call(name, *arguments, ctypes.byref(value))
        return cls(value, free, keeps)

    def __del__(self) -> None:
        self._free(self.value)
