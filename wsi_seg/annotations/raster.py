"""Rasterise outlines to label pixels: a pixel's class is the same whatever rectangle it is read in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect


BATCH_PIXELS = 1 << 22
"""About how many pixels are painted at a time."""


class Edges(NamedTuple):
    """Straight pieces of outlines, each by its upper and its lower end.

    Attributes
    ----------
    upper_xy, lower_xy : float64 arrays, shape (n, 2)
    """

    upper_xy: NDArray[np.float64]
    lower_xy: NDArray[np.float64]


def rasterise(regions: shapely.Geometry, rect: Rect) -> NDArray[np.bool_]:
    """Return which pixels of a rectangle have their centre inside regions.

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
    start, length, _ = _spans(edges, np.zeros(len(edges.upper_xy), np.int64), rect)
    runs = np.diff(np.stack([start, start + length], axis=1).ravel(), prepend=0, append=rect.area)
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(rect.height, rect.width)


def holds_any_centre(regions: shapely.Geometry, rect: Rect) -> bool:
    """Return whether `rasterise` finds any pixel of a rectangle in regions, for rectangles of any size."""
    edges, _ = _edges([regions])
    _, length, _ = _spans(edges, np.zeros(len(edges.upper_xy), np.int64), rect)
    return bool(length.any())


@dataclass(frozen=True)
class Painting:
    """Shapes of several classes, to be painted onto any rectangle.

    Where shapes overlap, the smaller one wins, and of two equal areas the later one: a shape inside another
    is a detail of it, and a shape that was drawn last is a correction. Each part of a shape is as small as it
    is itself: programs merge shapes of a class into one, and a detail stays one.

    Attributes
    ----------
    edges : Edges
        The edges of all parts, in the order in which they are painted: the largest part first.
    first_edge : int64 array, shape (parts + 1,)
        Index of each part's first edge.
    boxes : float64 array, shape (parts, 4)
        Smallest x and y and largest x and y of each.
    values : uint8 array, shape (parts,)
        What each is painted with.
    outlines : uint8 array, shape (shapes,)
        What each shape is painted with, in the order in which they were given.
    """

    edges: Edges
    first_edge: NDArray[np.int64]
    boxes: NDArray[np.float64]
    values: NDArray[np.uint8]
    outlines: NDArray[np.uint8]

    @classmethod
    def of(cls, outlines: Sequence[shapely.Geometry], values: Sequence[int]) -> Self:
        """Sort shapes into the order in which they are painted.

        Parameters
        ----------
        outlines : sequence of Polygon or MultiPolygon
            In the label frame, the later ones last.
        values : sequence of int
            What each is painted with.
        """
        parts, shape = parts_as_painted(outlines)
        edges, part = _edges(parts)
        given = np.array(values, dtype=np.uint8)
        return cls(
            edges=edges,
            first_edge=np.searchsorted(part, np.arange(len(parts) + 1)).astype(np.int64),
            boxes=shapely.bounds(parts).reshape(-1, 4),
            values=given[shape],
            outlines=given,
        )

    def __len__(self) -> int:
        return len(self.values)

    def edges_near(self, rect: Rect) -> Edges:
        """Return the edges whose boxes have something in common with a rectangle."""
        shapes = np.flatnonzero(_meet(self.boxes, rect))
        edge = ranges(self.first_edge[shapes], self.first_edge[shapes + 1] - self.first_edge[shapes])
        upper_xy, lower_xy = (ends[edge] for ends in self.edges)
        boxes = np.concatenate([np.minimum(upper_xy, lower_xy), np.maximum(upper_xy, lower_xy)], axis=1)
        met = _meet(boxes, rect)
        return Edges(upper_xy[met], lower_xy[met])

    def onto(self, pixels: NDArray[np.uint8], rect: Rect, factor: int = 1) -> None:
        """Paint a rectangle.

        Parameters
        ----------
        pixels : uint8 array, shape (rect.height, rect.width), contiguous
            Painted where a shape covers a pixel's centre, otherwise unchanged.
        rect : Rect
            In pixels that cover `factor` x `factor` label pixels.
        factor : int
        """
        x0, y0, x1, y1 = (self.boxes / factor).T
        met = np.flatnonzero(_meet(self.boxes / factor, rect))
        width = np.minimum(x1[met], rect.x1) - np.maximum(x0[met], rect.x0)
        height = np.minimum(y1[met], rect.y1) - np.maximum(y0[met], rect.y0)
        batch = np.cumsum((width + 1) * (height + 1)) // BATCH_PIXELS
        flat = pixels.reshape(-1)
        for shapes in np.split(met, np.flatnonzero(np.diff(batch)) + 1):
            count = self.first_edge[shapes + 1] - self.first_edge[shapes]
            edge = ranges(self.first_edge[shapes], count)
            top, bottom = self.edges.upper_xy[edge, 1], self.edges.lower_xy[edge, 1]
            near = (top < rect.y1 * factor) & (bottom > rect.y0 * factor)
            edges = Edges(*(ends[edge[near]] / factor for ends in self.edges))
            start, length, shape = _spans(edges, np.repeat(np.arange(len(shapes)), count)[near], rect)
            # Where a pixel is written several times, the last value stays.
            flat[ranges(start, length)] = np.repeat(self.values[shapes[shape]], length)


def _meet(boxes: NDArray[np.float64], rect: Rect) -> NDArray[np.bool_]:
    """Return which boxes (smallest x and y, largest x and y) have something in common with a rectangle."""
    x0, y0, x1, y1 = boxes.T
    met: NDArray[np.bool_] = (x0 < rect.x1) & (x1 > rect.x0) & (y0 < rect.y1) & (y1 > rect.y0)
    return met


def parts_as_painted(
    outlines: Sequence[shapely.Geometry],
) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Return the parts of shapes in the order in which they are painted, and the shape that each is of.

    Parameters
    ----------
    outlines : sequence of Polygon or MultiPolygon
        The later ones last.
    """
    parts, shape = shapely.get_parts(np.array(outlines, dtype=object), return_index=True)
    order = np.argsort(-shapely.area(parts), kind="stable")
    return parts[order], shape[order]


def _edges(outlines: Sequence[shapely.Geometry] | NDArray[np.object_]) -> tuple[Edges, NDArray[np.intp]]:
    """Return the edges of shapes, in the shapes' order, and the shape that each belongs to."""
    parts, part_shape = shapely.get_parts(np.array(outlines, dtype=object), return_index=True)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    points_xy, ring = shapely.get_coordinates(rings, return_index=True)
    same_ring = ring[1:] == ring[:-1]
    start, end = points_xy[:-1][same_ring], points_xy[1:][same_ring]
    downwards = (start[:, 1] < end[:, 1])[:, None]
    edges = Edges(np.where(downwards, start, end), np.where(downwards, end, start))
    return edges, part_shape[ring_part[ring[:-1][same_ring]]]


def _spans(
    edges: Edges, shape: NDArray[np.int64], rect: Rect
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the pixels of a rectangle that have their centre within edges that close.

    The places where outlines cross each row of pixel centres are computed in the outlines' own frame, so a
    pixel's result is the same for every rectangle that holds it. Rasterising libraries use the rectangle's
    frame.

    Parameters
    ----------
    edges : Edges
        Of one or several shapes, each closed except for edges above or below the rectangle.
    shape : int64 array, shape (edges,)
        Number of the shape that each belongs to.
    rect : Rect

    Returns
    -------
    start, length : int64 arrays
        Runs of adjacent pixels, counted row by row; in the order of the shapes, and for each shape from the
        top.
    shape : int64 array of the same length
        The shape that covers them.
    """
    first = np.clip(np.ceil(edges.upper_xy[:, 1] - 0.5), rect.y0, rect.y1).astype(np.int64)
    stop = np.clip(np.ceil(edges.lower_xy[:, 1] - 0.5), rect.y0, rect.y1).astype(np.int64)
    edge, row = np.repeat(np.arange(len(first)), stop - first), ranges(first, stop - first)
    (x0, y0), (x1, y1) = edges.upper_xy[edge].T, edges.lower_xy[edge].T
    crossing = x0 + (row + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
    column = np.clip(np.ceil(crossing - 0.5), rect.x0, rect.x1).astype(np.int64)

    # Each shape crosses every row an even number of times: sorted, crossings are where it begins and ends.
    line = shape[edge] * rect.height + row - rect.y0
    line, column = np.divmod(np.sort(line * (rect.width + 1) + column - rect.x0), rect.width + 1)
    line, begin, end = line[::2], column[::2], column[1::2]
    return line % rect.height * rect.width + begin, end - begin, line // rect.height


def ranges(start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``start``, ``start + 1``, ... of each range in turn."""
    ends = np.cumsum(length)
    ranges: NDArray[np.int64] = np.repeat(start - ends + length, length)
    ranges += np.arange(len(ranges))
    return ranges
