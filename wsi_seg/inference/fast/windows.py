"""Which pixels each step of a network computes, so that those that are wanted come out right."""

from __future__ import annotations

from ctypes import POINTER, Structure, c_int32, c_int64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.inference.fast.maps import Maps
    from wsi_seg.inference.fast.program import Program, Step

CELL = 16
"""Side of the squares that an image is divided into, in pixels."""


@dataclass(frozen=True)
class Windows:
    """Where a class is wanted, and what the network may look at, by cells of `CELL` x `CELL` pixels.

    Attributes
    ----------
    wanted : bool array, shape (rows of cells, columns)
        Cells whose classes are wanted. This has no effect on their classes.
    seen : bool array of the same shape
        Cells that the network looks at, those wanted among them. Outside of them all maps are zero, as they
        are outside of the image.
    """

    wanted: NDArray[np.bool_]
    seen: NDArray[np.bool_]

    @classmethod
    def inside(cls, height: int, width: int, margin: int) -> Windows:
        """Want all pixels of an image but a margin, and see all."""
        wanted = np.zeros((-(-height // CELL), -(-width // CELL)), dtype=np.bool_)
        rows, columns = (slice(margin // CELL, -(-(size - margin) // CELL)) for size in (height, width))
        wanted[rows, columns] = True
        return cls(wanted, np.ones_like(wanted))

    def emptied(self) -> Windows:
        """Return windows of the same size in which nothing is wanted."""
        return Windows(np.zeros_like(self.wanted), self.seen)


def in_cells(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the cells that hold any pixel of a mask."""
    height, width = pixels.shape
    rows = np.pad(pixels, ((0, -height % CELL), (0, -width % CELL))).reshape(-1, CELL, width + -width % CELL)
    across: NDArray[np.bool_] = np.logical_or.reduce(rows, axis=1).reshape(len(rows), -1, CELL)
    found: NDArray[np.bool_] = np.logical_or.reduce(across, axis=2)
    return found


def grown(cells: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return cells and all that lie within `reach` cells of them, corners included."""
    for axis in (0, 1):
        left, size = reach, 1  # `size` is what one cell has grown to
        cells = np.moveaxis(cells, axis, 0).copy()
        while left:
            step = min(left, size)
            wider = cells.copy()
            wider[step:] |= cells[:-step]
            wider[:-step] |= cells[step:]
            cells, left, size = wider, left - step, size + 2 * step
        cells = np.moveaxis(cells, 0, axis)
    return cells


def needed(program: Program, windows: Windows) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return, for each step, the cells to compute and those to set to zero.

    A step's result is needed where a later step that is computed reads it. Where it is needed and not seen,
    it is zero.
    """
    read: list[tuple[Maps, NDArray[np.bool_]]] = []
    found = []
    for step in reversed(program.steps):
        wanted = _wanted(step, read, windows)
        throughout = all(maps.sheet.seen_throughout for maps in step.writes) and step.writes
        seen = wanted if throughout else wanted & windows.seen
        read += [(maps, grown(seen, -(-reach * maps.stride // CELL))) for maps, reach in step.reads]
        found.append((seen, wanted & ~seen))
    return found[::-1]


def _wanted(step: Step, read: list[tuple[Maps, NDArray[np.bool_]]], windows: Windows) -> NDArray[np.bool_]:
    """Return where later steps read what a step writes; of what none reads, all that is wanted."""
    later = [cells for maps, cells in read if any(maps.meets(written) for written in step.writes)]
    return np.logical_or.reduce(later) if later else windows.wanted


class SpansStruct(Structure):
    """Spans as the kernels take them."""

    _fields_ = (("band", c_int64), ("first", POINTER(c_int32)), ("spans", POINTER(c_int32)))


@dataclass(frozen=True)
class Spans:
    """The pixels of some cells, row by row of cells.

    Attributes
    ----------
    band : int
        Pixels of a cell along each side.
    first : int32 array
        For each row of cells, the number of its first span; one more at the end.
    ends : int32 array, shape (spans, 2)
        The column of the first pixel of each, and that after its last.
    """

    band: int
    first: NDArray[np.int32]
    ends: NDArray[np.int32]

    @classmethod
    def of(cls, cells: NDArray[np.bool_], stride: int, width: int) -> Spans:
        """Find the spans of cells on a map of a width, with `stride` image pixels per pixel."""
        band = CELL // stride
        edges = np.diff(np.pad(cells.view(np.int8), ((0, 0), (1, 1))), axis=1)
        rows, begin = np.nonzero(edges == 1)
        end = np.nonzero(edges == -1)[1]
        ends = np.stack([begin, end], axis=1) * band
        first = np.searchsorted(rows, np.arange(len(cells) + 1))
        return cls(band, first.astype(np.int32), np.minimum(ends, width).astype(np.int32))

    @property
    def struct(self) -> SpansStruct:
        """Return the spans as the kernels take them; they must be kept as long as it is used."""
        pointers = (a.ctypes.data_as(POINTER(c_int32)) for a in (self.first, self.ends))
        return SpansStruct(self.band, *pointers)
