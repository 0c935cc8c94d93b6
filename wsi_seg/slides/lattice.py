"""The global patch lattice: pure arithmetic on the label frame, no pixels and no files.

A *patch* is what the network sees: a square *core* with a *halo* around it. Cores tile the label frame from
its origin, so each label pixel belongs to exactly one core, and its class is decided by that core's patch
alone. A *region* is a whole square of cores; it owns its part of the label array and nothing else, which is
why regions can be computed by anyone, in any order, any number of times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

ALIGNMENT = 32
"""Cores are multiples of twice this, so they start at the same place of every stride that networks have, and
cut evenly into storage chunks. Halos are multiples of this, but of networks that take one size only."""


@dataclass(frozen=True, order=True)
class Rect:
    """A rectangle of whole pixels: ``x0 <= x < x1``, ``y0 <= y < y1``, in the frame its owner names."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.y1 - self.y0

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this rectangle in a (height, width) array of the same frame."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def padded(self, margin: int) -> Rect:
        """Return this rectangle grown by `margin` pixels on every side."""
        return Rect(self.y0 - margin, self.x0 - margin, self.y1 + margin, self.x1 + margin)

    def clipped(self, width: int, height: int) -> Rect:
        """Return the part of this rectangle inside ``(0, 0, width, height)``."""
        x0, x1 = (min(max(x, 0), width) for x in (self.x0, self.x1))
        y0, y1 = (min(max(y, 0), height) for y in (self.y0, self.y1))
        return Rect(y0, x0, y1, x1)

    def intersection(self, other: Rect) -> Rect:
        """Return the part of this rectangle inside `other`, of no area where they do not meet."""
        y0, x0 = max(self.y0, other.y0), max(self.x0, other.x0)
        return Rect(y0, x0, max(y0, min(self.y1, other.y1)), max(x0, min(self.x1, other.x1)))

    def in_cells(self, side: int) -> Rect:
        """Return the cells of `side` x `side` pixels, counted from the frame's origin, that this meets."""
        return Rect(self.y0 // side, self.x0 // side, -(-self.y1 // side), -(-self.x1 // side))

    def relative_to(self, other: Rect) -> Rect:
        """Return this rectangle in coordinates whose origin is the top-left corner of `other`."""
        return Rect(self.y0 - other.y0, self.x0 - other.x0, self.y1 - other.y0, self.x1 - other.x0)


@dataclass(frozen=True)
class Lattice:
    """Cores, halos and regions over a label frame.

    Parameters
    ----------
    width, height : int
        Size of the label frame in label pixels.
    patch : int
        Side of a patch, halos included.
    halo : int
        Pixels of context on each side of a core, less than half a patch: what is left is a multiple of 64.
    region_cores : int
        Cores along one side of a region.
    around_tissue : int or None
        How far from tissue the network looks, in label pixels; None for everywhere in a patch.

    Raises
    ------
    UsageError
        If the sizes do not fit together.
    """

    width: int
    height: int
    patch: int
    halo: int
    region_cores: int
    around_tissue: int | None = None

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise UsageError(f"a label frame of {self.width} x {self.height} pixels has nothing to segment")
        if self.halo < 0 or 2 * self.halo >= self.patch:
            raise UsageError(
                f"a halo of {self.halo} pixels leaves no core in a patch of {self.patch}: "
                "use a larger --patch or a smaller --overlap"
            )
        if self.core % (2 * ALIGNMENT):
            raise UsageError(
                f"a core of {self.core} px, in a patch of {self.patch} with a halo of {self.halo}, does not "
                f"fit: it must be a multiple of {2 * ALIGNMENT}"
            )
        if self.region_cores < 1:
            raise UsageError(f"a region of {self.region_cores} cores does not fit: use 1 or more")

    @property
    def core(self) -> int:
        """Side of a core in label pixels."""
        return self.patch - 2 * self.halo

    @property
    def region(self) -> int:
        """Side of a region in label pixels."""
        return self.core * self.region_cores

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Number of regions down and across."""
        return -(-self.height // self.region), -(-self.width // self.region)

    def __len__(self) -> int:
        rows, columns = self.grid_shape
        return rows * columns

    def regions(self) -> Iterator[Region]:
        """Yield every region, row by row."""
        rows, columns = self.grid_shape
        for row in range(rows):
            for column in range(columns):
                yield Region(self, row, column)


@dataclass(frozen=True)
class Region:
    """One region of a lattice: row `row` from the top, column `column` from the left."""

    lattice: Lattice
    row: int
    column: int

    @property
    def name(self) -> str:
        """Stable name of the region within its lattice."""
        return f"{self.row}-{self.column}"

    @property
    def label_rect(self) -> Rect:
        """The label pixels that this region owns, cut off at the end of the label frame."""
        side = self.lattice.region
        full = Rect(self.row * side, self.column * side, (self.row + 1) * side, (self.column + 1) * side)
        return full.clipped(self.lattice.width, self.lattice.height)

    def patches(self) -> Iterator[Patch]:
        """Yield the region's patches whose core holds a pixel of the label frame, row by row."""
        owned = self.label_rect
        core = self.lattice.core
        for y0 in range(owned.y0, owned.y1, core):
            for x0 in range(owned.x0, owned.x1, core):
                whole_core = Rect(y0, x0, y0 + core, x0 + core)
                yield Patch(
                    core=whole_core.clipped(self.lattice.width, self.lattice.height),
                    rect=whole_core.padded(self.lattice.halo),
                )


@dataclass(frozen=True)
class Patch:
    """One patch.

    Attributes
    ----------
    core : Rect
        The label pixels that this patch decides, cut off at the end of the label frame.
    rect : Rect
        What the network sees, in label pixels; always `patch` pixels square, and may reach outside the
        frame, where the image is mirrored.
    """

    core: Rect
    rect: Rect
