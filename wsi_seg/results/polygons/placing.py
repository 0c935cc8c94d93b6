"""Convert shapes to QuPath's frame, and keep them valid at its precision.

QuPath snaps outlines to hundredths of a pixel and holds them in single precision, which is coarser still
above 131 thousand pixels. It refuses a whole file for one polygon that is then invalid (``GeometryTools`` in
its source, version 0.6).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from wsi_seg.results.polygons.join import Shape
    from wsi_seg.slides.frames import Frames

DECIMALS = 2
GRIDS = (0.01, 1 / 16, 1 / 4, 1)
"""Grids, in QuPath pixels, that an outline is snapped to in turn until it is valid."""

BATCH = 500


class Placed(NamedTuple):
    """A shape and its outline, a Polygon or MultiPolygon in the QuPath frame.

    The outline is empty if nothing of it remains at QuPath's precision. `repaired` means that it was snapped
    to a coarser grid, and so may differ from its neighbours' outlines by as much. `area_px2` is the area of
    the outline, in QuPath's pixels; `rings` are its points, ring by ring.
    """

    shape: Shape
    outline_qupath: shapely.Geometry
    repaired: bool
    area_px2: float
    rings: list[NDArray[np.float64]]


def place(shapes: Iterable[Shape], frames: Frames) -> Iterator[Placed]:
    """Place shapes of the label frame in QuPath's.

    Parameters
    ----------
    shapes : iterable of Shape
        Taken as they are needed, `BATCH` at a time.
    frames : Frames
        Where the label frame lies in QuPath's.
    """
    coming = iter(shapes)
    while batch := list(islice(coming, BATCH)):
        shapes_label = np.array([shape.polygon for shape in batch])
        outlines = shapely.transform(shapes_label, lambda xy: _rounded(frames.label_to_qupath(xy)))
        sound = valid_in_qupath(outlines)
        exact = shapely.transform(shapes_label[~sound], frames.label_to_qupath)
        outlines[~sound] = [_mended(outline) for outline in exact]
        yield from map(
            Placed,
            batch,
            outlines,
            (~sound).tolist(),
            shapely.area(outlines).tolist(),
            _rings_of(outlines),
        )


def _rings_of(outlines: NDArray[np.object_]) -> list[list[NDArray[np.float64]]]:
    """Return the points of each ring of each outline."""
    parts, outline_of_part = shapely.get_parts(outlines, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    xy = shapely.get_coordinates(rings)
    ends = np.cumsum(shapely.get_num_coordinates(rings)).tolist()
    found: list[list[NDArray[np.float64]]] = [[] for _ in outlines]
    begin = 0
    for outline, end in zip(outline_of_part[part_of_ring].tolist(), ends, strict=True):
        found[outline].append(xy[begin:end])
        begin = end
    return found


def valid_in_qupath(outlines: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Return which geometries are valid as written, and as QuPath will hold them."""
    sound: NDArray[np.bool_] = shapely.is_valid(outlines)
    xy = shapely.get_coordinates(outlines)
    as_held = _as_held(xy)
    if not np.array_equal(xy, as_held):  # as they mostly are: whole numbers, or halves
        sound &= shapely.is_valid(shapely.transform(outlines, _as_held))
    return sound


def _as_held(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    return _rounded(xy).astype(np.float32).astype(np.float64)


def _mended(outline: shapely.Polygon) -> shapely.Geometry:
    """Return an outline snapped to the finest grid on which it is valid; empty if there is none."""
    for grid in GRIDS:
        snapped = shapely.transform(shapely.set_precision(outline, grid), _rounded)
        if valid_in_qupath(np.array([snapped]))[0] and snapped.area > 0:
            return snapped
    return shapely.Polygon()


def _rounded(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.round(xy, DECIMALS)
