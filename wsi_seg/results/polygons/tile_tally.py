"""Counts of special cases in the blocks in which polygons are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.results.polygons.complete_shapes import Pieces, Shape

LABEL_VALUES = 256


@dataclass(frozen=True)
class Tile:
    """A tile as drawn.

    Attributes
    ----------
    pieces : Pieces
    length : NDArray of float64, shape (pieces,)
        Length of each piece's outline before it was simplified, in label pixels.
    tolerance : NDArray of float64, shape (pieces,)
        What each piece was simplified by, in label pixels.
    sound : bool
        False if simplifying ended early, for the polygons to stay valid.
    far_enough : bool
        Whether the sieve saw far enough around the tile; see `read_sieved`.
    """

    pieces: Pieces
    length: NDArray[np.float64]
    tolerance: NDArray[np.float64]
    sound: bool
    far_enough: bool


@dataclass
class Tally:
    """What happened to tiles and shapes; filled in while the shapes are drawn.

    Attributes
    ----------
    tiles : int
        Tiles done.
    finer : int
        Outlines that were simplified by less than the last step, so that their class keeps its area. One
        that goes on into other tiles is counted in each.
    less_simplified : int
        Tiles whose outlines all kept more corners than asked for, because simplifying them further would
        have made a polygon invalid.
    cut_short : int
        Tiles with a tangle of small components that reached too far to be sieved independently of the
        tile's place.
    too_many : int
        Shapes that have more corners than was asked for, as the finest grid cuts them no further.
    pixels : NDArray of float64, shape (256,)
        Sieved label pixels by label value.
    length, smoothed : NDArray of float64, shape (256,)
        Length of the outlines by label value, and its product with their tolerance, in label pixels.
    """

    tiles: int = 0
    finer: int = 0
    less_simplified: int = 0
    cut_short: int = 0
    too_many: int = 0
    pixels: NDArray[np.float64] = field(default_factory=lambda: np.zeros(LABEL_VALUES))
    length: NDArray[np.float64] = field(default_factory=lambda: np.zeros(LABEL_VALUES))
    smoothed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(LABEL_VALUES))

    def add(self, tile: Tile, step_px: float) -> None:
        """Count a tile that was to be simplified by `step_px`."""
        class_id = tile.pieces.class_id
        self.tiles += 1
        self.finer += int((tile.tolerance < step_px).sum()) if tile.sound else 0
        self.less_simplified += not tile.sound
        self.cut_short += not tile.far_enough
        self.pixels += np.bincount(class_id, tile.pieces.area, LABEL_VALUES)
        self.length += np.bincount(class_id, tile.length, LABEL_VALUES)
        self.smoothed += np.bincount(class_id, tile.length * tile.tolerance, LABEL_VALUES)

    def look_at(self, shapes: Sequence[Shape], max_vertices: int) -> None:
        """Count the shapes that were to have fewer corners."""
        corners = shapely.get_num_coordinates(np.array([shape.polygon for shape in shapes], dtype=object))
        self.too_many += int((corners > max_vertices).sum())

    def tolerance(self, class_id: int) -> float:
        """Return what a class's outlines were simplified by, in label pixels: the mean over their length."""
        return float(self.smoothed[class_id] / max(self.length[class_id], 1))
