"""Tiles of the overview that a result holds, where its slide is not there: coarse, but in place."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from PIL import Image

from wsi_seg.slides.frames import OVERVIEW_SIDE
from wsi_seg.view.tile_grid import Grid

if TYPE_CHECKING:
    from wsi_seg.results.labels.read_labels import LabelPyramid
    from wsi_seg.slides.lattice import Rect

QUALITY = 90


class OverviewTiles:
    """The tiles of a result's overview, enlarged; level 0 has the pixels that the slide would have."""

    def __init__(self, labels: LabelPyramid) -> None:
        self._labels = labels
        bounds = labels.frames.bounds
        self.grid = Grid.of(bounds.width, bounds.height)

    @cached_property
    def _overview(self) -> Image.Image:
        return Image.fromarray(self._labels.read_overview(OVERVIEW_SIDE))

    def tile(self, level: int, rect: Rect) -> bytes:
        """Return the pixels of a rectangle of a level as the bytes of a JPEG file.

        Raises
        ------
        OutputError
            If the result's files are damaged.
        """
        step = 1 << level
        overview = self._overview
        coarser = self._labels.frames.coarsened(1 << self._labels.frames.overview_level)
        corners = np.array([(rect.x0 * step, rect.y0 * step), (rect.x1 * step, rect.y1 * step)])
        (x0, y0), (x1, y1) = np.minimum(coarser.qupath_to_label(corners), overview.size).tolist()
        drawn = overview.resize((rect.width, rect.height), Image.Resampling.BILINEAR, (x0, y0, x1, y1))
        return bytes(simplejpeg.encode_jpeg(np.asarray(drawn), quality=QUALITY, colorsubsampling="444"))

    def close(self) -> None:
        """There is no file to close."""
