"""Coordinates of outlines as GeoJSON writes them, of many outlines at once.

Compiled kernels write them where there are any, else orjson, to the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
import orjson
import shapely

from wsi_seg.results.polygons import compiled, compiled_outlines

if TYPE_CHECKING:
    from numpy.typing import NDArray

POLYGON = int(shapely.GeometryType.POLYGON)


@dataclass(frozen=True)
class OutlinePoints:
    """The points of outlines, Polygons and MultiPolygons, one after another.

    Attributes
    ----------
    xy : NDArray of float64, shape (points, 2)
        In the outlines' own frame; the last point of each ring is its first again.
    ring_offsets : NDArray of int64, shape (rings + 1,)
        Where each ring begins among the points, and where the last one ends.
    part_offsets : NDArray of int64, shape (parts + 1,)
        Where each part begins among the rings, with its shell.
    outline_offsets : NDArray of int64, shape (outlines + 1,)
        Where each outline begins among the parts. An empty one has none.
    several : NDArray of bool, shape (outlines,)
        Which are MultiPolygons.
    """

    xy: NDArray[np.float64]
    ring_offsets: NDArray[np.int64]
    part_offsets: NDArray[np.int64]
    outline_offsets: NDArray[np.int64]
    several: NDArray[np.bool_]

    @classmethod
    def of(cls, outlines: NDArray[np.object_]) -> Self:
        """Take outlines apart."""
        points = shapely.get_num_coordinates(outlines)
        is_polygon = shapely.get_type_id(outlines) == POLYGON
        # To look at rings makes an object of each, and most outlines are one ring.
        simple = is_polygon & (shapely.get_num_interior_rings(outlines) == 0) & (points > 0)
        rest = ~simple & (points > 0)
        parts, rest_of_part = shapely.get_parts(outlines[rest], return_index=True)
        rings, part_of_ring = shapely.get_rings(parts, return_index=True)

        parts_of = simple.astype(np.int64)
        parts_of[rest] = np.bincount(rest_of_part, minlength=int(rest.sum()))
        of_rest = np.repeat(rest, parts_of)
        rings_of = np.ones(len(of_rest), dtype=np.int64)
        rings_of[of_rest] = np.bincount(part_of_ring, minlength=len(parts))
        of_rest = np.repeat(of_rest, rings_of)
        points_of = np.empty(len(of_rest), dtype=np.int64)
        points_of[~of_rest] = points[simple]
        points_of[of_rest] = shapely.get_num_coordinates(rings)
        return cls(
            xy=shapely.get_coordinates(outlines),
            ring_offsets=np.append(0, np.cumsum(points_of)),
            part_offsets=np.append(0, np.cumsum(rings_of)),
            outline_offsets=np.append(0, np.cumsum(parts_of)),
            several=~is_polygon,
        )

    def __len__(self) -> int:
        return len(self.several)

    @cached_property
    def texts(self) -> list[bytes]:
        """The GeoJSON coordinates of each outline, whole numbers without a decimal point."""
        if library := compiled.kernels():
            offsets = (self.ring_offsets, self.part_offsets, self.outline_offsets)
            texts = compiled_outlines.coordinates(library, self.xy, offsets, self.several)
            if texts is not None:
                return texts
        return self.texts_by_orjson()

    def texts_by_orjson(self) -> list[bytes]:
        """Return the same as `texts`, without compiled kernels and for any numbers."""
        return [self._text(outline) for outline in range(len(self))]

    def _text(self, outline: int) -> bytes:
        begin, end = self.outline_offsets[outline : outline + 2]
        parts = [self._rings(part) for part in range(begin, end)]
        nested = parts if self.several[outline] else [ring for rings in parts for ring in rings]
        text = orjson.dumps(nested, option=orjson.OPT_SERIALIZE_NUMPY)
        return text.replace(b".0,", b",").replace(b".0]", b"]")

    def _rings(self, part: int) -> list[NDArray[np.float64]]:
        offsets = self.ring_offsets[self.part_offsets[part] : self.part_offsets[part + 1] + 1].tolist()
        return [self.xy[begin:end] for begin, end in pairwise(offsets)]
