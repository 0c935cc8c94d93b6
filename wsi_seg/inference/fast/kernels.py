"""Layers as the compiled kernels take them; `kernels.cpp` says how they compute."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref, c_float, c_int64, c_uint8
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from wsi_seg.inference.fast.library import load_kernels
from wsi_seg.models.negligible import cleared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from wsi_seg.inference.fast.maps import Maps, Window
    from wsi_seg.models.header import InputSpec

OVERHEAD = 2
"""Reading a tile's input costs as much as computing this many of its channels."""


class _Layer(Structure):
    _fields_ = (
        ("weights", POINTER(c_float)),
        ("finish", POINTER(c_float)),
        ("dilations", POINTER(c_int64)),
        *((name, c_int64) for name in ("size", "stride", "branches", "inputs", "outputs", "tile")),
    )


@dataclass(frozen=True)
class Finish:
    """What follows a sum, channel by channel: ``prelu(sum * scale + shift)``."""

    scale: Tensor
    shift: Tensor
    slope: Tensor

    @classmethod
    def nothing(cls, channels: int) -> Finish:
        """Leave sums as they are."""
        return cls(torch.ones(channels), torch.zeros(channels), torch.ones(channels))

    def part(self, first: int, channels: int) -> Finish:
        """Return the part for some of the channels."""
        window = slice(first, first + channels)
        return Finish(self.scale[window], self.shift[window], self.slope[window])


class _Kernel:
    """Weights laid out for a kernel, and what follows the sums."""

    def __init__(self, tiles: Tensor, finish: Finish, then: Finish | None, layer: dict[str, int]) -> None:
        then = then or Finish.nothing(len(finish.scale))
        steps = [finish.scale, finish.shift, finish.slope, then.scale, then.shift, then.slope]
        self._weights, self._finish = _floats(tiles), _floats(torch.stack(steps))
        self._library = load_kernels()
        self.struct = _Layer(_pointer(self._weights), _pointer(self._finish), **layer)


class Convolution(_Kernel):
    """Convolutions of one map, 1x1 or 3x3, each of which adds to the sums of the one before.

    Parameters
    ----------
    weights : sequence of Tensor
        One (outputs, inputs, size, size) tensor for each; that of the second is added to the first's sum and
        so on. The results are written side by side.
    finish : Finish
        For all of them, side by side.
    then : Finish, optional
        What follows the first, for the second place that results can be written to.
    stride : {1, 2}
    dilations : sequence of int
        One for each.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        finish: Finish,
        then: Finish | None = None,
        stride: int = 1,
        dilations: Sequence[int] = (1,),
    ) -> None:
        outputs, inputs, size, _ = weights[0].shape
        tile = _tile(outputs)
        filled = torch.zeros(len(weights), -(-outputs // tile) * tile, inputs, size, size)
        filled[:, :outputs] = torch.stack(list(weights))
        # (branch, output, input, row, column) -> (tile, branch, input, row, column, output in the tile)
        tiles = filled.reshape(len(weights), -1, tile, inputs, size, size).permute(1, 0, 3, 4, 5, 2)
        sizes = {"size": size, "stride": stride, "branches": len(weights), "inputs": inputs}
        super().__init__(tiles, finish, then, {**sizes, "outputs": outputs, "tile": tile})
        self._dilations = (c_int64 * len(dilations))(*dilations)
        self.struct.dilations = self._dilations

    def __call__(
        self,
        source: Maps,
        out: Maps | None,
        then: Maps | None = None,
        plus: Maps | None = None,
        window: Window | None = None,
        threads: int = 1,
    ) -> None:
        """Write results to `out` and, one step further, to `then`; `plus` is first added to the sums."""
        wanted = window or (out or then).whole  # type: ignore[union-attr]
        self._library.wsi_seg_convolve(
            byref(source.struct),
            _reference(plus),
            _reference(out),
            _reference(then),
            byref(self.struct),
            byref(wanted.struct),
            c_int64(threads),
        )


class Doubling(_Kernel):
    """A 2x2 transposed convolution of stride 2; `weight` is (inputs, outputs, 2, 2)."""

    def __init__(self, weight: Tensor, finish: Finish, then: Finish | None = None) -> None:
        inputs, outputs = weight.shape[:2]
        tile = _tile(outputs)
        filled = torch.zeros(inputs, -(-outputs // tile) * tile, 2, 2)
        filled[:, :outputs] = weight
        # (input, output, row, column) -> (tile, row, input, column, output in the tile)
        tiles = filled.reshape(inputs, -1, tile, 2, 2).permute(1, 3, 0, 4, 2)
        sizes = {"size": 2, "stride": 2, "branches": 1, "inputs": inputs}
        super().__init__(tiles, finish, then, {**sizes, "outputs": outputs, "tile": tile})

    def __call__(
        self,
        source: Maps,
        out: Maps | None,
        then: Maps | None = None,
        window: Window | None = None,
        threads: int = 1,
    ) -> None:
        """Write results to `out` and, one step further, to `then`."""
        wanted = window or (out or then).whole  # type: ignore[union-attr]
        self._library.wsi_seg_double(
            byref(source.struct),
            _reference(out),
            _reference(then),
            byref(self.struct),
            byref(wanted.struct),
            c_int64(threads),
        )

    def best(self, source: Maps, window: Window, threads: int = 1) -> NDArray[np.uint8]:
        """Return the index of the largest channel at each pixel in the window, without storing channels."""
        best = np.empty((window.y1 - window.y0, window.x1 - window.x0), np.uint8)
        self._library.wsi_seg_double_argmax(
            byref(source.struct),
            byref(self.struct),
            byref(window.struct),
            best.ctypes.data_as(POINTER(c_uint8)),
            c_int64(threads),
        )
        return best


class Normaliser:
    """Normalise pixel values of 0 to 255 into three maps, as a network was trained to see them."""

    def __init__(self, spec: InputSpec) -> None:
        std, mean = np.array(spec.std) * spec.scale, np.array(spec.mean)
        self._factor, self._shift = (1 / std).astype(np.float32), (-mean / std).astype(np.float32)
        self._flip = spec.channels == "bgr"

    def __call__(self, pixels: NDArray[np.uint8], out: Maps, threads: int = 1) -> None:
        """Normalise an RGB image, shape (height, width, 3)."""
        load_kernels().wsi_seg_normalise(
            np.ascontiguousarray(pixels).ctypes.data_as(POINTER(c_uint8)),
            c_int64(self._flip),
            _pointer(self._factor),
            _pointer(self._shift),
            byref(out.struct),
            c_int64(threads),
        )


def _tile(outputs: int) -> int:
    """Choose how many output channels are computed together, so that few are computed for nothing."""
    sizes = (c_int64 * 16)()
    tiles = sorted(sizes[: load_kernels().wsi_seg_tiles(sizes)])
    return min(tiles, key=lambda tile: (-(-outputs // tile) * (tile + OVERHEAD), -tile))


def _floats(values: Tensor) -> NDArray[np.float32]:
    """Return a contiguous array, with values too small to matter set to zero."""
    return cleared(values).float().contiguous().numpy()


def _pointer(values: NDArray[np.float32]) -> ctypes._Pointer[c_float]:
    return values.ctypes.data_as(POINTER(c_float))


def _reference(maps: Maps | None) -> object:
    return None if maps is None else byref(maps.struct)
