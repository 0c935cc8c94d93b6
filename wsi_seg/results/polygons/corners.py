"""The corners of a coverage's polygons, and the areas that some of them enclose, all polygons at once.

Which corners are kept is told of each point of the rings; the point that closes a ring is its first again,
and what is told of it has no meaning. Compiled kernels do the work where there are any, else numpy, with the
same result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from wsi_seg.results.polygons import compiled, compiled_outlines
from wsi_seg.results.polygons.rings import Rings

if TYPE_CHECKING:
    from numpy.typing import NDArray


def areas(
    rings: Rings, kept: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the area of each polygon that only the corners kept make, exact, and their number.

    Parameters
    ----------
    rings : Rings
    kept : NDArray of bool, shape (points,), optional
        By default all.
    """
    if library := compiled.kernels():
        return compiled_outlines.areas(library, rings, kept)
    corners = Corners.of(rings)
    of_corners = np.ones(len(corners.place), dtype=bool) if kept is None else kept[corners.of_point]
    return corners.area(of_corners), corners.count(of_corners)


def hold(rings: Rings, kept: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep all corners of chosen polygons, and their neighbours' along the borders that they share.

    Parameters
    ----------
    rings : Rings
        A coverage.
    kept : NDArray of bool, shape (points,)
    chosen : NDArray of bool, shape (polygons,)

    Returns
    -------
    NDArray of bool, shape (points,)
        Those kept before among them.
    """
    if library := compiled.kernels():
        after = compiled_outlines.hold(library, rings, kept, chosen)
        if after is not None:
            return after
    corners = Corners.of(rings)
    held = kept.copy()
    held[corners.of_point] |= corners.of_any(chosen)
    return held


def build(
    rings: Rings, kept: NDArray[np.bool_], chosen: NDArray[np.bool_], first_xy: NDArray[np.int32]
) -> Rings:
    """Make chosen polygons of the corners kept, in their order.

    Parameters
    ----------
    rings : Rings
    kept : NDArray of bool, shape (points,)
    chosen : NDArray of bool, shape (polygons,)
    first_xy : NDArray of int32, shape (rings, 2)
        Where each ring begins, at a corner kept.
    """
    if library := compiled.kernels():
        xy, offsets = compiled_outlines.build(library, rings, kept, chosen, first_xy)
        of_polygons = np.append(0, np.cumsum(np.diff(rings.polygon_offsets)[chosen]))
        return Rings(xy.reshape(-1, 2), offsets.astype(np.int64), of_polygons, rings.origin_xy)
    corners = Corners.of(rings)
    return corners.build(kept[corners.of_point], chosen, first_xy)


@dataclass(frozen=True)
class Corners:
    """The corners of polygons, ring by ring, without the point that closes each ring, for numpy.

    In its methods, `kept` tells of each of these corners.

    Attributes
    ----------
    of_point : NDArray of bool, shape (points,)
        Which of the points of the rings these corners are.
    xy : NDArray of int64, shape (n, 2)
        In pixels from `origin_xy`.
    place : NDArray of int64, shape (n,)
        The same as one number, from 0 to `places`: polygons that share a border have corners of one place
        along it.
    ring, owner : NDArray of int64, shape (n,)
        The ring of each corner, among all rings, and its polygon.
    shell : NDArray of int64, shape (polygons,)
        The ring that is each polygon's shell; the others of a polygon are its holes.
    polygons, rings, places : int
        How many there are.
    origin_xy : (int, int)
    """

    of_point: NDArray[np.bool_]
    xy: NDArray[np.int64]
    place: NDArray[np.int64]
    ring: NDArray[np.int64]
    owner: NDArray[np.int64]
    shell: NDArray[np.int64]
    polygons: int
    rings: int
    places: int
    origin_xy: tuple[int, int]

    @classmethod
    def of(cls, rings: Rings) -> Self:
        """Take the corners of polygons; their points lie at `origin_xy` or beyond, right and down."""
        of_point = np.ones(len(rings.xy), dtype=bool)
        of_point[rings.ring_offsets[1:] - 1] = False
        count = len(rings.ring_offsets) - 1
        ring = np.repeat(np.arange(count), np.diff(rings.ring_offsets) - 1)
        xy = rings.xy[of_point].astype(np.int64)
        across, down = (xy.max(axis=0) + 1).tolist()
        return cls(
            of_point=of_point,
            xy=xy,
            place=xy[:, 1] * across + xy[:, 0],
            ring=ring,
            owner=rings.ring_owner[ring],
            shell=rings.polygon_offsets[:-1],
            polygons=len(rings),
            rings=count,
            places=across * down,
            origin_xy=rings.origin_xy,
        )

    def of_any(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which corners lie where chosen polygons have one: along borders, also their neighbours'."""
        there = np.zeros(self.places, dtype=bool)
        there[self.place[chosen[self.owner]]] = True
        return np.asarray(there[self.place])

    def count(self, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count the corners kept of each polygon."""
        return np.bincount(self.owner[kept], minlength=self.polygons)

    def area(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the area of each polygon that only the corners kept make; exact."""
        index = np.flatnonzero(kept)
        local = self.xy[index]
        to = local[_ahead(self.ring[index])]
        twice = local[:, 0] * to[:, 1] - to[:, 0] * local[:, 1]
        enclosed = np.abs(np.bincount(self.ring[index], twice, self.rings)) / 2  # either way round
        whole = np.bincount(np.searchsorted(self.shell, np.arange(self.rings), "right") - 1, enclosed)
        return np.asarray(2 * enclosed[self.shell] - whole)

    def build(
        self, kept: NDArray[np.bool_], chosen: NDArray[np.bool_], first_xy: NDArray[np.integer]
    ) -> Rings:
        """Make chosen polygons of the corners kept, as the function of this name does."""
        index = np.flatnonzero(kept & chosen[self.owner])
        ring = self.ring[index]
        begins = np.flatnonzero(np.diff(ring, prepend=-1))
        length = np.diff(np.append(begins, len(ring)))
        within = np.arange(len(ring)) - np.repeat(begins, length)
        at_first = np.flatnonzero((self.xy[index] == first_xy[ring]).all(axis=1))[::-1]
        start = np.zeros(self.rings, dtype=np.int64)
        start[ring[at_first]] = within[at_first]  # the last one written is the first one met
        turned = np.lexsort(((within - start[ring]) % np.repeat(length, length), ring))
        closed = np.insert(turned, [*begins[1:].tolist(), len(ring)], turned[begins])
        rings_of = np.bincount(self.owner[index][begins], minlength=self.polygons)[chosen]
        return Rings(
            xy=self.xy[index][closed].astype(np.int32),
            ring_offsets=np.append(0, np.cumsum(length + 1)),
            polygon_offsets=np.append(0, np.cumsum(rings_of)),
            origin_xy=self.origin_xy,
        )


def _ahead(ring: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the position of the point ahead of each, in rings that close by themselves."""
    begins = np.flatnonzero(np.diff(ring, prepend=-1))
    ahead = np.arange(1, len(ring) + 1)
    ahead[np.append(begins[1:], len(ring)) - 1] = begins
    return ahead
