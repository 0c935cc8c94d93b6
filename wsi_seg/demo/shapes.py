"""The shapes of the anatomy, and the jittered grids on which they lie.

Each cell of a jittered grid has one object, drawn from a hash of the cell's coordinates. So a block finds the
objects that reach into it without any other block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.demo.noise import noise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.demo.noise import Coordinates, Floats
    from wsi_seg.demo.tissue_layout import Ground

FAR = -400.0
"""Depth far outside a part, in micrometres."""

Window = tuple[slice, slice]
"""Rows and columns of a node grid."""


@dataclass(frozen=True)
class NodeGrid:
    """The nodes on which a block's layout is computed: positions in micrometres, ascending."""

    ground: Ground
    xs: Coordinates
    ys: Coordinates

    @property
    def x(self) -> Coordinates:
        """Positions as a row, shape (1, columns)."""
        return self.xs[None, :]

    @property
    def y(self) -> Coordinates:
        """Positions as a column, shape (rows, 1)."""
        return self.ys[:, None]

    def noise(self, scale: float, name: str) -> Floats:
        """Return one named noise on the nodes."""
        return noise(self.xs, self.ys, scale, self.ground.salt(name))

    def nothing(self) -> Floats:
        """Return depths of a part that is nowhere."""
        return np.full((len(self.ys), len(self.xs)), FAR)

    def within(self, window: Window) -> NodeGrid:
        """Return some of the rows and columns."""
        return NodeGrid(self.ground, self.xs[window[1]], self.ys[window[0]])


@dataclass(frozen=True)
class Blob:
    """An ellipse: centre and semi-axes in micrometres, direction of the first axis in radians."""

    x: float
    y: float
    a: float
    b: float
    angle: float

    def window(self, grid: NodeGrid, reach: float) -> Window:
        """Return the nodes within `reach` micrometres of the ellipse's circle."""
        r = max(self.a, self.b) + reach
        columns = slice(*np.searchsorted(grid.xs, [self.x - r, self.x + r]).tolist())
        rows = slice(*np.searchsorted(grid.ys, [self.y - r, self.y + r]).tolist())
        return rows, columns

    def depth(self, x: Coordinates, y: Coordinates) -> Floats:
        """Depth at positions that broadcast together, in micrometres."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        u, v = (x - self.x) * c + (y - self.y) * s, (y - self.y) * c - (x - self.x) * s
        ellipse = np.sqrt((u / self.a) ** 2 + (v / self.b) ** 2)
        # Divided by the gradient's length, so that walls are equally thick at the ends of long ellipses.
        slope = np.sqrt((u / self.a**2) ** 2 + (v / self.b**2) ** 2) / np.maximum(ellipse, 1e-6)
        return np.asarray((1 - ellipse) / np.maximum(slope, 1 / max(self.a, self.b)))


class Draw:
    """Random numbers of one site of a jittered grid; each name is drawn independently."""

    def __init__(self, ground: Ground, site: str) -> None:
        self._ground, self._site = ground, site

    def __call__(self, name: str, low: float = 0.0, high: float = 1.0) -> float:
        """Draw one number between `low` and `high`."""
        return low + (high - low) * self._ground.salt(f"{self._site}/{name}") / 2**32

    def blob(
        self, x: float, y: float, a: tuple[float, float], b: tuple[float, float], name: str = ""
    ) -> Blob:
        """Draw an ellipse at a place, with semi-axes from ranges, in any direction."""
        return Blob(x, y, self(f"a{name}", *a), self(f"b{name}", *b), self(f"angle{name}", 0, np.pi))


@dataclass(frozen=True)
class Sites:
    """A jittered grid: one site a cell of `spacing` micrometres, its objects within `reach` of the site."""

    name: str
    spacing: float
    reach: float

    def near(self, grid: NodeGrid) -> Iterator[tuple[float, float, Draw]]:
        """Yield x, y and a `Draw` of each site within reach of the nodes."""
        columns = range(*self._cells(grid.xs))
        for row in range(*self._cells(grid.ys)):
            for column in columns:
                draw = Draw(grid.ground, f"{self.name}/{column}/{row}")
                x = (column + draw("x", 0.12, 0.88)) * self.spacing
                y = (row + draw("y", 0.12, 0.88)) * self.spacing
                yield x, y, draw

    def _cells(self, positions: Coordinates) -> tuple[int, int]:
        low, high = positions[0] - self.reach, positions[-1] + self.reach
        return int(np.floor(low / self.spacing)), int(np.floor(high / self.spacing)) + 1
