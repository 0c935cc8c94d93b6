"""Cells as ellipses with a profile, and their drawing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.demo.noise import Coordinates, Floats

CELL_REACH = 12.0
"""Largest distance from its centre at which a cell is drawn, in micrometres."""


@dataclass(frozen=True)
class Cells:
    """Ellipses with a profile; all arrays have shape (n,).

    Attributes
    ----------
    x, y : ndarray
        Centres in micrometres.
    a, b : ndarray
        Semi-axes in micrometres.
    cos, sin : ndarray
        Direction of the first axis.
    strength : ndarray
        Amount of dye at the rim.
    hollow : ndarray
        Share of the dye that is missing in the middle: 0 for smudged, 0.6 for vesicular nuclei.
    nucleolus : ndarray
        Amount of dye added in a spot.
    lump : ndarray
        Deviation of the outline from an ellipse, 0 to 0.3.
    """

    x: Coordinates
    y: Coordinates
    a: Floats
    b: Floats
    cos: Floats
    sin: Floats
    strength: Floats
    hollow: Floats
    nucleolus: Floats
    lump: Floats

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Cells:
        """Return some of the cells."""
        return Cells(*(getattr(self, f.name)[index] for f in fields(self)))


def join(groups: list[Cells]) -> Cells:
    """Return all cells of several groups; there must be at least one group."""
    return Cells(*(np.concatenate([getattr(g, f.name) for g in groups]) for f in fields(Cells)))


def draw_cells(canvas: Floats, cells: Cells, first_xy: tuple[int, int], mpp: float) -> None:
    """Draw cells onto a canvas of dye; where they overlap, the darker one counts.

    Parameters
    ----------
    canvas : ndarray, shape (height, width), float32
        Amount of dye, changed in place.
    cells : Cells
        The cells to draw.
    first_xy : (int, int)
        Column and row of the canvas's first pixel in the slide.
    mpp : float
        Micrometres per pixel.
    """
    reach = np.minimum(np.maximum(cells.a, cells.b) * np.float32(1.15) + np.float32(mpp), CELL_REACH)
    sizes = np.ceil(reach / mpp).astype(np.int64)
    for size in np.unique(sizes):
        _draw_equal(canvas, cells.take(sizes == size), int(size), first_xy, mpp)


def _draw_equal(canvas: Floats, cells: Cells, size: int, first_xy: tuple[int, int], mpp: float) -> None:
    """Draw cells that fit in squares of ``2 size + 1`` pixels."""
    height, width = canvas.shape
    offsets = np.arange(-size, size + 1)
    columns = np.floor(cells.x / mpp).astype(np.int64)[:, None] + offsets
    rows = np.floor(cells.y / mpp).astype(np.int64)[:, None] + offsets
    dx = ((columns + 0.5) * mpp - cells.x[:, None]).astype(np.float32)[:, None, :]
    dy = ((rows + 0.5) * mpp - cells.y[:, None]).astype(np.float32)[:, :, None]
    cos, sin = cells.cos[:, None, None], cells.sin[:, None, None]
    u = (dx * cos + dy * sin) / cells.a[:, None, None]
    v = (dy * cos - dx * sin) / cells.b[:, None, None]
    columns, rows = columns - first_xy[0], rows - first_xy[1]
    on_canvas = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    cell, j, i = np.nonzero((u * u + v * v < 1.9) & on_canvas)
    u, v = u[cell, j, i], v[cell, j, i]
    flat = rows[cell, j] * width + columns[cell, i]
    np.maximum.at(canvas.reshape(-1), flat, _profile(cells, cell, u, v, mpp))


def _profile(cells: Cells, cell: NDArray[np.int64], u: Floats, v: Floats, mpp: float) -> Floats:
    """Amount of dye at points of cells, given in units of the semi-axes."""
    square = u * u + v * v
    outline = square + cells.lump[cell] * u * (u * u - 3 * v * v)
    softness = np.float32(max(0.7, 0.9 * mpp))
    edge = (1 - np.sqrt(np.maximum(outline, 0))) * (cells.b[cell] / softness) + np.float32(0.5)
    cover = np.clip(edge, 0, 1)
    dye = cells.strength[cell] * (1 - cells.hollow[cell] * np.clip(1 - square, 0, 1))
    spot = 1 - ((u - np.float32(0.2)) ** 2 + (v + np.float32(0.15)) ** 2) / np.float32(0.07)
    return np.asarray(cover * (dye + cells.nucleolus[cell] * np.clip(spot, 0, 1)))
