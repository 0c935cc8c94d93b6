"""The compiled forms of what is done with label images (`kernels/`), and where those of outlines come from.

They give the same numbers as `components.py`, `sieve.py` and `tracing.py`, several times as fast, and let
other threads run meanwhile.
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
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect

SOURCE = Path(__file__).with_name("kernels")

MOST_PIXELS = 2**30
"""Pixels of an image are counted in 32 bits."""

PAINTED = (1, 4)
"""Bytes of the values that can be painted."""

RETURNS: dict[str, type[c_int64] | None] = {
    "sizes": None,
    "take": None,
    "paint": None,
    "areas": None,
    "sieve": c_int64,
    "hold": c_int64,
    "coordinates": c_int64,
}
"""What kernels return that is not what they have found."""

NO_MEMORY = -1

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
        "sieve": (array, c_int64, c_int64, array, array, c_int64, c_int64, array, POINTER(c_int64)),
        "trace": (array, array, c_int64, c_int64, c_int64, c_int64, array, array, array),
        "simplify": (array, array, array, c_int64, c_double),
        "areas": (array, array, array, c_int64, array, array, array),
        "hold": (array, array, array, c_int64, array, array),
        "build": (array, array, array, c_int64, array, array, array),
        "coordinates": (array, array, array, array, array, c_int64, array, array),
        "sizes": (c_void_p, POINTER(c_int64)),
        "take": (c_void_p, POINTER(c_void_p)),
    }
    for name, signature in signatures.items():
        function = getattr(library, f"wsi_seg_{name}")
        function.argtypes = signature
        function.restype = RETURNS.get(name, c_void_p)
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
    return take_parts(library, library.wsi_seg_components(image.ctypes.data, *image.shape), 5)


def sieve(
    library: ctypes.CDLL,
    image: NDArray[np.uint8],
    goes_on: Sequence[bool],
    inner: Rect,
    min_area: int,
    outside: int,
) -> tuple[NDArray[np.uint8], bool, int]:
    """Give the small components of an image to their neighbours.

    Parameters
    ----------
    library : CDLL
    image : uint8 array
    goes_on : four bools
        Whether there is more of the image above, below, on the left and on the right.
    inner : Rect
        What is asked for of the image.
    min_area : int
    outside : int
        The first value that takes no part.

    Returns
    -------
    labels : uint8 array, shape (inner.height, inner.width)
    exact : bool
        False if more of the image might change them.
    runs : int
        Of the image.
    """
    image = np.ascontiguousarray(image)
    height, width = image.shape
    bounds = np.array([inner.y0, inner.y1, inner.x0, inner.x1], dtype=np.int64)
    sides = np.array(goes_on, dtype=np.uint8)
    if not (0 <= inner.y0 < inner.y1 <= height and 0 <= inner.x0 < inner.x1 <= width) or len(sides) != 4:
        raise ValueError(f"{inner} of an image of {image.shape}")
    labels = np.empty((inner.height, inner.width), dtype=np.uint8)
    runs = c_int64()
    reached = library.wsi_seg_sieve(
        image.ctypes.data, height, width, sides.ctypes.data, bounds.ctypes.data, min_area, outside,
        labels.ctypes.data, runs,
    )  # fmt: skip
    if reached == NO_MEMORY:
        raise MemoryError
    return labels, not reached, runs.value


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
    library: ctypes.CDLL,
    run_start: NDArray[np.int64],
    run_component: NDArray[np.int32],
    components: int,
    wanted: NDArray[np.bool_],
) -> tuple[list[NDArray[np.int32]], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return points, ring offsets and polygon offsets, and which points of first row and column are corners.

    Parameters
    ----------
    library : CDLL
    run_start, run_component : int64 array, int32 array, shape (runs,)
        Of an image of so many components.
    components : int
    wanted : bool array, shape (height + 1, width + 1)
        Points of the image's border that are to be corners.
    """
    height, width = wanted.shape[0] - 1, wanted.shape[1] - 1
    starts = np.ascontiguousarray(run_start, dtype=np.int64)
    of_runs = np.ascontiguousarray(run_component, dtype=np.int32)
    wanted = np.ascontiguousarray(wanted, dtype=bool)
    if not 0 < len(starts) == len(of_runs) or min(height, width) < 1:
        raise ValueError(f"{len(starts)} runs of {len(of_runs)} components in {height} x {width} pixels")
    top, left = np.empty(width + 1, dtype=bool), np.empty(height + 1, dtype=bool)
    found = library.wsi_seg_trace(
        starts.ctypes.data, of_runs.ctypes.data, len(starts), components, height, width,
        wanted.ctypes.data, top.ctypes.data, left.ctypes.data,
    )  # fmt: skip
    parts = take_parts(library, found, 3)
    if not len(parts[0]):
        raise ValueError(f"runs that are not those of an image of {height} x {width} pixels")
    return parts, top, left


def take_parts(library: ctypes.CDLL, found: int | None, count: int) -> list[NDArray[np.int32]]:
    """Make room for what was found, and take it."""
    if found is None:
        raise MemoryError
    sizes = (c_int64 * count)()
    library.wsi_seg_sizes(found, sizes)
    parts = [np.empty(size, dtype=np.int32) for size in sizes]
    library.wsi_seg_take(found, (c_void_p * count)(*(part.ctypes.data for part in parts)))
    return parts
