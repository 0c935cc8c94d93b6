"""Tiles of the labels, and the part of a tile that a region covers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.measures.pixel_kinds import Kinds
    from wsi_seg.results.labels.read_labels import LabelPyramid


class Tile(NamedTuple):
    """Pixels of the labels with what is around them.

    Attributes
    ----------
    rect : Rect
        In label pixels, inside the labels.
    margin : int
        Number of pixels around it.
    kinds : uint16 array, shape (rect.height + 2 * margin, rect.width + 2 * margin)
        The kind of each pixel; off the slide `Kinds.beyond`.
    frame : Rect
        All of the labels.
    """

    rect: Rect
    margin: int
    kinds: NDArray[np.uint16]
    frame: Rect

    def part(self, rect: Rect) -> Part:
        """Return a rectangle inside of the tile."""
        around = rect.padded(1).relative_to(self.rect.padded(self.margin))
        return Part(rect, self.kinds[around.slices], self.frame)


class Part(NamedTuple):
    """A rectangle of a tile, with one pixel around it.

    Attributes
    ----------
    rect : Rect
        In label pixels, inside the labels.
    kinds : uint16 array, shape (rect.height + 2, rect.width + 2)
    frame : Rect
        All of the labels.
    """

    rect: Rect
    kinds: NDArray[np.uint16]
    frame: Rect

    @property
    def inner(self) -> NDArray[np.uint16]:
        """The kinds without the pixels around them."""
        return self.kinds[1:-1, 1:-1]

    @property
    def owned(self) -> tuple[int, int, int, int]:
        """The pixels in `kinds` that belong to this part, as y0, y1, x0, x1.

        Each pixel of the labels belongs to one tile, and each pixel just off the labels to the tile beside.
        """
        rect, frame = self.rect, self.frame
        return (
            int(rect.y0 > frame.y0),
            rect.height + 1 + int(rect.y1 == frame.y1),
            int(rect.x0 > frame.x0),
            rect.width + 1 + int(rect.x1 == frame.x1),
        )

    def masked(self, inside: NDArray[np.bool_], kinds: Kinds) -> Part:
        """Return the part with the pixels that are not inside a region as `Kinds.beyond`."""
        return self._replace(kinds=np.where(inside, self.kinds, np.uint16(kinds.beyond)))


def read_tile(labels: LabelPyramid, kinds: Kinds, rect: Rect, margin: int) -> Tile:
    """Read a tile.

    Raises
    ------
    OutputError
        If the labels are damaged.
    """
    height, width = labels.shape
    around = rect.padded(margin)
    there = around.clipped(width, height)
    shape = (around.height, around.width)
    filled = np.full(shape, kinds.beyond, dtype=np.uint16)
    filled[there.relative_to(around).slices] = kinds.of(labels.read(there), labels.path)
    return Tile(rect, margin, filled, Rect(0, 0, height, width))
