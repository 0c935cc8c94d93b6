"""Polygons with holes as polygons without: DICOM's annotations are single rings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterator


def without_holes(polygon: shapely.Polygon) -> Iterator[shapely.Polygon]:
    """Cut a polygon where it has holes, until no piece has any; all pieces together are the polygon.

    Each cut goes straight across the polygon, through the middle one of its holes. So pieces share the edges
    of cuts, and nothing else of them is new.
    """
    waiting = [polygon]
    while waiting:
        piece = waiting.pop()
        holes = shapely.get_num_interior_rings(piece)
        if not holes:
            yield piece
            continue
        waiting.extend(reversed(list(_halves(piece))))


def _halves(polygon: shapely.Polygon) -> Iterator[shapely.Polygon]:
    """Yield the parts of a polygon on either side of a straight line through one of its holes."""
    x0, y0, x1, y1 = polygon.bounds
    low, high = np.split(shapely.bounds(np.array(polygon.interiors)), 2, axis=1)
    middles = (low + high) / 2
    axis = 0 if x1 - x0 >= y1 - y0 else 1
    at = float(np.sort(middles[:, axis])[len(middles) // 2])
    across, along = ((x0, y0, at, y1), (at, y0, x1, y1)), ((x0, y0, x1, at), (x0, at, x1, y1))
    for box in along if axis else across:
        half = shapely.clip_by_rect(polygon, *box)  # several times as fast as an intersection
        if not shapely.is_valid(half):  # where the line touches corners
            half = shapely.intersection(polygon, shapely.box(*box))
        for part in shapely.get_parts(half):
            if part.geom_type == "Polygon" and part.area > 0:
                yield part
