"""Maps and windows of them, laid out in memory as the compiled kernels take them."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_float, c_int64
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

LINE = 16
"""Floats in a cache line."""

STEP = 32
"""A kernel writes at most this many pixels at a time; rows have room for whole steps."""


class _Map(Structure):
    _fields_ = (
        ("origin", POINTER(c_float)),
        *((name, c_int64) for name in ("plane", "row", "channels", "height", "width")),
    )


class _Window(Structure):
    _fields_ = tuple((name, c_int64) for name in ("y0", "y1", "x0", "x1"))


@dataclass(frozen=True)
class Window:
    """Pixels of a map: rows ``y0`` up to ``y1``, columns ``x0`` up to ``x1``."""

    y0: int
    y1: int
    x0: int
    x1: int

    def halved(self) -> Window:
        """Return the window that covers these pixels on a map of half the sides."""
        return Window(self.y0 // 2, -(-self.y1 // 2), self.x0 // 2, -(-self.x1 // 2))

    def grown(self, reach: int) -> Window:
        """Return the window with `reach` more pixels on each side, or fewer if it is negative."""
        return Window(self.y0 - reach, self.y1 + reach, self.x0 - reach, self.x1 + reach)

    def within(self, other: Window) -> Window:
        """Return the part of this window that lies in another one."""
        return Window(
            max(self.y0, other.y0), min(self.y1, other.y1), max(self.x0, other.x0), min(self.x1, other.x1)
        )

    @property
    def struct(self) -> _Window:
        """Return this window in the form that kernels take."""
        return _Window(self.y0, self.y1, self.x0, self.x1)


@dataclass(frozen=True)
class Maps:
    """Float32 maps of one image: for each row, the row of each channel, with zeros on both sides.

    Attributes
    ----------
    memory : float32 array, shape (height, channels of all, floats of a row)
        The axes are not always in this order.
    first, channels : int
        The first channel in memory that belongs to these maps, and the number of channels.
    width : int
    pad : int
        Zeros on either side of a row.
    """

    memory: NDArray[np.float32]
    first: int
    channels: int
    width: int
    pad: int

    @classmethod
    def zeros(cls, channels: int, height: int, width: int, reach: int) -> Self:
        """Make zeroed maps for convolutions that reach at most `reach` pixels to the side."""
        pad = -(-reach // LINE) * LINE
        # An odd number of cache lines: with a power of two, all channels of a pixel would compete for one
        # place in the cache.
        row = (pad + -(-width // STEP) * STEP + pad) // LINE | 1
        # Kernels that halve a map read up to two steps too much, and do not use them: one row is spare.
        memory = np.zeros((height * channels * row * LINE + 4 * STEP), np.float32)
        rows = memory[: height * channels * row * LINE].reshape(height, channels, row * LINE)
        return cls(rows, 0, channels, width, pad)

    @classmethod
    def over(cls, array: NDArray[np.float32]) -> Self:
        """Take a (channels, height, width) array as maps to write to; its width is a multiple of `STEP`."""
        return cls(array.transpose(1, 0, 2), 0, array.shape[0], array.shape[2], 0)

    @property
    def height(self) -> int:
        """Rows."""
        return len(self.memory)

    @property
    def whole(self) -> Window:
        """All pixels."""
        return Window(0, self.height, 0, self.width)

    def part(self, first: int, channels: int) -> Maps:
        """Return some of the channels, in the same memory."""
        return Maps(self.memory, self.first + first, channels, self.width, self.pad)

    @cached_property
    def struct(self) -> _Map:
        """Return these maps in the form that kernels take."""
        row, plane, value = self.memory.strides
        address = self.memory.ctypes.data + self.first * plane + self.pad * value
        origin = ctypes.cast(address, POINTER(c_float))
        return _Map(origin, plane // value, row // value, self.channels, self.height, self.width)

    def array(self) -> NDArray[np.float32]:
        """Return the maps as a (channels, height, width) array, in the same memory."""
        window = self.memory[:, self.first : self.first + self.channels, self.pad : self.pad + self.width]
        return window.transpose(1, 0, 2)
