"""Which pixels lie near the edges of shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.annotations.raster import BATCH_PIXELS, ranges
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.annotations.raster import Edges, Painting

STEP = 0.5
"""Pixels from one point to the next that an edge is followed by; it may miss the corner of a pixel."""


def near_edges(shapes: Painting, rect: Rect, distance: float) -> NDArray[np.bool_]:
    """Return which pixels of a rectangle lie near an edge of any shape.

    Parameters
    ----------
    shapes : Painting
    rect : Rect
        In label pixels.
    distance : float
        The furthest that is near, in label pixels: between the centres of a pixel and of one that an edge
        crosses. So the distance to the edge itself may differ by 0.7 pixels.

    Returns
    -------
    NDArray of bool, shape (rect.height, rect.width)
    """
    reach = int(distance)
    half_widths = np.sqrt(distance**2 - np.arange(-reach, reach + 1.0) ** 2).astype(int)
    near = np.zeros((rect.height, rect.width), dtype=np.bool_)
    rows = max(1, BATCH_PIXELS // (rect.width + 2 * reach))
    for top in range(rect.y0, rect.y1, rows):
        strip = Rect(top, rect.x0, min(top + rows, rect.y1), rect.x1)
        around = strip.padded(reach + 1)
        edges = shapes.edges_near(around)
        if not len(edges.upper_xy):
            continue
        # In each row, crossed pixels from its start up to each pixel.
        crossed = _crossed(edges, around).cumsum(axis=1, dtype=np.int32)
        here = near[top - rect.y0 :][: strip.height]
        for down, half in enumerate(half_widths, start=1):
            row = crossed[down : down + strip.height]
            last, before = row[:, reach + 1 + half :], row[:, reach - half :]
            here |= last[:, : rect.width] > before[:, : rect.width]
    return near


def _crossed(edges: Edges, rect: Rect) -> NDArray[np.bool_]:
    """Return which pixels of a rectangle edges cross."""
    along_xy = edges.lower_xy - edges.upper_xy
    points = 1 + np.ceil(np.abs(along_xy).max(axis=1) / STEP).astype(np.int64)
    batch = points.cumsum() // BATCH_PIXELS
    crossed = np.zeros((rect.height, rect.width), dtype=np.bool_)
    for part in np.split(np.arange(len(points)), np.flatnonzero(np.diff(batch)) + 1):
        edge = np.repeat(part, points[part])
        share = ranges(np.zeros(len(part), np.int64), points[part]) / points[edge]
        at_xy = edges.upper_xy[edge] + along_xy[edge] * share[:, None] - (rect.x0, rect.y0)
        x, y = np.floor(at_xy).astype(np.int64).T
        inside = (x >= 0) & (x < rect.width) & (y >= 0) & (y < rect.height)
        crossed[y[inside], x[inside]] = True
    return crossed
