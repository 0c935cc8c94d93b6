"""The polygons of tiles, and the shapes that they become once no further tile touches them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsi_seg.results.polygons.tracing import dissolve, without_points

if TYPE_CHECKING:
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
    """

    class_id: int
    polygon: shapely.Polygon
    area_px: int
    mean_confidence: float | None


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
        polygons = [without_points(dissolve(group.polygons), group.straight_xy) for group in groups]
        return _shapes(
            pieces.class_id[whole], pieces.polygons[whole], pieces.area[whole], pieces.confidence[whole]
        ) + _shapes(
            np.array([group.class_id for group in groups], dtype=np.uint8),
            np.array(polygons, dtype=object),
            np.array([group.area for group in groups], dtype=np.int64),
            np.array([group.confidence for group in groups], dtype=np.float64),
        )


def _shapes(
    class_id: NDArray[np.uint8],
    polygons: NDArray[np.object_],
    area: NDArray[np.int64],
    confidence: NDArray[np.float64],
) -> list[Shape]:
    means: list[float | None] = (confidence / area).tolist()
    means = [None if mean is None or mean != mean else mean for mean in means]  # NaN: there is none
    return list(map(Shape, class_id.tolist(), shapely.normalize(polygons), area.tolist(), means))
