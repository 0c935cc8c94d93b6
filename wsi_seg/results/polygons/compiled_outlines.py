"""The compiled forms of what is done with outlines (`kernels/`).

They give the same numbers as `corners.py` and GEOS, and the same bytes as `coordinates_text.py`, several
times as fast, and let other threads run meanwhile.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.results.polygons.compiled import NO_MEMORY, take_parts

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.results.polygons.rings import Rings

POINT_BYTES = 40
"""More than a point takes as text, of two numbers of at most fifteen digits."""


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
    ring_offsets : int64 array, shape (rings + 1,)
    active : bool array, shape (rings,)
        Rings that take part; the others stay, as if they were alone.
    largest : float
        Area of the largest triangle that may be cut off.

    Returns
    -------
    list of int32 arrays
        Points, ring offsets, and of each given point whether it stays; all empty for rings of no coverage,
        and for points below 0 or so far apart that `compiled.MOST_PIXELS` has no room for them.
    """
    xy, offsets = np.ascontiguousarray(xy), ring_offsets.astype(np.int32)
    which = np.ascontiguousarray(active)
    if len(which) != len(offsets) - 1 or not _ascend(ring_offsets, len(xy), 1):
        raise ValueError(f"{len(which)} rings that are not those of {len(xy)} points")
    found = library.wsi_seg_simplify(
        xy.ctypes.data, offsets.ctypes.data, which.ctypes.data, len(which), largest
    )
    return take_parts(library, found, 3)


def areas(
    library: ctypes.CDLL, rings: Rings, kept: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the area of each polygon that the corners kept make, and their number."""
    area = np.empty(len(rings), dtype=np.float64)
    count = np.empty(len(rings), dtype=np.int64)
    stay = None if kept is None else _of_points(rings, kept)
    polygons = _polygons(rings)
    library.wsi_seg_areas(
        *(each.ctypes.data for each in polygons),
        len(rings),
        None if stay is None else stay.ctypes.data,
        area.ctypes.data,
        count.ctypes.data,
    )
    return area, count


def hold(
    library: ctypes.CDLL, rings: Rings, kept: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> NDArray[np.bool_] | None:
    """Return which points are kept, with those that lie where chosen polygons have one.

    None for points below 0, or so far apart that `compiled.MOST_PIXELS` has no room for them.
    """
    after, which = _of_points(rings, kept).copy(), _of_polygons(rings, chosen)
    polygons = _polygons(rings)
    refused = library.wsi_seg_hold(
        *(each.ctypes.data for each in polygons), len(rings), which.ctypes.data, after.ctypes.data
    )
    if refused == NO_MEMORY:
        raise MemoryError
    return None if refused else after


def build(
    library: ctypes.CDLL,
    rings: Rings,
    kept: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    first_xy: NDArray[np.int32],
) -> list[NDArray[np.int32]]:
    """Return points and ring offsets of chosen polygons, of the points kept; see `corners.build`."""
    stay, which = _of_points(rings, kept), _of_polygons(rings, chosen)
    first = np.ascontiguousarray(first_xy, dtype=np.int32)
    if first.shape != (len(rings.ring_offsets) - 1, 2):
        raise ValueError(f"first points of shape {first.shape} for {len(rings.ring_offsets) - 1} rings")
    polygons = _polygons(rings)
    found = library.wsi_seg_build(
        *(each.ctypes.data for each in polygons),
        len(rings),
        stay.ctypes.data,
        which.ctypes.data,
        first.ctypes.data,
    )
    return take_parts(library, found, 2)


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


def _polygons(rings: Rings) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Return points, ring offsets and polygon offsets, each as kernels take them."""
    xy = np.ascontiguousarray(rings.xy, dtype=np.int32)
    of_rings = np.ascontiguousarray(rings.ring_offsets, dtype=np.int64)
    of_polygons = np.ascontiguousarray(rings.polygon_offsets, dtype=np.int64)
    if not (_ascend(of_rings, len(xy), 1) and _ascend(of_polygons, len(of_rings) - 1, 0)):
        raise ValueError(f"offsets that are not those of {len(xy)} points and {len(of_rings) - 1} rings")
    return xy, of_rings, of_polygons


def _ascend(offsets: NDArray[np.int64], end: int, least: int) -> bool:
    """Return whether offsets go from 0 to an end, by a least number each."""
    return bool(offsets[0] == 0 and offsets[-1] == end and (offsets[1:] - offsets[:-1] >= least).all())


def _of_points(rings: Rings, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if len(kept) != len(rings.xy):
        raise ValueError(f"{len(kept)} points kept of {len(rings.xy)}")
    return np.ascontiguousarray(kept, dtype=bool)


def _of_polygons(rings: Rings, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if len(chosen) != len(rings):
        raise ValueError(f"{len(chosen)} polygons chosen of {len(rings)}")
    return np.ascontiguousarray(chosen, dtype=bool)
