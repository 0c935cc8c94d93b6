"""A survey of the training data: where each class lies, and how much of it there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.data.sources import IGNORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.data.sources import Source
    from wsi_seg.slides.lattice import Rect

SMALL, FEW = 1 << 22, 1 << 27
"""Sources of up to `SMALL` pixels, `FEW` in all, are surveyed pixel by pixel."""

STRIDE = 4
"""In other sources, a cell has at least this many pixels along its side."""

MOST_CELLS = 1 << 24
"""Largest number of cells in one source's survey: 16 MB."""


@dataclass(frozen=True)
class Survey:
    """The classes of one source on a coarse grid.

    Attributes
    ----------
    cells : uint8 array, shape (height // stride, width // stride)
        Class index at the centre of each cell, or `IGNORE`.
    stride : int
        Pixels along a cell's side.
    """

    cells: NDArray[np.uint8]
    stride: int

    @classmethod
    def of(cls, source: Source, many: bool = False) -> Survey:
        """Survey a source, finely enough for small shapes and coarsely enough for gigapixel slides.

        Parameters
        ----------
        source : Source
        many : bool
            Whether there are so many sources that none is surveyed pixel by pixel.
        """
        width, height = source.size
        stride = STRIDE if many or width * height > SMALL else 1
        while (width // stride) * (height // stride) > MOST_CELLS:
            stride *= 2
        stride = min(stride, width, height)
        return cls(source.class_map(stride), stride)

    def pixels(self, classes: int) -> NDArray[np.int64]:
        """Return the approximate number of pixels of each class."""
        return np.bincount(self.cells.ravel(), minlength=IGNORE + 1)[:classes] * self.stride**2

    def without(self, rects: Sequence[Rect]) -> Survey:
        """Return the survey with an unknown class in every cell that meets one of `rects`."""
        cells = self.cells.copy()
        for rect in rects:
            cells[self._cells_of(rect).slices] = IGNORE
        return Survey(cells, self.stride)

    def only(self, rects: Sequence[Rect]) -> Survey:
        """Return the survey with the class unknown in every cell that meets none of `rects`."""
        cells = np.full_like(self.cells, IGNORE)
        for rect in rects:
            slices = self._cells_of(rect).slices
            cells[slices] = self.cells[slices]
        return Survey(cells, self.stride)

    def within(self, rect: Rect) -> NDArray[np.uint8]:
        """Return the cells that meet a rectangle of pixels."""
        return self.cells[self._cells_of(rect).slices]

    def points_xy(self, class_index: int) -> NDArray[np.int32]:
        """Return the pixel at the centre of each cell of a class, shape (n, 2)."""
        rows, columns = np.nonzero(self.cells == class_index)
        centres = np.stack([columns, rows], axis=1) * self.stride + self.stride // 2
        return centres.astype(np.int32)

    def _cells_of(self, rect: Rect) -> Rect:
        return rect.in_cells(self.stride).clipped(self.cells.shape[1], self.cells.shape[0])


def survey_all(sources: Sequence[Source]) -> tuple[Survey, ...]:
    """Survey sources, as finely as memory allows for all of them."""
    many = sum(width * height for width, height in (source.size for source in sources)) > FEW
    return tuple(Survey.of(source, many) for source in sources)
