"""Convert shapes to QuPath's frame, and keep them valid at its precision.

QuPath snaps outlines to hundredths of a pixel and holds them in single precision, which is coarser still
above 131 thousand pixels. It refuses a whole file for one polygon that is then invalid (``GeometryTools`` in
its source, version 0.6).
"""

from __future__ import annotations

from itertools import count, islice, repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from wsi_seg.results.polygons.coordinates_text import OutlinePoints

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from wsi_seg.results.polygons.complete_shapes import Shape
    from wsi_seg.slides.frames import Frames

DECIMALS = 2
GRIDS = (0.01, 1 / 16, 1 / 4, 1)
"""Grids, in QuPath pixels, that an outline is snapped to in turn until it is valid."""

BATCH = 200
"""Shapes placed at a time. More wait longer for the last of them, and their text to be compressed."""

SINGLE_EXACT = 2**24
"""Single precision has every whole number up to here."""


class Placed(NamedTuple):
    """A shape and its outline, a Polygon or MultiPolygon in the QuPath frame.

    The outline is empty if nothing of it remains at QuPath's precision. `repaired` means that it was snapped
    to a coarser grid, and so may differ from its neighbours' outlines by as much. `area_px2` is the area of
    the outline, in QuPath's pixels; `vertices` counts its points. `points` are those of a batch of outlines,
    and `number` is this one's among them.
    """

    shape: Shape
    outline_qupath: shapely.Geometry
    repaired: bool
    area_px2: float
    vertices: int
    points: OutlinePoints
    number: int

    @property
    def coordinates(self) -> bytes:
        """The outline as GeoJSON writes it; the first time, those of the batch are made."""
        return self.points.texts[self.number]


def place(shapes: Iterable[Shape], frames: Frames) -> Iterator[Placed]:
    """Place shapes of the label frame in QuPath's.

    Parameters
    ----------
    shapes : iterable of Shape
        Taken as they are needed, `BATCH` at a time.
    frames : Frames
        Where the label frame lies in QuPath's.
    """
    coming, stays_valid = iter(shapes), _exact_in_qupath(frames)
    while batch := list(islice(coming, BATCH)):
        shapes_label = np.array([shape.polygon for shape in batch])
        outlines = shapely.transform(shapes_label, lambda xy: _rounded(frames.label_to_qupath(xy)))
        sound = np.array([stays_valid and shape.seen_valid for shape in batch], dtype=bool)
        sound[~sound] = valid_in_qupath(outlines[~sound])
        exact = shapely.transform(shapes_label[~sound], frames.label_to_qupath)
        outlines[~sound] = [_mended(outline) for outline in exact]
        yield from map(
            Placed,
            batch,
            outlines,
            (~sound).tolist(),
            shapely.area(outlines).tolist(),
            shapely.get_num_coordinates(outlines).tolist(),
            repeat(OutlinePoints.of(outlines)),
            count(),
        )


def _exact_in_qupath(frames: Frames) -> bool:
    """Return whether QuPath holds the corners of all label pixels as they are: what is valid stays so then.

    Quarters of a pixel are whole hundredths, and single precision has them up to four million pixels.
    """
    quarters = np.multiply(frames.downsample, 4)
    most = np.multiply(frames.label_size, quarters).max()
    return bool((quarters % 1 == 0).all() and most <= SINGLE_EXACT)


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
