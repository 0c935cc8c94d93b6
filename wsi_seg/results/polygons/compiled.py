"""The compiled forms of what is done with components and their outlines (`kernels/`).

They give the same numbers as `components.py`, `tracing.py` and GEOS, and the same bytes as
`coordinates_text.py`, several times as fast, and let other threads run meanwhile.
"""

from __future__ import annotations

import ctypes
import itertools
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

SOURCE = Path(__file__).with_name("kernels")

MOST_PIXELS = 2**30
"""Pixels of an image are counted in 32 bits."""

PAINTED = (1, 4)
"""Bytes of the values that can be painted."""

POINT_BYTES = 40
"""More than a point takes as text, of two numbers of at most fifteen digits."""

RETURNS: dict[str, type[c_int64] | None] = {
    "sizes": None,
    "take": None,
    "paint": None,
    "coordinates": c_int64,
}
"""What kernels return that is not what they have found."""

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


def coordinates(
    library: ctypes.CDLL,
    xy: NDArray[np.float64],
    offsets: Sequence[NDArray[np.int64]],
    several: NDArray[np.bool_],
) -> list[bytes] | None:
    """Write the coordinates of outlines as GeoJSON.

    Parameters
    ----------
    library : CDLL
    xy : float64 array, shape (points, 2)
    offsets : three int64 arrays
        Of rings among the points, of parts among the rings and of outlines among the parts, and where the
        last one ends.
    several : bool array, shape (outlines,)
        Which are MultiPolygons.

    Returns
    -------
    list of bytes
        A text for each outline; None if a number is not of hundredths.
    """
    xy, which = np.ascontiguousarray(xy), np.ascontiguousarray(several)
    places = [np.ascontiguousarray(each) for each in offsets]
    count = len(which)
    if [int(each[-1]) for each in places] != [len(xy), *(len(each) - 1 for each in places[:-1])] or (
        len(places[-1]) - 1 != count
    ):
        raise ValueError(f"offsets that are not those of {len(xy)} points and {count} outlines")
    brackets = 4 * sum(map(len, places))
    text = np.empty(len(xy) * POINT_BYTES + brackets, dtype=np.uint8)
    ends = np.empty(count, dtype=np.int64)
    refused = library.wsi_seg_coordinates(
        xy.ctypes.data,
        *(each.ctypes.data for each in places),
        which.ctypes.data,
        count,
        text.ctypes.data,
        ends.ctypes.data,
    )
    if refused:
        return None
    whole = text[: ends[-1] if count else 0].tobytes()
    return [whole[begin:end] for begin, end in itertools.pairwise([0, *ends.tolist()])]


def _parts(library: ctypes.CDLL, found: int | None, count: int) -> list[NDArray[np.int32]]:
    """Make room for what was found, and take it."""
    if found is None:
        raise MemoryError
    sizes = (c_int64 * count)()
    library.wsi_seg_sizes(found, sizes)
    parts = [np.empty(size, dtype=np.int32) for size in sizes]
    library.wsi_seg_take(found, (c_void_p * count)(*(part.ctypes.data for part in parts)))
    return parts
