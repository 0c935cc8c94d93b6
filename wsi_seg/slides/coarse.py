"""Coarse masks of the label frame, with smooth outlines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASK_REMEDY = "restore it, or make the result again with `wsi-seg predict --overwrite`"
"""The remedy for a missing or damaged tissue mask. It cannot be rebuilt: the labels were made from it."""

PIECE = 256
"""Side of the squares that are interpolated one by one: most lie wholly inside or outside of all outlines."""


TABLES = tuple(2**k for k in range(1, 8))
"""Label pixels per mask pixel at which all interpolated values are exact in float32."""


class MaskSeal(BaseModel):
    """What a run notes of its tissue mask, by which it knows the mask again.

    Attributes
    ----------
    sha256 : str
        Of the mask's pixels, row by row, a byte each.
    size : (int, int)
        Width and height.
    factor : int
        Label pixels per mask pixel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size: tuple[int, int]
    factor: int

    def difference_to(self, other: MaskSeal) -> str:
        """Describe in a few words what differs from another mask."""
        if self.size != other.size:
            return "it has {} x {} pixels, not {} x {}".format(*self.size, *other.size)
        if self.factor != other.factor:
            return f"it has {self.factor} label pixels per mask pixel, not {other.factor}"
        return "its pixels differ"


@dataclass(frozen=True)
class CoarseMask:
    """A coarse mask of the label frame.

    Attributes
    ----------
    mask : bool array, shape (height, width)
        One pixel covers `factor` x `factor` label pixels.
    factor : int
    """

    mask: NDArray[np.bool_]
    factor: int

    def at(self, rect: Rect, factor: int = 1) -> NDArray[np.bool_]:
        """Return the mask of a rectangle, with smooth outlines.

        The coarse mask is interpolated bilinearly and thresholded at one half; a pixel's value does not
        depend on the rectangle.

        Parameters
        ----------
        rect : Rect
            In pixels that cover `factor` x `factor` label pixels.
        factor : int
        """
        step, rest = divmod(self.factor, factor)
        if not rest and step in TABLES:
            return self._looked_up(rect, step)
        inside = np.empty((rect.height, rect.width), dtype=np.bool_)
        for y in range(rect.y0, rect.y1, PIECE):
            for x in range(rect.x0, rect.x1, PIECE):
                piece = Rect(y, x, y + PIECE, x + PIECE).intersection(rect)
                inside[piece.relative_to(rect).slices] = self._interpolated(piece, self.factor / factor)
        return inside

    def _looked_up(self, rect: Rect, step: int) -> NDArray[np.bool_]:
        """Return the same as by interpolation, for steps at which that is exact and repeats itself.

        A cell is the step x step pixels that lie between the centres of the same four coarse ones.
        """
        y0, y1, x0, x1 = ((edge + step // 2) // step for edge in (rect.y0, rect.y1 - 1, rect.x0, rect.x1 - 1))
        rows, columns = (
            np.clip(np.arange(first - 1, last + 1), 0, size - 1)
            for first, last, size in zip((y0, x0), (y1, x1), self.mask.shape, strict=True)
        )
        part = self.mask[np.ix_(rows, columns)].view(np.uint8)
        if part.all() or not part.any():
            return np.full((rect.height, rect.width), part.flat[0], dtype=np.bool_)
        corners = part[:-1, :-1] | part[:-1, 1:] << 1 | part[1:, :-1] << 2 | part[1:, 1:] << 3
        cells = _smooth_cells(step)[corners].transpose(0, 2, 1, 3)
        pixels = cells.reshape(len(corners) * step, corners.shape[1] * step)
        begin = Rect(y0 * step - step // 2, x0 * step - step // 2, 0, 0)
        return np.ascontiguousarray(pixels[rect.relative_to(begin).slices])

    def _interpolated(self, rect: Rect, step: float) -> NDArray[np.bool_] | bool:
        low_y, high_y, weight_y = _taps(rect.y0, rect.y1, step, self.mask.shape[0])
        low_x, high_x, weight_x = _taps(rect.x0, rect.x1, step, self.mask.shape[1])
        part = self.mask[low_y[0] : high_y[-1] + 1, low_x[0] : high_x[-1] + 1]
        if part.all() or not part.any():
            return bool(part.flat[0])
        rows = self.mask[low_y] * (1 - weight_y)[:, None] + self.mask[high_y] * weight_y[:, None]
        soft = rows[:, low_x] * (1 - weight_x) + rows[:, high_x] * weight_x
        inside: NDArray[np.bool_] = soft >= 0.5
        return inside

    def cells(self, rect: Rect, side: int) -> NDArray[np.bool_]:
        """Return, for squares of label pixels, whether any pixel of each may be tissue.

        Parameters
        ----------
        rect : Rect
            In squares of `side` x `side` label pixels, counted from the frame's origin.
        side : int
        """
        low_y, high_y = self._cell_taps(rect.y0, rect.y1, side, axis=0)
        low_x, high_x = self._cell_taps(rect.x0, rect.x1, side, axis=1)
        part = self.mask[low_y[0] : high_y[-1] + 1, low_x[0] : high_x[-1] + 1]
        # Sums over all pixels above and to the left: four of them tell of any rectangle.
        sums = np.pad(part.cumsum(axis=0, dtype=np.int64).cumsum(axis=1), ((1, 0), (1, 0)))
        top, bottom = sums[low_y - low_y[0]], sums[high_y - low_y[0] + 1]
        left, right = low_x - low_x[0], high_x - low_x[0] + 1
        found: NDArray[np.bool_] = bottom[:, right] - bottom[:, left] > top[:, right] - top[:, left]
        return found

    def _cell_taps(
        self, start: int, stop: int, side: int, axis: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the first and the last coarse pixel that any pixel of each square is interpolated from."""
        low, high, _ = _taps(start * side, stop * side, self.factor, self.mask.shape[axis])
        return low[::side], high[side - 1 :: side]

    def touches(self, rect: Rect) -> bool:
        """Return whether any pixel of a rectangle, in label pixels, may be tissue."""
        low_y, high_y, _ = _taps(rect.y0, rect.y1, self.factor, self.mask.shape[0])
        low_x, high_x, _ = _taps(rect.x0, rect.x1, self.factor, self.mask.shape[1])
        return bool(self.mask[low_y[0] : high_y[-1] + 1, low_x[0] : high_x[-1] + 1].any())


@lru_cache(maxsize=len(TABLES))
def _smooth_cells(step: int) -> NDArray[np.bool_]:
    """Return the pixels of a cell for each of the 16 ways in which its corners are in the mask or not."""
    weight = (np.arange(step, dtype=np.float32) + 0.5) / step
    corners = np.arange(16)[:, None, None] >> np.arange(4)[:, None, None, None] & 1
    left, right = (corners[i] * (1 - weight)[:, None] + corners[i + 2] * weight[:, None] for i in (0, 1))
    inside: NDArray[np.bool_] = left * (1 - weight) + right * weight >= 0.5
    return inside


def _taps(
    start: int, stop: int, factor: float, size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return the two coarse pixels, and the second one's weight, for each label pixel's centre."""
    centre = (np.arange(start, stop) + 0.5) / factor - 0.5
    low = np.floor(centre).astype(np.intp)
    weight = (centre - low).astype(np.float32)
    return np.clip(low, 0, size - 1), np.clip(low + 1, 0, size - 1), weight
