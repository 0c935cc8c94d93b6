"""Trace the outlines of labelled pixels, exactly, as polygons that share their corners.

Outlines run along pixel edges. A polygon has a corner wherever its outline turns, and also wherever the
neighbour across its outline changes: then polygons that touch have the same corners along their shared
border, which is what a *coverage* is, and what simplifying shared borders together needs. GDAL's polygonise
leaves those second corners out, so its outlines are no valid coverage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from wsi_seg.results.polygons import compiled
from wsi_seg.results.polygons.rings import Rings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.results.polygons.components import Components

EAST, SOUTH, WEST, NORTH = range(4)


class Outlines(NamedTuple):
    """Polygons of the components of an image.

    Attributes
    ----------
    rings : Rings
        One polygon a component, in the order of the components' ids.
    top_corners, left_corners : NDArray of bool, shapes (width + 1,) and (height + 1,)
        Which points along the image's top and left side are corners of some polygon.
    """

    rings: Rings
    top_corners: NDArray[np.bool_]
    left_corners: NDArray[np.bool_]


def trace(components: Components, extra: NDArray[np.bool_], origin_xy: tuple[int, int]) -> Outlines:
    """Trace every component of an image.

    The outlines are followed with the component on the right hand, from corner to corner.

    Parameters
    ----------
    components : Components
    extra : NDArray of bool, shape (height + 1, width + 1)
        Pixel corners on the image's border to be kept as corners although the outline runs straight there.
    origin_xy : (int, int)
        Coordinates of the image's top-left corner.
    """
    if library := compiled.kernels():
        start, component = components.run_start, components.run_component
        (xy, *offsets), top, left = compiled.trace(library, start, component, len(components), extra)
        of_rings, of_polygons = (each.astype(np.int64) for each in offsets)
        return Outlines(Rings(xy.reshape(-1, 2), of_rings, of_polygons, origin_xy), top, left)
    return trace_by_numpy(components, extra, origin_xy)


def trace_by_numpy(components: Components, extra: NDArray[np.bool_], origin_xy: tuple[int, int]) -> Outlines:
    """Do the same as `trace`, without compiled kernels.

    All outlines are followed at once; only the last step, reading the rings off the links between corners,
    is a plain loop.
    """
    component = components.paint(np.arange(len(components), dtype=np.int32))
    padded = np.pad(component, 1, constant_values=-1)
    vertical = padded[1:-1, 1:] != padded[1:-1, :-1]
    horizontal = padded[1:, 1:-1] != padded[:-1, 1:-1]
    corners = extra.copy()
    corners |= _corners(vertical, horizontal)

    y, x = np.divmod(np.flatnonzero(corners), corners.shape[1])
    around = np.stack([padded[y + 1, x + 1], padded[y + 1, x], padded[y, x], padded[y, x + 1]])
    leaves = np.stack(
        [around[EAST] != around[NORTH], around[SOUTH] != around[EAST],
         around[WEST] != around[SOUTH], around[NORTH] != around[WEST]]
    )  # fmt: skip
    source, following = _link(y, x, around, leaves)
    rings, ring_start = _read_rings(following)

    at = source[1][rings]
    owner = around[source[0][rings[ring_start]], at[ring_start]]
    xy = np.stack([x[at], y[at]], axis=1)
    # Copies: a view would hold the corners of the whole image.
    return Outlines(_assemble(xy, ring_start, owner, origin_xy), corners[0].copy(), corners[:, 0].copy())


def _corners(vertical: NDArray[np.bool_], horizontal: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixel corners where edges of both directions meet.

    `vertical`, shape (h, w + 1), are the pixel edges between columns, `horizontal`, shape (h + 1, w),
    those between rows.
    """
    height, width = vertical.shape[0], horizontal.shape[1]
    upright = np.zeros((height + 1, width + 1), dtype=bool)
    upright[1:] = vertical
    upright[:-1] |= vertical
    level = np.zeros((height + 1, width + 1), dtype=bool)
    level[:, 1:] = horizontal
    level[:, :-1] |= horizontal
    upright &= level
    return upright


def _link(
    y: NDArray[np.int64], x: NDArray[np.int64], around: NDArray[np.int32], leaves: NDArray[np.bool_]
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]:
    """Link each directed edge to the one that follows it on its ring.

    Parameters
    ----------
    y, x : NDArray of int64, shape (corners,)
        Corners in row-major order.
    around : NDArray of int32, shape (4, corners)
        Component on the right hand of one who leaves the corner east, south, west and north; -1 outside.
    leaves : NDArray of bool, shape (4, corners)
        Whether a border leaves the corner in that direction.

    Returns
    -------
    source : (NDArray, NDArray) of int64, shape (edges,)
        Direction and corner that each edge leaves in and from.
    following : NDArray of int64, shape (edges,)
        Number of the edge that comes next.
    """
    count = len(y)
    by_column = np.lexsort((y, x))
    rank = np.empty(count, dtype=np.int64)
    rank[by_column] = np.arange(count)

    owned = leaves & (around >= 0)
    direction, corner = np.nonzero(owned)
    number = np.full((4, count), -1, dtype=np.int64)
    number[direction, corner] = np.arange(len(corner))

    target = np.empty(len(corner), dtype=np.int64)
    east, south, west, north = (direction == d for d in (EAST, SOUTH, WEST, NORTH))
    target[east] = corner[east] + 1
    target[west] = corner[west] - 1
    target[south] = by_column[rank[corner[south]] + 1]
    target[north] = by_column[rank[corner[north]] - 1]

    right, left = (direction + 1) % 4, (direction + 3) % 4
    turns_right = leaves[right, target]
    # Where a component meets itself diagonally, turning left keeps its hole a ring apart from its shell.
    meets_itself = turns_right & (around[right, target] == around[left, target])
    onward = np.where(turns_right, right, np.where(leaves[direction, target], direction, left))
    onward[meets_itself] = left[meets_itself]
    return (direction, corner), number[onward, target]


def _read_rings(following: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the edges ring by ring, and where each ring starts among them."""
    links = following.tolist()
    seen = bytearray(len(links))
    order: list[int] = []
    starts: list[int] = []
    for first in range(len(links)):
        if seen[first]:
            continue
        starts.append(len(order))
        edge = first
        while not seen[edge]:
            seen[edge] = 1
            order.append(edge)
            edge = links[edge]
    return np.array(order, dtype=np.int64), np.array(starts, dtype=np.int64)


def _assemble(
    xy: NDArray[np.int64],
    ring_start: NDArray[np.int64],
    owner: NDArray[np.int32],
    origin_xy: tuple[int, int],
) -> Rings:
    """Build one polygon an owner from open rings, each owner's shell before its holes."""
    total = len(xy)
    ring_end = np.append(ring_start[1:], total)
    ahead = np.arange(1, total + 1)
    ahead[ring_end - 1] = ring_start
    x, y = xy.T
    area = np.add.reduceat(x * y[ahead] - x[ahead] * y, ring_start)

    order = np.lexsort((area < 0, owner))
    length = (ring_end - ring_start)[order] + 1
    closed_end = np.cumsum(length)
    index = np.arange(closed_end[-1]) + np.repeat(ring_start[order] - (closed_end - length), length)
    index[closed_end - 1] = ring_start[order]
    polygon_offsets = np.append(0, np.cumsum(np.bincount(owner)))
    return Rings(xy[index].astype(np.int32), np.append(0, closed_end), polygon_offsets, origin_xy)


def unite(polygons: list[shapely.Polygon]) -> tuple[shapely.Polygon, bool]:
    """Unite polygons of one coverage; the result keeps every corner that is not inside it.

    Returns
    -------
    polygon : Polygon
    seen_valid : bool
        Whether it was looked at, and is valid.
    """
    if len(polygons) == 1:
        return polygons[0], False
    try:
        united = shapely.coverage_union_all(polygons)
    except shapely.errors.GEOSException:
        united = None
    # By this function others can run meanwhile, which they cannot by the polygon's property.
    if isinstance(united, shapely.Polygon) and shapely.is_valid(united):
        return united, True
    # Corners differ along a seam where a sieved tile could not see far enough: unite by overlay instead.
    return shapely.union_all(polygons), False


def without_points(
    polygons: NDArray[np.object_], points_xy: Sequence[Sequence[tuple[int, int]]]
) -> NDArray[np.object_]:
    """Drop corners of polygons where the outline runs straight, if they are among points given for each.

    A valid polygon stays so: it covers the same.
    """
    given = np.array([bool(points) for points in points_xy], dtype=bool)
    if not given.any():
        return polygons
    _, closed, (ring_offsets, polygon_offsets) = shapely.to_ragged_array(polygons[given])
    owner = np.repeat(np.arange(len(polygon_offsets) - 1), np.diff(ring_offsets[polygon_offsets]))
    ahead, behind = ring_neighbours(ring_offsets)
    to, back = closed[ahead] - closed, closed[behind] - closed
    drop = to[:, 0] * back[:, 1] == to[:, 1] * back[:, 0]
    drop &= _among(closed, owner, [points for points in points_xy if points])

    begin, last = ring_offsets[:-1], ring_offsets[1:] - 1
    drop[last] = True
    length = np.add.reduceat((~drop).astype(np.int64), begin) + 1
    end = np.cumsum(length)
    closing = np.zeros(end[-1], dtype=bool)
    closing[end - 1] = True
    kept = np.empty((end[-1], 2))
    kept[~closing] = closed[~drop]
    kept[closing] = kept[end - length]
    offsets = (np.append(0, end), polygon_offsets)
    fewer = polygons.copy()
    fewer[given] = shapely.from_ragged_array(shapely.GeometryType.POLYGON, kept, offsets)
    return fewer


def _among(
    xy: NDArray[np.float64], owner: NDArray[np.int64], points_xy: Sequence[Sequence[tuple[int, int]]]
) -> NDArray[np.bool_]:
    """Return which points are among those given for their owner."""
    given = np.array([point for points in points_xy for point in points], dtype=np.float64)
    of_given = np.repeat(np.arange(len(points_xy)), list(map(len, points_xy)))
    places, where = np.unique(packed(given), return_inverse=True)
    asked = np.zeros((len(points_xy), len(places)), dtype=bool)
    asked[of_given, where] = True
    mine = packed(xy)
    at = np.searchsorted(places, mine) % len(places)
    return np.asarray((places[at] == mine) & asked[owner, at])


def ring_neighbours(ring_offsets: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the index of the point ahead of, and of the one behind, each point of closed rings."""
    index = np.arange(ring_offsets[-1])
    ahead, behind = index + 1, index - 1
    ahead[ring_offsets[1:] - 1], behind[ring_offsets[:-1]] = ring_offsets[:-1] + 1, ring_offsets[1:] - 2
    return ahead, behind


def packed(points_xy: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pack whole-number points, shape (n, 2), into one number each."""
    whole = points_xy.astype(np.int64)
    return whole[:, 0] << 32 | whole[:, 1]
