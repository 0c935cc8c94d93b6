"""Polygons as plain arrays: the rings of many of them, one after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Rings:
    """The closed rings of polygons, whose corners are whole numbers.

    Attributes
    ----------
    xy : NDArray of int32, shape (points, 2)
        In pixels from `origin_xy`; the last point of each ring is its first again.
    ring_offsets : NDArray of int64, shape (rings + 1,)
        Where each ring begins among the points, and where the last one ends.
    polygon_offsets : NDArray of int64, shape (polygons + 1,)
        Where each polygon begins among the rings, with its shell.
    origin_xy : (int, int)
    """

    xy: NDArray[np.int32]
    ring_offsets: NDArray[np.int64]
    polygon_offsets: NDArray[np.int64]
    origin_xy: tuple[int, int]

    def __len__(self) -> int:
        return len(self.polygon_offsets) - 1

    @classmethod
    def of(cls, polygons: NDArray[np.object_], origin_xy: tuple[int, int]) -> Self:
        """Take polygons apart."""
        _, xy, (ring_offsets, polygon_offsets) = shapely.to_ragged_array(polygons)
        relative = (xy - origin_xy).astype(np.int32)
        return cls(relative, ring_offsets.astype(np.int64), polygon_offsets.astype(np.int64), origin_xy)

    def polygons(self) -> NDArray[np.object_]:
        """Return them as shapely Polygons."""
        offsets = (self.ring_offsets, self.polygon_offsets)
        xy = self.xy + np.array(self.origin_xy, dtype=np.float64)
        return np.asarray(shapely.from_ragged_array(shapely.GeometryType.POLYGON, xy, offsets))

    @property
    def point_offsets(self) -> NDArray[np.int64]:
        """Where each polygon begins among the points, and where the last one ends."""
        return np.asarray(self.ring_offsets[self.polygon_offsets])

    @property
    def points(self) -> NDArray[np.int64]:
        """How many points each polygon has, those that close its rings included."""
        return np.diff(self.point_offsets)

    @property
    def ring_owner(self) -> NDArray[np.int64]:
        """The polygon of each ring."""
        return np.repeat(np.arange(len(self)), np.diff(self.polygon_offsets))

    def area(self) -> NDArray[np.float64]:
        """Return the area of each polygon; exact."""
        if not len(self):
            return np.zeros(0)
        x, y = self.xy.astype(np.int64).T
        twice = np.zeros(len(x), dtype=np.int64)
        twice[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
        twice[self.ring_offsets[1:] - 1] = 0  # from one ring to the next
        enclosed = np.abs(np.add.reduceat(twice, self.ring_offsets[:-1]))  # either way round
        holes = np.add.reduceat(enclosed, self.polygon_offsets[:-1])
        return np.asarray((2 * enclosed[self.polygon_offsets[:-1]] - holes) / 2)

    def length(self) -> NDArray[np.float64]:
        """Return the length of each polygon's outlines."""
        if not len(self):
            return np.zeros(0)
        step = np.zeros((len(self.xy), 2), dtype=np.int32)
        step[:-1] = self.xy[1:] - self.xy[:-1]
        step[self.ring_offsets[1:] - 1] = 0
        along = np.hypot(step[:, 0], step[:, 1])
        return np.asarray(np.add.reduceat(along, self.point_offsets[:-1]))

    def replaced(self, chosen: NDArray[np.bool_], others: Rings) -> Rings:
        """Return the same with chosen polygons replaced by others, in turn, of as many rings each."""
        of_others = chosen[self.ring_owner]
        length, begin = np.diff(self.ring_offsets), self.ring_offsets[:-1].copy()
        length[of_others] = np.diff(others.ring_offsets)
        begin[of_others] = others.ring_offsets[:-1] + len(self.xy)
        offsets = np.append(0, np.cumsum(length))
        index = np.arange(offsets[-1]) + np.repeat(begin - offsets[:-1], length)
        xy = np.concatenate([self.xy, others.xy])[index]
        return Rings(xy, offsets, self.polygon_offsets, self.origin_xy)

    def only(self, chosen: NDArray[np.bool_]) -> Rings:
        """Return chosen polygons."""
        of_chosen = chosen[self.ring_owner]
        length = np.diff(self.ring_offsets)
        return Rings(
            xy=self.xy[np.repeat(of_chosen, length)],
            ring_offsets=np.append(0, np.cumsum(length[of_chosen])),
            polygon_offsets=np.append(0, np.cumsum(np.diff(self.polygon_offsets)[chosen])),
            origin_xy=self.origin_xy,
        )
