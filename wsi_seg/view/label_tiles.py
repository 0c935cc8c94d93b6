"""Tiles of a label pyramid: class values as they are, never mixed, in the colours of a look."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wsi_seg.errors import UsageError
from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID
from wsi_seg.slides.lattice import Rect
from wsi_seg.view.class_looks import Drawn, inks
from wsi_seg.view.tile_grid import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.results.labels.read_labels import LabelPyramid
    from wsi_seg.view.class_looks import Look

STRIPE = 8
"""Width of the stripes that mark unprocessed pixels, in pixels of a tile."""

FINEST_OUTLINES = 5
"""A label pixel is divided so often, at most, for outlines that are thin when it is large on the screen."""


class LabelTiles:
    """The tiles of a result's label pyramid; level 0 has its label pixels. Safe to use from many threads."""

    def __init__(self, labels: LabelPyramid) -> None:
        self.labels = labels
        width, height = labels.frames.label_size
        coarsest = len(labels.levels) - 1
        self.grid = Grid(width, height, 0, coarsest)
        divided = math.ceil(math.log2(max(1.0, *labels.frames.downsample))) + 1
        self.outline_grid = Grid(width, height, -min(FINEST_OUTLINES, divided), coarsest)

    def grid_of(self, look: Look) -> Grid:
        """Return the grid of a look's tiles."""
        return self.outline_grid if look.drawn is Drawn.OUTLINES else self.grid

    def values(self, look: Look, level: int, rect: Rect) -> NDArray[np.uint8]:
        """Return the values of a tile's pixels, whose colours `inks` gives.

        Parameters
        ----------
        look : Look
        level : int
        rect : Rect
            In pixels of the level.

        Returns
        -------
        uint8 array, shape (height, width)

        Raises
        ------
        UsageError
            If the result has no confidence.
        OutputError
            If the files are damaged.
        """
        if look.drawn is Drawn.OUTLINES:
            values = self._outlines(look, level, rect)
        else:
            values = self.labels.read(rect, level)
        if look.drawn is Drawn.CONFIDENCE:
            values = self._confidence(look, level, rect, values)
        return _striped(values, rect, 0 if look.drawn is Drawn.CONFIDENCE else OUTSIDE_ID)

    def tile(self, look: Look, level: int, rect: Rect) -> bytes:
        """Return the same as the bytes of a PNG file with a palette."""
        values = self.values(look, level, rect)
        colors = inks(self.labels.schema, look)
        picture = Image.fromarray(values)
        picture.putpalette(colors[:, :3].tobytes(), "RGB")
        packed = io.BytesIO()
        picture.save(packed, format="PNG", transparency=colors[:, 3].tobytes(), compress_level=1)
        return packed.getvalue()

    def _confidence(self, look: Look, level: int, rect: Rect, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if not self.labels.confidence:
            raise UsageError(f"{self.labels.path}: has no confidence: run `wsi-seg predict --confidence`")
        confidence = self.labels.read_confidence(rect, level)
        unseen = np.isin(values, [*look.hidden, OUTSIDE_ID]) | (confidence == UNPROCESSED_ID)
        shown = np.where(unseen, np.uint8(0), confidence)
        return np.where(values == UNPROCESSED_ID, np.uint8(UNPROCESSED_ID), shown)

    def _outlines(self, look: Look, level: int, rect: Rect) -> NDArray[np.uint8]:
        """Return the values at borders, on either side, and nothing to see elsewhere."""
        width, height = self.outline_grid.size(level)
        around = rect.padded(1).clipped(width, height)
        step = 1 << max(0, -level)
        read = around.in_cells(step)
        stored = self.labels.read(read, max(0, level))
        large = stored.repeat(step, axis=0).repeat(step, axis=1)
        whole = Rect(read.y0 * step, read.x0 * step, read.y1 * step, read.x1 * step)
        shown = large[around.relative_to(whole).slices]
        seen = np.where(np.isin(shown, [*look.hidden]), np.uint8(OUTSIDE_ID), shown)
        border = np.zeros(seen.shape, dtype=np.bool_)
        below, right = seen[1:] != seen[:-1], seen[:, 1:] != seen[:, :-1]
        border[1:] |= below
        border[:-1] |= below
        border[:, 1:] |= right
        border[:, :-1] |= right
        seen[~border & (seen != UNPROCESSED_ID)] = OUTSIDE_ID
        return seen[rect.relative_to(around).slices]


def _striped(values: NDArray[np.uint8], rect: Rect, between: int) -> NDArray[np.uint8]:
    """Return values in which every other stripe of unprocessed pixels has another one."""
    unprocessed = values == UNPROCESSED_ID
    if not unprocessed.any():
        return values
    y, x = np.ogrid[rect.y0 : rect.y1, rect.x0 : rect.x1]
    striped = values.copy()
    striped[unprocessed & ((x + y) // STRIPE % 2 == 1)] = between
    return striped
