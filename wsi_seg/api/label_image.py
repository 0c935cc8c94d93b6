"""Labels on disk, indexed like an array: only the rectangle asked for is read."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np

from wsi_seg.api.arguments import shown
from wsi_seg.errors import UsageError
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import DTypeLike, NDArray


@dataclass(frozen=True)
class LabelImage:
    """An image of the label frame, indexed as ``image[y0:y1, x0:x1]`` in label pixels.

    Attributes
    ----------
    shape : (int, int)
        Height and width.
    read : callable
        Reads a rectangle.
    """

    shape: tuple[int, int]
    read: Callable[[Rect], NDArray[np.uint8]]

    ndim = 2
    dtype = np.dtype(np.uint8)

    def __len__(self) -> int:
        return self.shape[0]

    @overload
    def __getitem__(self, index: slice | tuple[slice, slice]) -> NDArray[np.uint8]: ...

    @overload
    def __getitem__(self, index: Any) -> Any: ...

    def __getitem__(self, index: Any) -> Any:
        """Read a rectangle as a uint8 array, or a single row, column or pixel, by numpy's indexing.

        Raises
        ------
        UsageError
            If a slice has a step, or the index is not a rectangle.
        IndexError
            If a single row or column lies outside.
        OutputError
            If the files are damaged.
        """
        parts = index if isinstance(index, tuple) else (index,)
        if len(parts) <= 2 and any(part is Ellipsis for part in parts):
            parts = tuple(slice(None) if part is Ellipsis else part for part in parts)
        if len(parts) > 2 or any(part is None for part in parts):
            raise UsageError(f"labels are indexed as [y0:y1, x0:x1], and not by {shown(index)}")
        parts = (*parts, *(slice(None),) * (2 - len(parts)))
        rows, columns = (_span(part, side) for part, side in zip(parts, self.shape, strict=True))
        rect = Rect(rows[0], columns[0], rows[1], columns[1])
        pixels = self.read(rect) if rect.area else np.zeros((rect.height, rect.width), np.uint8)
        return pixels[tuple(slice(None) if isinstance(part, slice) else 0 for part in parts)]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read the whole image, which is large for a whole slide."""
        return np.asarray(self[:, :], dtype=dtype)


def _span(part: Any, side: int) -> tuple[int, int]:
    """Return the first pixel of one axis of an index, and the one after the last."""
    if isinstance(part, slice):
        try:
            start, stop, step = part.indices(side)
        except TypeError as error:
            raise UsageError(f"labels are sliced by whole numbers, and not by {shown(part)}") from error
        if step != 1:
            raise UsageError("labels are read without steps: leave the step out, and take [::n] of the array")
        return start, max(start, stop)
    try:
        if isinstance(part, bool | np.bool_):  # a mask to numpy, a number to Python
            raise TypeError("a flag is no position")
        number = operator.index(part)
    except TypeError as error:
        raise UsageError(
            f"labels are indexed by whole numbers, as [y0:y1, x0:x1], and not by {shown(part)}"
        ) from error
    if not -side <= number < side:
        raise IndexError(f"{shown(number)} is outside a side of {side} label pixels")
    return number % side, number % side + 1
