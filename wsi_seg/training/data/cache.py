"""A cache of decoded pixels: training reads the same places again and again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.data.sources import IGNORE, LabelledPixels
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.data.sources import Source

BLOCK = 512
BYTES_PER_PIXEL = 4


class PixelCache:
    """Reads rectangles of several sources in blocks, and keeps the blocks that were used last.

    Parameters
    ----------
    sources : sequence of Source
    megabytes : int
        Memory for kept blocks, at most. Pickling leaves the blocks out.
    """

    def __init__(self, sources: Sequence[Source], megabytes: int) -> None:
        self._sources = tuple(sources)
        self._megabytes = megabytes
        self._blocks: OrderedDict[tuple[int, int, int], LabelledPixels] = OrderedDict()
        self._pixels = 0

    def __reduce__(self) -> tuple[type[PixelCache], tuple[tuple[Source, ...], int]]:
        return PixelCache, (self._sources, self._megabytes)

    def read(self, source: int, rect: Rect) -> LabelledPixels:
        """Read a rectangle of a source; outside of it pixels are mirrored and classes are unknown.

        Parameters
        ----------
        source : int
            Index of the source.
        rect : Rect
            It may reach over the source's edges.
        """
        width, height = self._sources[source].size
        inside = rect.clipped(width, height)
        rgb = np.empty((inside.height, inside.width, 3), np.uint8)
        classes = np.empty((inside.height, inside.width), np.uint8)
        for by in range(inside.y0 // BLOCK, -(-inside.y1 // BLOCK)):
            for bx in range(inside.x0 // BLOCK, -(-inside.x1 // BLOCK)):
                area = Rect(by * BLOCK, bx * BLOCK, (by + 1) * BLOCK, (bx + 1) * BLOCK)
                area = area.clipped(width, height)
                block = self._block(source, by, bx, area)
                part = area.intersection(inside)
                rgb[part.relative_to(inside).slices] = block.rgb[part.relative_to(area).slices]
                classes[part.relative_to(inside).slices] = block.classes[part.relative_to(area).slices]
        if inside == rect:
            return LabelledPixels(rgb, classes)
        margins = (inside.y0 - rect.y0, rect.y1 - inside.y1), (inside.x0 - rect.x0, rect.x1 - inside.x1)
        return LabelledPixels(
            np.pad(rgb, (*margins, (0, 0)), mode="symmetric"),
            np.pad(classes, margins, constant_values=IGNORE),
        )

    def diagnosis(self, source: int) -> int:
        """Return the class of a source as a whole, or `IGNORE`."""
        diagnosis = self._sources[source].diagnosis
        return IGNORE if diagnosis is None else diagnosis

    def _block(self, source: int, by: int, bx: int, area: Rect) -> LabelledPixels:
        key = source, by, bx
        block = self._blocks.get(key)
        if block is None:
            block = self._sources[source].read(area)
            self._blocks[key] = block
            self._pixels += area.area
            while self._pixels * BYTES_PER_PIXEL > self._megabytes << 20 and len(self._blocks) > 1:
                _, dropped = self._blocks.popitem(last=False)
                self._pixels -= dropped.classes.size
        else:
            self._blocks.move_to_end(key)
        return block
