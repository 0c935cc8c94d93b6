"""The corners of a coverage's polygons, and the areas that some of them enclose, all polygons at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import shapely

from wsi_seg.results.polygons.tracing import packed

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Corners:
    """The corners of polygons, ring by ring, without the point that closes each ring.

    Attributes
    ----------
    xy : NDArray of float64, shape (n, 2)
        Whole numbers.
    place : NDArray of int64, shape (n,)
        The same as one number: polygons that share a border have corners of one place along it.
    ring, owner : NDArray of int64, shape (n,)
        The ring of each corner, among all rings, and its polygon.
    shell : NDArray of int64, shape (polygons,)
        The ring that is each polygon's shell; the others of a polygon are its holes.
    polygons, rings : int
        How many there are.
    """

    xy: NDArray[np.float64]
    place: NDArray[np.int64]
    ring: NDArray[np.int64]
    owner: NDArray[np.int64]
    shell: NDArray[np.int64]
    polygons: int
    rings: int

    @classmethod
    def of(cls, polygons: NDArray[np.object_]) -> Self:
        """Take polygons apart."""
        _, xy, (ring_offsets, polygon_offsets) = shapely.to_ragged_array(polygons)
        is_open = np.ones(len(xy), dtype=bool)
        is_open[ring_offsets[1:] - 1] = False
        ring = np.repeat(np.arange(len(ring_offsets) - 1), np.diff(ring_offsets))
        owner = np.repeat(np.arange(len(polygons)), np.diff(polygon_offsets))[ring]
        return cls(
            xy=xy[is_open],
            place=packed(xy[is_open]),
            ring=ring[is_open],
            owner=owner[is_open],
            shell=polygon_offsets[:-1],
            polygons=len(polygons),
            rings=len(ring_offsets) - 1,
        )

    def among(self, others: Corners) -> NDArray[np.bool_]:
        """Return which corners others have too, in the polygon of the same number."""
        # Places are distinguished by their rank: two numbers of 32 bits and a polygon's do not fit into one.
        places, rank = np.unique(np.concatenate([self.place, others.place]), return_inverse=True)
        key = np.concatenate([self.owner, others.owner]) * len(places) + rank
        return np.isin(key[: len(self.place)], key[len(self.place) :])

    def of_any(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which corners lie where chosen polygons have one: along borders, also their neighbours'."""
        return np.isin(self.place, self.place[chosen[self.owner]])

    def count(self, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count the corners kept of each polygon."""
        return np.bincount(self.owner[kept], minlength=self.polygons)

    def area(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the area of each polygon that only the corners kept make; exact."""
        index = np.flatnonzero(kept)
        local = self.xy[index] - self.xy[0]  # so that no sum outgrows what float64 holds exactly
        to = local[_ahead(self.ring[index])]
        twice = local[:, 0] * to[:, 1] - to[:, 0] * local[:, 1]
        enclosed = np.abs(np.bincount(self.ring[index], twice, self.rings)) / 2  # either way round
        whole = np.bincount(np.searchsorted(self.shell, np.arange(self.rings), "right") - 1, enclosed)
        return np.asarray(2 * enclosed[self.shell] - whole)

    def build(
        self, kept: NDArray[np.bool_], chosen: NDArray[np.int64], first: NDArray[np.int64]
    ) -> NDArray[np.object_]:
        """Make chosen polygons of the corners kept.

        Parameters
        ----------
        kept : NDArray of bool, shape (n,)
        chosen : NDArray of int64, shape (m,)
            Polygons, in rising order.
        first : NDArray of int64, shape (rings,)
            The place that each ring begins at, one of a corner kept.
        """
        index = np.flatnonzero(kept & np.isin(self.owner, chosen))
        ring = self.ring[index]
        begins = np.flatnonzero(np.diff(ring, prepend=-1))
        length = np.diff(np.append(begins, len(ring)))
        within = np.arange(len(ring)) - np.repeat(begins, length)
        at_first = np.flatnonzero(self.place[index] == first[ring])[::-1]
        start = np.zeros(self.rings, dtype=np.int64)
        start[ring[at_first]] = within[at_first]  # the last one written is the first one met
        turned = np.lexsort(((within - start[ring]) % np.repeat(length, length), ring))
        closed = np.insert(turned, [*begins[1:].tolist(), len(ring)], turned[begins])
        rings_of = np.bincount(self.owner[index][begins], minlength=self.polygons)[chosen]
        offsets = np.append(0, np.cumsum(length + 1)), np.append(0, np.cumsum(rings_of))
        made: NDArray[np.object_] = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, self.xy[index][closed], offsets
        )
        return made


def _ahead(ring: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the position of the point ahead of each, in rings that close by themselves."""
    begins = np.flatnonzero(np.diff(ring, prepend=-1))
    ahead = np.arange(1, len(ring) + 1)
    ahead[np.append(begins[1:], len(ring)) - 1] = begins
    return ahead
