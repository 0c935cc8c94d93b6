"""The compiled forms of finding components, tracing them and simplifying their outlines (`kernels/`).

They give the same numbers as `components.py`, `tracing.py` and GEOS, several times as fast, and let other
threads run meanwhile.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import POINTER, c_double, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wsi_seg.compiled.build import load_library
from wsi_seg.errors import KernelsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOURCE = Path(__file__).with_name("kernels")

MOST_PIXELS = 2**30
"""Pixels of an image are counted in 32 bits."""

PAINTED = (1, 4)
"""Bytes of the values that can be painted."""

_compiling = threading.Lock()


def load_kernels() -> ctypes.CDLL:
    """Return the compiled library; the first time on a machine it is compiled, in two or three seconds.

    Raises
    ------
    KernelsError
        If there is none, and none can be made.
    """
    library = load_library(SOURCE)
    array = c_void_p
    signatures = {
        "components": (array, c_int64, c_int64),
        "paint": (array, array, c_int64, c_int64, c_int64, array),
        "trace": (array, c_int64, c_int64, array),
        "simplify": (array, array, array, c_int64, c_int64, c_int64, c_double),
        "sizes": (c_void_p, POINTER(c_int64)),
        "take": (c_void_p, POINTER(c_void_p)),
    }
    for name, signature in signatures.items():
        function = getattr(library, f"wsi_seg_{name}")
        function.argtypes = signature
        function.restype = None if name in {"sizes", "take", "paint"} else c_void_p
    return library


def kernels() -> ctypes.CDLL | None:
    """Return the compiled library, or None where there is none: then numpy and GEOS do the same."""
    with _compiling:
        return _loaded_once()


@cache
def _loaded_once() -> ctypes.CDLL | None:
    try:
        return load_kernels()
    except KernelsError:  # `wsi-seg doctor` says why
        return None


def components(library: ctypes.CDLL, image: NDArray[np.uint8]) -> list[NDArray[np.int32]]:
    """Return first pixel and component of each run, value and area of each component, and neighbours."""
    image = np.ascontiguousarray(image)
    return _parts(library, library.wsi_seg_components(image.ctypes.data, *image.shape), 5)


def paint(
    library: ctypes.CDLL, run_start: NDArray[np.int64], per_run: NDArray[Any], shape: tuple[int, int]
) -> NDArray[Any]:
    """Return the image, of values of one or four bytes, whose runs have a value each."""
    starts, values = np.ascontiguousarray(run_start), np.ascontiguousarray(per_run)
    image = np.empty(shape, dtype=values.dtype)
    if values.itemsize not in PAINTED or len(starts) != len(values) or starts.max() >= image.size:
        raise ValueError(f"{len(values)} values of {values.dtype} for {len(starts)} runs")
    library.wsi_seg_paint(
        starts.ctypes.data, values.ctypes.data, len(starts), image.size, values.itemsize, image.ctypes.data
    )
    return image


def trace(
    library: ctypes.CDLL, component: NDArray[np.int32], corners: NDArray[np.bool_]
) -> list[NDArray[np.int32]]:
    """Return points, ring offsets and polygon offsets; `corners`, those wanted, becomes those that are."""
    component = np.ascontiguousarray(component)
    if corners.shape != (component.shape[0] + 1, component.shape[1] + 1) or not corners.flags.c_contiguous:
        raise ValueError(f"corners of shape {corners.shape} for an image of shape {component.shape}")
    found = library.wsi_seg_trace(component.ctypes.data, *component.shape, corners.ctypes.data)
    return _parts(library, found, 3)


def simplify(
    library: ctypes.CDLL,
    xy: NDArray[np.int32],
    ring_offsets: NDArray[np.int64],
    active: NDArray[np.bool_],
    largest: float,
) -> list[NDArray[np.int32]]:
    """Drop corners of rings that form a coverage.

    Parameters
    ----------
    library : CDLL
    xy : int32 array, shape (points, 2)
        From 0 on.
    ring_offsets : int64 array, shape (rings + 1,)
    active : bool array, shape (rings,)
        Rings that take part; the others stay, as if they were alone.
    largest : float
        Area of the largest triangle that may be cut off.

    Returns
    -------
    list of int32 arrays
        Points, ring offsets, and of each given point whether it stays; all empty for rings of no coverage.
    """
    xy, offsets = np.ascontiguousarray(xy), ring_offsets.astype(np.int32)
    which = np.ascontiguousarray(active)
    width, height = xy.max(axis=0).tolist()
    if xy.min() < 0 or len(which) != len(offsets) - 1 or offsets[-1] != len(xy):
        raise ValueError("points beyond the first row or column, or rings that are not those of the points")
    found = library.wsi_seg_simplify(
        xy.ctypes.data, offsets.ctypes.data, which.ctypes.data, len(which), width, height, largest
    )
    return _parts(library, found, 3)


def _parts(library: ctypes.CDLL, found: int | None, count: int) -> list[NDArray[np.int32]]:
    """Make room for what was found, and take it."""
    if found is None:
        raise MemoryError
    sizes = (c_int64 * count)()
    library.wsi_seg_sizes(found, sizes)
    parts = [np.empty(size, dtype=np.int32) for size in sizes]
    library.wsi_seg_take(found, (c_void_p * count)(*(part.ctypes.data for part in parts)))
    return parts
