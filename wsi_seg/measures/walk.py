"""Walk over the labels of a result, a tile at a time, and count what each region covers of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.errors import UsageError
from wsi_seg.measures.near import bands_of
from wsi_seg.measures.pixel_kinds import Kinds
from wsi_seg.measures.region_tally import Tally
from wsi_seg.measures.tile import read_tile
from wsi_seg.progress import Progress
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.measures.measure_settings import MeasureSettings
    from wsi_seg.measures.region_file import Region
    from wsi_seg.results.labels.read_labels import LabelPyramid

SIDE = 2048
"""Side of a tile in label pixels."""

WIDEST = 4096
"""Label pixels that a tile may be surrounded by, so that memory stays bounded."""


def count_regions(
    labels: LabelPyramid,
    regions: Sequence[Region],
    settings: MeasureSettings,
    progress: Progress | None = None,
    side: int = SIDE,
) -> list[Tally]:
    """Count the pixels of regions, each whole, also where others overlap it.

    Parameters
    ----------
    labels : LabelPyramid
    regions : sequence of Region
    settings : MeasureSettings
    progress : Progress, optional
    side : int
        Side of a tile; the counts are the same for any.

    Raises
    ------
    UsageError
        If the labels have no class of the name that distances are measured from, or a band is too wide.
    OutputError
        If the labels are damaged.
    """
    progress = progress or Progress()
    kinds = Kinds(labels.schema)
    from_class = class_named(labels, settings.distance_to)
    margin = 1 if from_class is None else margin_for(labels, settings)
    mpp = labels.frames.label_mpp
    tallies = [Tally(region, kinds, len(settings.bands)) for region in regions]
    beside = np.array([_ends(region.rect.padded(1)) for region in regions])
    rects = [(rect, _met(rect, beside)) for rect in _tiles(labels, side)]
    rects = [(rect, met) for rect, met in rects if len(met)]
    progress.begin(labels.path.parent.name, len(rects), 0, sum(r.area for r, _ in rects) / 1e6, "tiles")
    try:
        for rect, met in rects:
            tile = read_tile(labels, kinds, rect, margin)
            band = (
                None
                if from_class is None
                else bands_of(tile.kinds, margin, from_class, kinds.classes, settings.bands_um, mpp)
            )
            for index in met:
                tallies[index].add(tile, band)
            progress.advance(rect.area / 1e6)
    finally:
        progress.end()
    return tallies


def class_named(labels: LabelPyramid, name: str | None) -> int | None:
    """Return the place of a class in the schema, by its name or an alias; None for no name.

    Raises
    ------
    UsageError
        If the labels have no such class.
    """
    if name is None:
        return None
    index = labels.schema.index_of(name)
    if index is None:
        known = ", ".join(c.name for c in labels.schema.classes)
        raise UsageError(f"{labels.path}: has no class {name!r} to measure distances to: it has {known}")
    return index


def margin_for(labels: LabelPyramid, settings: MeasureSettings) -> int:
    """Return how many label pixels around a tile may decide in which band a pixel lies.

    Raises
    ------
    UsageError
        If they are too many.
    """
    finest = min(labels.frames.label_mpp)
    widest = settings.bands_um[-1]
    margin = math.ceil(widest / finest) + 1
    if margin > WIDEST:
        most = math.floor((WIDEST - 1) * finest)
        raise UsageError(
            f"{labels.path}: a band that ends at {widest:g} um is too wide for labels of {finest:.4g} um per "
            f"px: end it at {most} um at most"
        )
    return margin


def _tiles(labels: LabelPyramid, side: int) -> list[Rect]:
    height, width = labels.shape
    return [
        Rect(y0, x0, y0 + side, x0 + side).clipped(width, height)
        for y0 in range(0, height, side)
        for x0 in range(0, width, side)
    ]


def _ends(rect: Rect) -> tuple[int, int, int, int]:
    return rect.y0, rect.x0, rect.y1, rect.x1


def _met(rect: Rect, ends: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> list[int]:
    """Return the places of the rectangles that meet a tile."""
    y0, x0, y1, x1 = ends.T
    met = (y0 < rect.y1) & (y1 > rect.y0) & (x0 < rect.x1) & (x1 > rect.x0)
    return [int(index) for index in np.flatnonzero(met)]
