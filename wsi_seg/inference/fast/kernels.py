"""Layers as the compiled kernels take them; the C++ files in `layers` say how they compute."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_float, c_int64
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.inference.fast.library import load_kernels
from wsi_seg.inference.fast.program import Kind, Program, Step
from wsi_seg.models.espnet_config import RGB
from wsi_seg.models.negligible import cleared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.inference.fast.maps import Maps
    from wsi_seg.models.header import InputSpec

    Floats = NDArray[np.float32]

OVERHEAD = 2
"""Reading a tile's input costs as much as computing this many of its channels."""


class LayerStruct(Structure):
    """A layer as the kernels take it."""

    _fields_ = (
        ("weights", POINTER(c_float)),
        ("finish", POINTER(c_float)),
        ("taps", POINTER(c_int64)),
        *((name, c_int64) for name in ("size", "stride", "branches", "inputs", "outputs", "tile")),
    )


@dataclass(frozen=True)
class Finish:
    """What follows a sum, channel by channel: ``prelu(sum * scale + shift)``."""

    scale: Floats
    shift: Floats
    slope: Floats

    @classmethod
    def nothing(cls, channels: int) -> Finish:
        """Leave sums as they are."""
        one = np.ones(channels, np.float32)
        return cls(one, np.zeros(channels, np.float32), one)

    def part(self, first: int, channels: int) -> Finish:
        """Return the part for some of the channels."""
        window = slice(first, first + channels)
        return Finish(self.scale[window], self.shift[window], self.slope[window])


@dataclass(frozen=True)
class Sizes:
    """The sizes of a layer: those of its kernel, its maps, and of what is computed together."""

    size: int
    stride: int
    branches: int
    inputs: int
    outputs: int
    tile: int


class Kernel:
    """A layer: its weights laid out for the kernels, and what follows the sums.

    Parameters
    ----------
    weights : float32 array
        Contiguous.
    finish : float32 array
    taps : sequence of int
    sizes : Sizes

    Attributes
    ----------
    reach : int
        Rows and columns around a pixel that it reads.
    """

    reach = 0

    def __init__(self, weights: Floats, finish: Floats, taps: Sequence[int], sizes: Sizes) -> None:
        self._weights, self._finish = weights, floats(finish)
        self._taps = (c_int64 * len(taps))(*taps)
        self.struct = LayerStruct(
            _pointer(self._weights), _pointer(self._finish), self._taps, *astuple(sizes)
        )


class Convolution(Kernel):
    """Convolutions of one map, 1x1 or 3x3, each of which adds to the sums of the one before.

    Parameters
    ----------
    weights : sequence of float32 array
        One (outputs, inputs, size, size) array for each; that of the second is added to the first's sum and
        so on. The results are written side by side.
    finish : Finish
        For all of them, side by side.
    then : Finish, optional
        What follows the first, for the second place that results can be written to.
    stride : {1, 2}
    dilations : sequence of int
        One for each.
    """

    kind: Kind = "convolve"

    def __init__(
        self,
        weights: Sequence[Floats],
        finish: Finish,
        then: Finish | None = None,
        stride: int = 1,
        dilations: Sequence[int] = (1,),
    ) -> None:
        laid_out, sizes = self._lay_out(np.stack(weights), stride)
        super().__init__(laid_out, steps_of(finish, then), dilations, sizes)
        self.reach = max(dilations) if weights[0].shape[-1] > 1 else 0

    @staticmethod
    def _lay_out(weights: Floats, stride: int) -> tuple[Floats, Sizes]:
        """Lay weights, shape (branches, outputs, inputs, size, size), out as the kernels take them."""
        branches, outputs, inputs, size, _ = weights.shape
        tile = _tile(outputs)
        filled = np.zeros((branches, -(-outputs // tile) * tile, inputs, size, size), np.float32)
        filled[:, :outputs] = weights
        # (branch, output, input, row, column) -> (tile, branch, input, row, column, output in the tile)
        tiles = filled.reshape(branches, -1, tile, inputs, size, size).transpose(1, 0, 3, 4, 5, 2)
        return floats(tiles), Sizes(size, stride, branches, inputs, outputs, tile)

    def prepared(self, program: Program, source: Maps, reach: int) -> Maps:
        """Return what to read for some maps: the maps themselves."""
        return source

    def __call__(
        self,
        program: Program,
        source: Maps,
        out: Maps | None,
        then: Maps | None = None,
        plus: Maps | None = None,
    ) -> None:
        """Write results to `out` and, one step further, to `then`; `plus` is first added to the sums."""
        program.add(Step(self.kind, self, source, out, then, plus))


class Doubling(Kernel):
    """A 2x2 transposed convolution of stride 2; `weight` is (inputs, outputs, 2, 2)."""

    def __init__(self, weight: Floats, finish: Finish, then: Finish | None = None) -> None:
        inputs, outputs = weight.shape[:2]
        tile = _tile(outputs)
        filled = np.zeros((inputs, -(-outputs // tile) * tile, 2, 2), np.float32)
        filled[:, :outputs] = weight
        # (input, output, row, column) -> (tile, row, input, column, output in the tile)
        tiles = filled.reshape(inputs, -1, tile, 2, 2).transpose(1, 3, 0, 4, 2)
        super().__init__(floats(tiles), steps_of(finish, then), (), Sizes(2, 2, 1, inputs, outputs, tile))

    def __call__(self, program: Program, source: Maps, out: Maps | None, then: Maps | None = None) -> None:
        """Write results to `out` and, one step further, to `then`."""
        program.add(Step("double", self, source, out, then))

    def best(self, program: Program, source: Maps) -> None:
        """Take the index of the largest channel at each pixel, without storing channels."""
        program.add(Step("decide", self, source))


class Normaliser(Kernel):
    """Normalise pixel values of 0 to 255 into three maps, as a network was trained to see them."""

    def __init__(self, spec: InputSpec) -> None:
        std, mean = np.array(spec.std) * spec.scale, np.array(spec.mean)
        factor, shift = (values.astype(np.float32) for values in (1 / std, -mean / std))
        channels = (2, 1, 0) if spec.channels == "bgr" else (0, 1, 2)
        super().__init__(floats(factor), shift, channels, Sizes(1, 1, 1, RGB, RGB, RGB))

    def __call__(self, program: Program, out: Maps) -> None:
        """Normalise an image."""
        program.add(Step("normalise", self, None, out))


def steps_of(finish: Finish, then: Finish | None) -> Floats:
    """Return what follows sums, once and twice, as the kernels take it."""
    then = then or Finish.nothing(len(finish.scale))
    return np.stack([finish.scale, finish.shift, finish.slope, then.scale, then.shift, then.slope])


def _tile(outputs: int) -> int:
    """Choose how many output channels are computed together, so that few are computed for nothing."""
    sizes = (c_int64 * 16)()
    tiles = sorted(sizes[: load_kernels().wsi_seg_tiles(sizes)])
    return min(tiles, key=lambda tile: (-(-outputs // tile) * (tile + OVERHEAD), -tile))


def floats(values: Floats) -> Floats:
    """Return a contiguous array, with values too small to matter set to zero."""
    return np.ascontiguousarray(cleared(values), np.float32)


def _pointer(values: Floats) -> ctypes._Pointer[c_float]:
    return values.ctypes.data_as(POINTER(c_float))
