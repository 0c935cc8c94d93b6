"""Drop corners of polygons that touch, the same ones on both sides of every border.

Compiled kernels do so where there are any, else GEOS, with the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from wsi_seg.results.polygons import compiled, compiled_outlines
from wsi_seg.results.polygons.rings import Rings

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Moved(NamedTuple):
    """Polygons with some of their corners.

    Attributes
    ----------
    rings : Rings
        A ring may begin at another corner than before, and run the other way round.
    kept : NDArray of bool
        Which of the points before are left.
    """

    rings: Rings
    kept: NDArray[np.bool_]


def drop_corners(before: Rings, active: NDArray[np.bool_], tolerance: float) -> Moved:
    """Drop the corners of active polygons whose triangles are within the square of a tolerance.

    The outer border of all active polygons together, and so all that they share with others, stays.

    Parameters
    ----------
    before : Rings
        Polygons that form a coverage.
    active : NDArray of bool, shape (polygons,)
    tolerance : float
    """
    library = compiled.kernels()
    if library is None or not active.any():
        return drop_by_geos(before, active, tolerance)
    xy, offsets, kept = compiled_outlines.simplify(
        library, before.xy, before.ring_offsets, active[before.ring_owner], tolerance * tolerance
    )
    if not len(xy):
        return drop_by_geos(before, active, tolerance)
    rings = Rings(xy.reshape(-1, 2), offsets.astype(np.int64), before.polygon_offsets, before.origin_xy)
    return Moved(rings, kept.astype(bool))


def drop_by_geos(before: Rings, active: NDArray[np.bool_], tolerance: float) -> Moved:
    """Do the same as `drop_corners`, without compiled kernels."""
    moved = shapely.coverage_simplify(before.only(active).polygons(), tolerance, simplify_boundary=False)
    rings = before.replaced(active, Rings.of(moved, before.origin_xy)) if active.any() else before
    return Moved(rings, _among(before, rings))


def _among(before: Rings, after: Rings) -> NDArray[np.bool_]:
    """Return which points are left, of the ring of the same number."""
    side = np.append(before.xy, after.xy).max(initial=0) + 1
    places = [
        (
            np.repeat(np.arange(len(rings.ring_offsets) - 1), np.diff(rings.ring_offsets)) * side
            + rings.xy[:, 1]
        )
        * side
        + rings.xy[:, 0]
        for rings in (before, after)
    ]
    return np.isin(*places)
