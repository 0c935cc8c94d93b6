"""A program made ready for images of one size: its memory, and the order of its rows."""

from __future__ import annotations

import math
from ctypes import POINTER, Structure, addressof, byref, c_float, c_int64, c_void_p, cast
from typing import TYPE_CHECKING, get_args

import numpy as np

from wsi_seg.inference.fast.kernels import LayerStruct
from wsi_seg.inference.fast.library import load_kernels
from wsi_seg.inference.fast.program import Kind
from wsi_seg.inference.fast.windows import Spans, SpansStruct, needed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.inference.fast.maps import Maps, Sheet
    from wsi_seg.inference.fast.program import Program
    from wsi_seg.inference.fast.windows import Windows

LINE = 16
"""Floats in a cache line."""

STEP = 32
"""A kernel reads at most this many pixels at a time; rows have room for whole steps."""

KINDS: tuple[str, ...] = get_args(Kind)


class _Map(Structure):
    _fields_ = (
        ("origin", POINTER(c_float)),
        *((name, c_int64) for name in ("plane", "row", "rows", "height")),
    )


class _Step(Structure):
    _fields_ = (
        ("kind", c_int64),
        *((name, POINTER(_Map)) for name in ("source", "plus", "out", "then")),
        ("layer", POINTER(LayerStruct)),
        ("wanted", SpansStruct),
        ("empty", SpansStruct),
        ("bytes", c_void_p),
        ("bytes_row", c_int64),
    )


class _Rows(Structure):
    _fields_ = tuple((name, c_int64) for name in ("step", "y0", "y1"))


class Held:
    """The memory of a sheet: for each row, the row of each channel, with zeros on both sides.

    Attributes
    ----------
    floats : int
        How much memory it takes.
    rows : float32 array, shape (rows held, channels, floats of a row)
        Row `y` of the sheet is in the place of row `y` modulo the number held.
    """

    rows: NDArray[np.float32]

    def __init__(self, sheet: Sheet, rows: int, height: int, width: int) -> None:
        self._pad = -(-sheet.reach // LINE) * LINE
        self._height, self._width = height // sheet.stride, width // sheet.stride
        # An odd number of cache lines: with a power of two, all channels of a pixel would compete for one
        # place in the cache.
        row = (self._pad + -(-self._width // STEP) * STEP + self._pad) // LINE | 1
        self._shape = (rows, sheet.channels, row * LINE)
        # Kernels that halve a map read up to two steps too much, and do not use them: they are spare.
        self._by_pixel = sheet.by_pixel
        self.floats = math.prod(self._shape) + (sheet.channels if self._by_pixel else 1) * 4 * STEP

    def lie_in(self, memory: NDArray[np.float32]) -> None:
        """Take the memory, which holds zeros."""
        self.rows = memory[: math.prod(self._shape)].reshape(self._shape)

    def struct(self, maps: Maps) -> _Map:
        """Return maps of the sheet as the kernels take them."""
        row, plane, value = self.rows.strides
        if self._by_pixel:
            plane = maps.sheet.channels * value  # the step from pixel to pixel
            first = self._pad * plane
        else:
            first = maps.first * plane + self._pad * value
        origin = cast(self.rows.ctypes.data + first, POINTER(c_float))
        return _Map(origin, plane // value, row // value, len(self.rows), self._height)

    def array(self, maps: Maps) -> NDArray[np.float32]:
        """Return maps of the sheet as a new (channels, height, width) array; all rows must be held."""
        channels = slice(maps.first, maps.first + maps.channels)
        found = self.rows[: self._height, channels, self._pad : self._pad + self._width]
        return np.ascontiguousarray(found.transpose(1, 0, 2))


class Flow:
    """A program with the memory for images of one size.

    Parameters
    ----------
    program : Program
    height, width : int
        Multiples of 8.
    strip : int
        Rows of the image that are taken at a time.
    """

    def __init__(self, program: Program, height: int, width: int, strip: int) -> None:
        self._program, self._height, self._width, self._strip = program, height, width, strip
        order, held = program.streamed(height, strip)
        self._held = {sheet: Held(sheet, rows, height, width) for sheet, rows in held.items()}
        # In one array, which is large enough for the system to give it large pages: kernels read more places
        # in turn than a processor remembers small pages.
        sizes = [-(-held.floats // LINE) * LINE for held in self._held.values()]
        memory = np.zeros(sum(sizes) + LINE, np.float32)
        start = -memory.ctypes.data // memory.itemsize % LINE  # all begin where a cache line does
        for sheet, size in zip(self._held.values(), sizes, strict=True):
            sheet.lie_in(memory[start : start + size])
            start += size
        self._maps: list[_Map] = []  # the kernels are given their addresses
        self._rows = (_Rows * len(order))(*(_Rows(rows.step, rows.y0, rows.y1) for rows in order))
        self._steps = (_Step * len(program.steps))()
        for struct, step in zip(self._steps, program.steps, strict=True):
            struct.kind = KINDS.index(step.kind)
            struct.layer = cast(addressof(step.layer.struct), POINTER(LayerStruct))
            for name in ("source", "plus", "out", "then"):
                if (maps := getattr(step, name)) is not None:
                    self._maps.append(self._held[maps.sheet].struct(maps))
                    setattr(struct, name, cast(addressof(self._maps[-1]), POINTER(_Map)))

    def serves(self, program: Program, height: int, width: int, strip: int) -> bool:
        """Return whether this is for a program and images of a size."""
        mine = (self._height, self._width, self._strip)
        return self._program is program and mine == (height, width, strip)

    def __call__(self, pixels: NDArray[np.uint8], windows: Windows, threads: int) -> NDArray[np.uint8]:
        """Run the program on an RGB image, shape (height, width, 3).

        Returns
        -------
        uint8 array, shape (height, width)
            The index of the largest logit where one is wanted, if the program decides; elsewhere 0.
        """
        pixels = np.ascontiguousarray(pixels)
        best = np.zeros(pixels.shape[:2], np.uint8)
        kept = []  # until the kernels have run
        for struct, step, cells in zip(
            self._steps, self._program.steps, needed(self._program, windows), strict=True
        ):
            spans = [Spans.of(c, step.stride, self._width // step.stride) for c in cells]
            kept.append(spans)
            struct.wanted, struct.empty = (s.struct for s in spans)
            array = pixels if step.kind == "normalise" else best
            struct.bytes, struct.bytes_row = array.ctypes.data, array.strides[0]
        load_kernels().wsi_seg_run(self._steps, byref(self._rows), c_int64(len(self._rows)), c_int64(threads))
        return best

    def array(self, maps: Maps) -> NDArray[np.float32]:
        """Return maps that no step of the program reads, shape (channels, height, width)."""
        return self._held[maps.sheet].array(maps)
