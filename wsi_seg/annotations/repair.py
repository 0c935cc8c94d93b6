"""Make valid shapes of outlines as people draw them, where it is clear which pixels they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from wsi_seg.annotations.tangles import refuse_tangles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.annotations.formats.outline import Ring

MAX_DOUBT = 0.05
"""Share of a repaired shape that may be inside by one fill rule and outside by another."""

FARTHEST = 2.0**31
"""Larger coordinates lie on no slide."""


class Repaired(NamedTuple):
    """A valid shape, and what was repaired.

    Attributes
    ----------
    geometry : Polygon or MultiPolygon
        Valid, with an area.
    remark : str
        Empty if nothing was repaired.
    """

    geometry: shapely.Polygon | shapely.MultiPolygon
    remark: str


def repair(parts: Sequence[Sequence[Ring]]) -> Repaired:
    """Make a valid shape of rings.

    Lines that cross or touch themselves, spikes, and overlapping parts or holes are repaired: all that the
    outer rings enclose, once or more often, is inside, except for what a hole encloses. Programs disagree
    about the pixels that a line encloses twice. A shape is refused if these are more than `MAX_DOUBT` of it,
    or if its lines cross so often that a repair would take minutes (`wsi_seg.annotations.tangles`).

    Parameters
    ----------
    parts : sequence of sequences of Ring
        For each part, its outer ring and its holes.

    Raises
    ------
    ValueError
        If it is not clear what is meant; the message says why.
    """
    polygons, dropped = _polygons(parts)
    drawn = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
    remark = "a hole without area is left out" if dropped else ""
    if shapely.is_valid(drawn):
        if drawn.area <= 0:
            raise ValueError("has no area")
        return Repaired(drawn, remark)
    refuse_tangles(
        [np.array(ring.coords)[:-1] for part in polygons for ring in (part.exterior, *part.interiors)]
    )
    filled = _areas([_filled(polygon) for polygon in polygons])
    if filled.is_empty:
        raise ValueError("has no area")
    doubt = shapely.symmetric_difference(filled, _areas(shapely.make_valid(polygons))).area / filled.area
    fault = _fault(drawn)
    if doubt > MAX_DOUBT:
        raise ValueError(f"{fault}, and it is not clear what is inside ({doubt:.0%} of the area is in doubt)")
    doubtful = f" ({doubt:.1%} of the area is in doubt)" if doubt >= 0.001 else ""
    return Repaired(filled, f"{fault}, repaired{doubtful}")


def _polygons(parts: Sequence[Sequence[Ring]]) -> tuple[list[shapely.Polygon], int]:
    """Return the parts as polygons, possibly invalid, and the number of holes with too few points."""
    polygons, dropped = [], 0
    for shell, *holes in (part for part in parts if part):
        for ring in (shell, *holes):
            if not np.isfinite(ring).all():
                raise ValueError("a coordinate is not a finite number")
            if np.abs(ring).max(initial=0) > FARTHEST:
                raise ValueError("a coordinate is larger than any slide")
        if _is_line(shell):
            raise ValueError("has fewer than 3 points")
        sound = [hole for hole in holes if not _is_line(hole)]
        dropped += len(holes) - len(sound)
        polygons.append(shapely.Polygon(shell, sound))
    if not polygons:
        raise ValueError("has no points")
    return polygons, dropped


def _is_line(ring: Ring) -> bool:
    """Return whether a ring has fewer than three different points."""
    return len({(x, y) for x, y in ring.tolist()}) < 3


def _filled(polygon: shapely.Polygon) -> shapely.Geometry:
    """Return the area that a polygon's outer ring encloses, without what its holes enclose."""
    holes = shapely.union_all([_gone_round(hole) for hole in polygon.interiors])
    return shapely.difference(_gone_round(polygon.exterior), holes)


def _gone_round(ring: shapely.LinearRing) -> shapely.Geometry:
    """Return the area that a line encloses, once or more often, in either direction."""
    faces = shapely.get_parts(shapely.polygonize([shapely.node(ring)]))
    start, end = np.array(ring.coords)[:-1], np.array(ring.coords)[1:]
    within = shapely.get_coordinates(shapely.point_on_surface(faces))
    inside = [_winding(start, end, point) != 0 for point in within]
    return shapely.union_all(faces[np.array(inside, dtype=bool)])


def _winding(start: NDArray[np.float64], end: NDArray[np.float64], point: NDArray[np.float64]) -> int:
    """Return the winding number of edges around a point, anticlockwise less clockwise."""
    x, y = point
    rising, falling = (start[:, 1] <= y) & (end[:, 1] > y), (start[:, 1] > y) & (end[:, 1] <= y)
    (x0, y0), (x1, y1) = start.T, end.T
    side = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
    return int(np.count_nonzero(rising & (side > 0)) - np.count_nonzero(falling & (side < 0)))


def _areas(geometries: Sequence[shapely.Geometry]) -> shapely.Polygon | shapely.MultiPolygon:
    """Unite geometries, without the points and lines among them."""
    return polygonal(shapely.union_all(np.array(geometries, dtype=object)))


def polygonal(geometry: shapely.Geometry) -> shapely.Polygon | shapely.MultiPolygon:
    """Return the part of a geometry that has an area; an empty polygon if there is none."""
    pieces = shapely.get_parts(shapely.get_parts(geometry))
    polygons = [piece for piece in pieces if piece.geom_type == "Polygon" and piece.area > 0]
    if not polygons:
        return shapely.Polygon()
    return polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)


def _fault(drawn: shapely.Geometry) -> str:
    """Describe what is wrong with a geometry, and where."""
    reason, _, place = shapely.is_valid_reason(drawn).partition("[")
    where = ", ".join(f"{float(number):.0f}" for number in place.rstrip("]").split())
    what = {
        "Self-intersection": "the outline crosses itself",
        "Ring Self-intersection": "the outline touches itself",
        "Hole lies outside shell": "a hole lies outside of its part",
        "Holes are nested": "a hole lies in another",
        "Nested shells": "a part lies in another",
        "Interior is disconnected": "holes cut it apart",
    }.get(reason.strip(), reason.strip().lower())
    return f"{what} at ({where})" if where else what
