"""Which tiles a picture is cut into, level by level: pure arithmetic, as browsers ask for them."""

from __future__ import annotations

from dataclasses import dataclass

from wsi_seg.slides.lattice import Rect

TILE = 512
"""Side of a tile in pixels."""


@dataclass(frozen=True)
class Grid:
    """A picture as tiles at several levels, each half the size of the one before.

    Attributes
    ----------
    width, height : int
        Pixels of the picture itself, at level 0.
    finest, coarsest : int
        The levels that there are. Below 0 the pixels are divided: at level -1 into 2 x 2.
    """

    width: int
    height: int
    finest: int
    coarsest: int

    @classmethod
    def of(cls, width: int, height: int, finest: int = 0) -> Grid:
        """Return the grid whose coarsest level is the first that one tile holds."""
        return cls(width, height, finest, (-(-max(width, height) // TILE) - 1).bit_length())

    def size(self, level: int) -> tuple[int, int]:
        """Return the width and height of a level; parts of a pixel at the end count as a whole one."""
        if level < 0:
            return self.width << -level, self.height << -level
        step = 1 << level
        return -(-self.width // step), -(-self.height // step)

    def rect(self, level: int, column: int, row: int) -> Rect | None:
        """Return a tile's pixels of its level; None if there is no such tile."""
        if not self.finest <= level <= self.coarsest:
            return None
        width, height = self.size(level)
        if not (0 <= column * TILE < width and 0 <= row * TILE < height):
            return None
        whole = Rect(row * TILE, column * TILE, (row + 1) * TILE, (column + 1) * TILE)
        return whole.clipped(width, height)
