"""The polygons of tiles, and the shapes that they become once no further tile touches them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsi_seg.results.polygons.tracing import unite, without_points

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect


@dataclass(frozen=True)
class Pieces:
    """The polygons of one tile, which together cover it.

    Attributes
    ----------
    rect : Rect
        The tile, in label pixels.
    polygons : NDArray of object, shape (pieces,)
        Polygons in the label frame, corners being whole numbers; neighbouring tiles have the same corners
        along their common border.
    seen_valid : bool
        Whether all of the polygons were looked at, and are valid.
    class_id : NDArray of uint8, shape (pieces,)
        Label value of each piece.
    area : NDArray of int64, shape (pieces,)
        Label pixels of each piece.
    confidence : NDArray of float64, shape (pieces,)
        Sum over each piece's pixels of their confidence; NaN where there is none.
    top, bottom, left, right : NDArray of int32
        Piece that each pixel of the tile's first and last row and first and last column belongs to.
    top_corners, left_corners : NDArray of bool
        Which points along the tile's top side, shape (width + 1,), and left side, shape (height + 1,), are
        corners of its polygons.
    """

    rect: Rect
    polygons: NDArray[np.object_]
    seen_valid: bool
    class_id: NDArray[np.uint8]
    area: NDArray[np.int64]
    confidence: NDArray[np.float64]
    top: NDArray[np.int32]
    bottom: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    top_corners: NDArray[np.bool_]
    left_corners: NDArray[np.bool_]


@dataclass(frozen=True)
class Shape:
    """One connected stretch of one class.

    Attributes
    ----------
    class_id : int
        Label value, `OUTSIDE_ID` and `UNPROCESSED_ID` among them.
    polygon : shapely.Polygon
        In the label frame.
    area_px : int
        Label pixels in it, counted before its outline was simplified.
    mean_confidence : float or None
        Mean of its pixels' confidence, in the confidence image's own scale.
    seen_valid : bool
        Whether the polygon was looked at, and is valid.
    """

    class_id: int
    polygon: shapely.Polygon
    area_px: int
    mean_confidence: float | None
    seen_valid: bool = False


@dataclass
class Group:
    """Pieces joined so far, and the index of the last tile that can touch them.

    `straight_xy` are corners that only seams put there: the joined outline runs straight through them.
    """

    class_id: int
    area: int
    confidence: float
    vertices: int
    due: int
    members: list[int]
    polygons: list[shapely.Polygon]
    straight_xy: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Complete:
    """What no further tile touches: `whole` pieces of a tile, and groups that are still to be united."""

    pieces: Pieces
    whole: NDArray[np.bool_]
    groups: list[Group]

    def shapes(self) -> list[Shape]:
        """Return the shapes. That takes most of the time of joining, and any thread may do it."""
        pieces, whole, groups = self.pieces, self.whole, self.groups
        united = [unite(group.polygons) for group in groups]
        polygons = without_points(
            np.array([polygon for polygon, _ in united], dtype=object),
            [group.straight_xy for group in groups],
        )
        return _shapes(
            pieces.class_id[whole],
            pieces.polygons[whole],
            pieces.area[whole],
            pieces.confidence[whole],
            repeat(pieces.seen_valid),
        ) + _shapes(
            np.array([group.class_id for group in groups], dtype=np.uint8),
            polygons,
            np.array([group.area for group in groups], dtype=np.int64),
            np.array([group.confidence for group in groups], dtype=np.float64),
            [seen_valid for _, seen_valid in united],
        )


def _shapes(
    class_id: NDArray[np.uint8],
    polygons: NDArray[np.object_],
    area: NDArray[np.int64],
    confidence: NDArray[np.float64],
    seen_valid: Iterable[bool],
) -> list[Shape]:
    means: list[float | None] = (confidence / area).tolist()
    means = [None if mean is None or mean != mean else mean for mean in means]  # NaN: there is none
    same = shapely.normalize(polygons)
    return list(map(Shape, class_id.tolist(), same, area.tolist(), means, seen_valid))
