"""Mel spectrograms to speech with normalizing flows, and densities of vectors: numpy arrays in and out of libvocode.

Mels are ``[n_mels, T]`` (``layout="frames-first"``: ``[T, n_mels]``), with or without a batch axis of length 1. Audio
is mono float32, full scale 1.0, at the model's sample rate. What fails raises :class:`VocodeError`.
"""

from ._errors import Status, VocodeError, VocodeWarning
from ._flow import Evidence, FitProgress, Flow, FlowInfo, InferenceProgress
from ._library import version
from ._mel import Mel, mel
from ._model import Info, Likelihood, Model, default_model_path, synthesize
from ._stream import Stream

__version__ = version()

__all__ = [
    "Evidence",
    "FitProgress",
    "Flow",
    "FlowInfo",
    "InferenceProgress",
    "Info",
    "Likelihood",
    "Mel",
    "Model",
    "Status",
    "Stream",
    "VocodeError",
    "VocodeWarning",
    "default_model_path",
    "mel",
    "synthesize",
    "version",
]
