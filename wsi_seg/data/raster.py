"""Painting outlines onto label pixels: a pixel's class is the same in whatever rectangle it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import shapely

from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Edges(NamedTuple):
    """Straight pieces of outlines, each by its upper and its lower end.

    Attributes
    ----------
    upper_xy, lower_xy : float64 arrays, shape (n, 2)
    """

    upper_xy: NDArray[np.float64]
    lower_xy: NDArray[np.float64]


def rasterise(regions: shapely.Geometry, rect: Rect) -> NDArray[np.bool_]:
    """Tell which pixels of a rectangle have their centre inside regions.

    Parameters
    ----------
    regions : Polygon or MultiPolygon
        Valid, in the label frame.
    rect : Rect
        In label pixels.

    Returns
    -------
    NDArray of bool, shape (rect.height, rect.width)
    """
    edges, _ = _edges([regions])
    return _inside(edges, rect)


@dataclass(frozen=True)
class Painting:
    """Shapes of several classes, to be painted onto any rectangle.

    Where shapes overlap, the smaller one wins, and of two of equal area the later: what lies within another
    shape is its detail, and what was drawn last is a correction.

    Attributes
    ----------
    edges : Edges
        Of all shapes, one shape after the other, in the order they are painted in: the largest first.
    first_edge : int64 array, shape (shapes + 1,)
        Where each shape's edges begin.
    boxes : float64 array, shape (shapes, 4)
        Smallest x and y and largest x and y of each.
    values : uint8 array, shape (shapes,)
        What each is painted with.
    """

    edges: Edges
    first_edge: NDArray[np.int64]
    boxes: NDArray[np.float64]
    values: NDArray[np.uint8]

    @classmethod
    def of(cls, outlines: Sequence[shapely.Geometry], values: Sequence[int]) -> Self:
        """Put shapes in the order that they are painted in.

        Parameters
        ----------
        outlines : sequence of Polygon or MultiPolygon
            In the label frame, the later ones last.
        values : sequence of int
            What each is painted with.
        """
        areas = shapely.area(np.array(outlines, dtype=object))
        order = np.argsort(-areas, kind="stable")
        shapes = [outlines[i] for i in order]
        edges, shape = _edges(shapes)
        return cls(
            edges=edges,
            first_edge=np.searchsorted(shape, np.arange(len(shapes) + 1)).astype(np.int64),
            boxes=shapely.bounds(np.array(shapes, dtype=object)).reshape(-1, 4),
            values=np.array(values, dtype=np.uint8)[order],
        )

    def __len__(self) -> int:
        return len(self.values)

    def onto(self, pixels: NDArray[np.uint8], rect: Rect, factor: int = 1) -> None:
        """Paint a rectangle.

        Parameters
        ----------
        pixels : uint8 array, shape (rect.height, rect.width)
            Painted where a shape covers a pixel's centre, else left as it is.
        rect : Rect
            In pixels that cover `factor` x `factor` label pixels.
        factor : int
        """
        boxes = self.boxes / factor
        x0, y0, x1, y1 = boxes.T
        met = (x0 < rect.x1) & (x1 > rect.x0) & (y0 < rect.y1) & (y1 > rect.y0)
        for number in np.flatnonzero(met).tolist():
            part = _whole_pixels(boxes[number]).intersection(rect)
            own = slice(self.first_edge[number], self.first_edge[number + 1])
            edges = Edges(self.edges.upper_xy[own] / factor, self.edges.lower_xy[own] / factor)
            pixels[part.relative_to(rect).slices][_inside(edges, part)] = self.values[number]


def _whole_pixels(box: NDArray[np.float64]) -> Rect:
    x0, y0, x1, y1 = (int(side) for side in (*np.floor(box[:2]), *np.ceil(box[2:])))
    return Rect(y0, x0, y1, x1)


def _edges(outlines: Sequence[shapely.Geometry]) -> tuple[Edges, NDArray[np.intp]]:
    """Return the edges of shapes, in the shapes' order, and the shape that each belongs to."""
    parts, part_shape = shapely.get_parts(np.array(outlines, dtype=object), return_index=True)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    points_xy, ring = shapely.get_coordinates(rings, return_index=True)
    same_ring = ring[1:] == ring[:-1]
    start, end = points_xy[:-1][same_ring], points_xy[1:][same_ring]
    downwards = (start[:, 1] < end[:, 1])[:, None]
    edges = Edges(np.where(downwards, start, end), np.where(downwards, end, start))
    return edges, part_shape[ring_part[ring[:-1][same_ring]]]


def _inside(edges: Edges, rect: Rect) -> NDArray[np.bool_]:
    """Tell which pixels of a rectangle have their centre within edges that close.

    Where outlines cross each row of pixel centres is worked out in the outlines' own frame, so a pixel's
    answer is the same for every rectangle that holds it; rasterising libraries work in the rectangle's.
    """
    first = np.clip(np.ceil(edges.upper_xy[:, 1] - 0.5), rect.y0, rect.y1).astype(np.int64)
    stop = np.clip(np.ceil(edges.lower_xy[:, 1] - 0.5), rect.y0, rect.y1).astype(np.int64)
    count = stop - first
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(len(edge)) + np.repeat(first - (np.cumsum(count) - count), count)
    (x0, y0), (x1, y1) = edges.upper_xy[edge].T, edges.lower_xy[edge].T
    crossing = x0 + (row + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
    column = np.clip(np.ceil(crossing - 0.5), rect.x0, rect.x1).astype(np.int64)

    # Every row is crossed an even number of times, so each starts outside.
    flips = np.sort((row - rect.y0) * rect.width + column - rect.x0)
    length = np.diff(flips, prepend=0, append=rect.area)
    return np.repeat(np.arange(len(length)) % 2 == 1, length).reshape(rect.height, rect.width)
