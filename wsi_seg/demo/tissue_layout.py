"""The parts of the tissue, and the depth of each place in each of them.

A *depth* is roughly the distance in micrometres to the border of a part, positive inside. Depths are computed
on nodes with a distance of `NODE_UM` (`anatomy`), and interpolated to pixels and to the centres of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.demo.noise import interpolate, linear_weights, salted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.demo.noise import Coordinates, Floats

NODE_UM = 4.0
"""Distance of the layout's nodes in micrometres."""


class Part(IntEnum):
    """Parts of the tissue in the order in which they cover each other; normal stroma lies beneath all."""

    FAT = 0
    DESMOPLASIA = 1
    NEST = 2
    LOBULE = 3
    VESSEL_WALL = 4
    VESSEL_LUMEN = 5
    BLOOD = 6
    BENIGN = 7
    IN_SITU = 8
    LUMEN = 9
    SECRETION = 10
    NECROSIS = 11
    GLASS = 12


CLASS_OF_PART = {
    Part.FAT: 0,
    Part.DESMOPLASIA: 4,
    Part.NEST: 2,
    Part.LOBULE: 3,
    Part.VESSEL_WALL: 3,
    Part.VESSEL_LUMEN: 0,
    Part.BLOOD: 6,
    Part.BENIGN: 1,
    Part.IN_SITU: 2,
    Part.LUMEN: 0,
    Part.SECRETION: 5,
    Part.NECROSIS: 7,
    Part.GLASS: 0,
}
"""Id of each part in the class schema ``breast-biopsy``. Fat and empty lumina are Background, as in the
published data set of that schema."""

NORMAL_STROMA = 3


@dataclass(frozen=True)
class Ground:
    """The values from which the layout is drawn.

    Attributes
    ----------
    seed : int
        Seed of the slide.
    width_um, height_um : float
        Size of the slide in micrometres.
    tissue_everywhere : bool
        Whether there is no glass around the tissue.
    """

    seed: int
    width_um: float
    height_um: float
    tissue_everywhere: bool

    def salt(self, purpose: str) -> int:
        """Return the salt of one purpose."""
        return salted(self.seed, purpose)

    def trait(self, name: str, low: float, high: float) -> float:
        """Draw a number for the whole slide."""
        return low + (high - low) * self.salt(f"trait/{name}") / 2**32


@dataclass(frozen=True)
class Layout:
    """Depth of each part that occurs, and the phase of the collagen fibres.

    All arrays have one shape: nodes (rows, columns), pixels (height, width) or points (n,).
    """

    depth: dict[Part, Floats]
    phase: Floats

    def labels(self) -> NDArray[np.uint8]:
        """Return the class of each position: that of its topmost part."""
        labels = np.full(self.phase.shape, NORMAL_STROMA, np.uint8)
        for part in Part:
            if part in self.depth:
                np.copyto(labels, np.uint8(CLASS_OF_PART[part]), where=self.depth[part] > 0)
        return labels

    def topmost(self) -> NDArray[np.int8]:
        """Return the topmost `Part` at each position, -1 in bare stroma."""
        top = np.full(self.phase.shape, -1, np.int8)
        for part in Part:
            if part in self.depth:
                np.copyto(top, np.int8(part), where=self.depth[part] > 0)
        return top


@dataclass(frozen=True)
class NodeLayout:
    """The layout on the nodes around a block, ready to be interpolated to pixels or points.

    Attributes
    ----------
    layout : Layout
        On the nodes, shape (rows, columns).
    first : (int, int)
        Column and row of the first node, counted from the slide's corner.
    """

    layout: Layout
    first: tuple[int, int]

    def at_pixels(self, xs: Coordinates, ys: Coordinates) -> Layout:
        """Interpolate to the grid that `xs` and `ys` (micrometres) span."""
        rows, columns = self.layout.phase.shape
        across = linear_weights(xs / NODE_UM, self.first[0], columns)
        down = linear_weights(ys / NODE_UM, self.first[1], rows)
        depth = {part: interpolate(field, down, across) for part, field in self.layout.depth.items()}
        return Layout(depth, interpolate(self.layout.phase, down, across))

    def at_points(self, x: Coordinates, y: Coordinates) -> Layout:
        """Interpolate to points, shape (n,), in micrometres."""
        return Layout(
            {part: self.sample(field, x, y) for part, field in self.layout.depth.items()},
            self.sample(self.layout.phase, x, y),
        )

    def sample(self, field: Floats, x: Coordinates, y: Coordinates) -> Floats:
        """Interpolate one field, given on the nodes, to points."""
        u, v = x / NODE_UM, y / NODE_UM
        column, row = np.floor(u), np.floor(v)
        fu, fv = (u - column).astype(np.float32), (v - row).astype(np.float32)
        i, j = column.astype(np.int64) - self.first[0], row.astype(np.int64) - self.first[1]
        top = field[j, i] * (1 - fu) + field[j, i + 1] * fu
        bottom = field[j + 1, i] * (1 - fu) + field[j + 1, i + 1] * fu
        return np.asarray(top * (1 - fv) + bottom * fv)

    def gradient(self, field: Floats, x: Coordinates, y: Coordinates) -> tuple[Floats, Floats]:
        """Direction, as a unit vector (x, y), in which a field grows at points."""
        step = NODE_UM / 2
        gx = self.sample(field, x + step, y) - self.sample(field, x - step, y)
        gy = self.sample(field, x, y + step) - self.sample(field, x, y - step)
        length = np.maximum(np.hypot(gx, gy), np.float32(1e-6))
        return gx / length, gy / length
