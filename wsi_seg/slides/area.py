"""The compiled form of area resampling, `area.cpp`; `wsi_seg.slides.resample` has the same in numpy."""

from __future__ import annotations

import threading
from ctypes import POINTER, Structure, byref, c_float, c_int64, c_uint8, c_void_p
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from wsi_seg.compiled.build import load_library
from wsi_seg.errors import KernelsError

if TYPE_CHECKING:
    import ctypes

    from numpy.typing import NDArray

SOURCE = Path(__file__).with_name("area.cpp")
_compiling = threading.Lock()


class Taps(Structure):
    """Where the output pixels of one axis take from: source places and weights, each (taps, pixels)."""

    _fields_ = (
        ("index", POINTER(c_int64)),
        ("weight", POINTER(c_float)),
        ("taps", c_int64),
        ("pixels", c_int64),
    )

    @classmethod
    def of(cls, index: NDArray[np.int64], weight: NDArray[np.float32]) -> Self:
        """Point to arrays; the caller keeps them."""
        return cls(
            index.ctypes.data_as(POINTER(c_int64)), weight.ctypes.data_as(POINTER(c_float)), *index.shape
        )


def load_area() -> ctypes.CDLL:
    """Return the compiled library; the first time on a machine it is compiled, in a second or two.

    Raises
    ------
    KernelsError
        If there is none, and none can be made.
    """
    library = load_library(SOURCE)
    library.wsi_seg_area.argtypes = (
        c_void_p,
        c_int64,
        POINTER(Taps),
        POINTER(Taps),
        POINTER(c_uint8),
        POINTER(c_uint8),
    )
    library.wsi_seg_area.restype = None
    return library


def area_library() -> ctypes.CDLL | None:
    """Return the compiled library, or None where there is none: numpy gives the same bytes, more slowly."""
    with _compiling:
        return _loaded_once()


@cache
def _loaded_once() -> ctypes.CDLL | None:
    try:
        return load_area()
    except KernelsError:  # `wsi-seg doctor` says why
        return None


def weigh(
    library: ctypes.CDLL,
    source: NDArray[np.uint8],
    y: tuple[NDArray[np.int64], NDArray[np.float32]],
    x: tuple[NDArray[np.int64], NDArray[np.float32]],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Sum weighted pixels.

    Parameters
    ----------
    library : CDLL
        As `area_library` returns it.
    source : uint8 array, shape (h, w, 4)
        Contiguous.
    y, x : (int64 array, float32 array), each of shape (taps, pixels)
        Places in the source, and weights, of each axis of the output.

    Returns
    -------
    rgb : uint8 array, shape (rows, columns, 3)
    present : bool array, shape (rows, columns)
        Where alpha is half or more.
    """
    for (index, _), side in zip((y, x), source.shape, strict=False):
        if index.size and not 0 <= index.min() <= index.max() < side:
            raise IndexError(f"pixels {index.min()} to {index.max()} of {side} source pixels")  # not in C
    rows, columns = y[0].shape[1], x[0].shape[1]
    rgb = np.empty((rows, columns, 3), dtype=np.uint8)
    present = np.empty((rows, columns), dtype=np.bool_)
    library.wsi_seg_area(
        source.ctypes.data,
        source.shape[1],
        byref(Taps.of(*y)),
        byref(Taps.of(*x)),
        rgb.ctypes.data_as(POINTER(c_uint8)),
        present.ctypes.data_as(POINTER(c_uint8)),
    )
    return rgb, present
