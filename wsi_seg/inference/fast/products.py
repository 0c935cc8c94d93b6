"""Convolutions by AMX for the kernels; ``inference/fast/layers/products.cpp`` says how they compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.inference.fast.kernels import Convolution, Kernel, Sizes, floats
from wsi_seg.inference.fast.maps import Maps, Sheet
from wsi_seg.inference.fast.program import Program, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

SIDE = 16
"""Of a tile: pixels, or outputs, and pairs of inputs."""


def nearest(values: Floats) -> Floats:
    """Return the nearest numbers of bfloat16; of two, the even one."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)


class Split(Kernel):
    """Splits maps for `Products`: pixel by pixel, pairs of bfloat16.

    Parameters
    ----------
    inputs : int
        Channels.
    """

    def __init__(self, inputs: int) -> None:
        pairs = _pairs(inputs)
        self._lines = _tiles(2 * pairs)
        nothing = np.zeros(1, np.float32)
        super().__init__(nothing, nothing, (), Sizes(1, 1, 1, inputs, pairs, SIDE))

    def __call__(self, program: Program, source: Maps, reach: int) -> Maps:
        """Add the step, unless the maps are split already and unchanged since, and return what it writes."""
        for step in reversed(program.steps):
            split = step.out if step.kind == "split" and step.source == source else None
            if split is not None and reach <= split.sheet.reach:
                return split
            if any(written.meets(source) for written in step.writes):
                break
        sheet = Sheet(self._lines * SIDE, source.stride, reach, by_pixel=True)
        out = Maps(sheet, 0, sheet.channels)
        program.add(Step("split", self, source, out))
        return out


class Products(Convolution):
    """Convolutions of one split map: otherwise the same, with the same parameters."""

    kind = "multiply"

    @staticmethod
    def _lay_out(weights: Floats, stride: int) -> tuple[Floats, Sizes]:
        branches, outputs, inputs, size, _ = weights.shape
        return _in_tiles(floats(weights)), Sizes(size**2, stride, branches, _pairs(inputs), outputs, SIDE)

    def prepared(self, program: Program, source: Maps, reach: int) -> Maps:
        """Add a step that splits some maps, and return the split map, of which `reach` pixels are read."""
        return Split(source.channels)(program, source, reach)


def _pairs(inputs: int) -> int:
    return -(-inputs // 2)


def _tiles(count: int) -> int:
    return -(-count // SIDE)


def _in_tiles(weights: Floats) -> Floats:
    """Lay weights, shape (branches, outputs, inputs, size, size), out in tiles, as they are used in turn.

    For each 16 outputs, branch, tap and line of a split pixel: what multiplies it in the first turn, and if
    nearest values are in it, in the second.
    """
    branches, outputs, inputs, size, _ = weights.shape
    taps = size * size
    pairs = _pairs(inputs)
    lines, near = _tiles(2 * pairs), _tiles(pairs)
    filled = np.zeros((branches, _tiles(outputs) * SIDE, 2 * pairs, taps), np.float32)
    filled[:, :outputs, :inputs] = weights.reshape(branches, outputs, inputs, taps)
    first = nearest(filled)
    # By words: the first turn multiplies nearest values and what is missing, the second nearest values alone.
    turns = np.zeros((2, *filled.shape[:2], lines * 2 * SIDE, taps), np.float32)
    turns[0, :, :, : 4 * pairs] = np.concatenate([first, first], axis=2)
    turns[1, :, :, : 2 * pairs] = nearest(filled - first)
    words = (turns.view(np.uint32) >> 16).astype(np.uint16)
    # (turn, branch, tile, output, line, word, half, tap)
    # -> (tile, branch, tap, line, turn, word, output, half)
    words = words.reshape(2, branches, -1, SIDE, lines, SIDE, 2, taps).transpose(2, 1, 7, 4, 0, 5, 3, 6)
    each = [words[:, :, :, line, turn] for line in range(lines) for turn in range(1 + (line < near))]
    return _aligned(np.stack(each, axis=3).ravel().view(np.float32))


def _aligned(values: Floats) -> Floats:
    """Return an array that begins with a cache line: tiles across lines take six times as long to load."""
    memory = np.empty(len(values) + SIDE, np.float32)
    start = -memory.ctypes.data // memory.itemsize % SIDE
    memory[start : start + len(values)] = values
    return memory[start : start + len(values)]
