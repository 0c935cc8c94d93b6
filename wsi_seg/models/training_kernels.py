"""The compiled kernels of training on a CPU (`kernels/`): what lies between convolutions, and the loss.

PyTorch goes through an image once for each operation: nine times for a batch normalisation, a PReLU and
their gradients. One kernel goes through it five times. All this took more than half of an ESPNet's training.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import POINTER, Structure, c_double, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from wsi_seg.compiled.build import load_library
from wsi_seg.errors import KernelsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SOURCE = Path(__file__).with_name("kernels")
NUMBERS = {torch.float32: "float", torch.bfloat16: "bfloat"}
"""The types of images that there are kernels for, in the kernels' names."""

_compiling = threading.Lock()


class NormActStruct(Structure):
    """A normalisation and its activation, as the kernels take them."""

    _fields_ = (
        *((name, c_int64) for name in ("pixels", "channels", "threads")),
        *((name, c_void_p) for name in ("weight", "bias", "slope", "mean", "deviation")),
    )

    @classmethod
    def of(cls, x: Tensor, of_channels: Sequence[Tensor]) -> NormActStruct:
        """Point to contiguous float32 tensors of an entry for each channel, in the order of the fields."""
        channels = x.shape[1]
        assert all(t.dtype == torch.float32 and t.shape == (channels,) for t in of_channels)
        assert all(t.is_contiguous() for t in of_channels)
        pointers = (t.data_ptr() for t in of_channels)
        return cls(x.numel() // channels, channels, torch.get_num_threads(), *pointers)


class FusionStruct(Structure):
    """The branches of an ESP module, as the kernels take them."""

    _fields_ = (
        *((name, c_int64) for name in ("pixels", "branches", "first", "thin", "threads")),
        ("images", POINTER(c_void_p)),
    )

    @classmethod
    def of(cls, branches: Sequence[Tensor]) -> FusionStruct:
        """Point to channels-last images; all but the first are as wide as the second."""
        first, thin = branches[0].shape[1], branches[1].shape[1]
        n, _, height, width = branches[0].shape
        assert all(t.shape == (n, thin, height, width) for t in branches[1:])
        assert all(t.dtype == branches[0].dtype for t in branches)
        images = (c_void_p * len(branches))(*(t.data_ptr() for t in branches))
        pixels = branches[0].numel() // first
        return cls(pixels, len(branches), first, thin, torch.get_num_threads(), images)


class LossStruct(Structure):
    """What a loss compares, as the kernels take it: weights are float32, one for each class."""

    _fields_ = (
        *((name, c_int64) for name in ("pixels", "classes", "unknown", "threads")),
        ("weights", c_void_p),
        *((name, c_double) for name in ("dice", "least_weight", "smoothing")),
    )


@dataclass(frozen=True)
class Kernels:
    """The kernels for one type of numbers; addresses are of channels-last images, or of an entry a channel.

    Attributes
    ----------
    norm_act : callable
        Takes the structure, the image, the result, the variances and epsilon.
    norm_act_back : callable
        Takes the structure, the image, the result's gradient, and where those of the image, the weights, the
        biases and the slopes go.
    fuse : callable
        Takes the structure, what is added (or None) and the result.
    fuse_back : callable
        Takes the structure, whose images are written, and the result's gradient.
    loss : callable
        Takes the structure, the logits, the truth (uint8, one for each pixel) and where the logits' gradient
        goes; returns the loss, less than zero if the truth has a class that there is not.
    """

    norm_act: Callable[[NormActStruct, int, int, int, float], None]
    norm_act_back: Callable[[NormActStruct, int, int, int, int, int, int], None]
    fuse: Callable[[FusionStruct, int | None, int], None]
    fuse_back: Callable[[FusionStruct, int], None]
    loss: Callable[[LossStruct, int, int, int], float]

    @classmethod
    def of(cls, library: ctypes.CDLL, number: str) -> Kernels:
        """Take the kernels for a type of numbers out of the library."""
        norm, fusion, array = POINTER(NormActStruct), POINTER(FusionStruct), c_void_p
        signatures = {
            "norm_act": (norm, array, array, array, c_double),
            "norm_act_back": (norm, *[array] * 6),
            "fuse": (fusion, array, array),
            "fuse_back": (fusion, array),
            "loss": (POINTER(LossStruct), *[array] * 3),
        }
        found = {}
        for name, signature in signatures.items():
            function = getattr(library, f"wsi_seg_{name}_{number}")
            function.argtypes, function.restype = signature, c_double if name == "loss" else None
            found[name] = function
        return cls(**found)


def kernels_for(*images: Tensor) -> Kernels | None:
    """Return the kernels for a training step on these images; None if there are none, or it is no such step.

    Parameters
    ----------
    images : Tensor
        Of shape (N, channels, H, W), all of one type.
    """
    first = images[0]
    if first.device.type != "cpu" or not torch.is_grad_enabled():
        return None
    if any(not x.is_contiguous(memory_format=torch.channels_last) or x.dtype != first.dtype for x in images):
        return None
    with _compiling:
        return _loaded_once().get(first.dtype)


def load_kernels() -> ctypes.CDLL:
    """Return the compiled library; the first time on a machine it is compiled, in a second or two.

    Raises
    ------
    KernelsError
        If there is none, and none can be made.
    """
    return load_library(SOURCE)


@cache
def _loaded_once() -> dict[torch.dtype, Kernels]:
    try:
        library = load_kernels()
    except KernelsError:  # `wsi-seg doctor` says why; PyTorch does the same
        return {}
    return {dtype: Kernels.of(library, number) for dtype, number in NUMBERS.items()}
