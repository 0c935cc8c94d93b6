"""Outlines that the network contradicts: for a second look, for either may be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsi_seg.annotations.raster import parts_as_painted, rasterise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.slides.lattice import Rect
    from wsi_seg.suggestion.ground import Ground
    from wsi_seg.suggestion.looking import View

AGAINST = 0.1
"""Probability of an outline's own class below which a point of it contradicts."""

STRONGLY = 0.5
"""Share of an outline's points that contradict, from which on it is listed."""

FEWEST = 4
"""Points of an outline by which anything can be said of it."""


@dataclass(frozen=True)
class Doubtful:
    """An outline that the network contradicts.

    Attributes
    ----------
    slide : int
        Which of the slides.
    shape : int
        Which of the slide's shapes, from 0.
    share : float
        Of its points where the network gives its class less than `AGAINST`.
    found : str
        The class that these are taken for, most of them.
    """

    slide: int
    shape: int
    share: float
    found: str


@dataclass
class Doubts:
    """Counts what the network says within the outlines of a slide.

    Attributes
    ----------
    ground : Ground
    schema : ClassSchema
        The model's.
    """

    ground: Ground
    schema: ClassSchema
    own: NDArray[np.int64] = field(init=False)
    points: NDArray[np.int64] = field(init=False)
    against: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        names = [shape.class_name for shape in self.ground.shapes]
        indices = [None if name is None else self.schema.index_of(name) for name in names]
        self.own = np.array([-1 if index is None else index for index in indices], dtype=np.int64)
        self.points = np.zeros(len(names), dtype=np.int64)
        self.against = np.zeros((len(names), len(self.schema)), dtype=np.int64)
        self._parts, self._shape = parts_as_painted(self.ground.outlines_label)
        self._boxes = shapely.bounds(self._parts).reshape(-1, 4)

    def add(self, rect: Rect, rows: NDArray[np.intp], columns: NDArray[np.intp], view: View) -> None:
        """Count a window's points.

        Parameters
        ----------
        rect : Rect
            The window, in label pixels.
        rows, columns : integer arrays
            Where its points lie, from its corner.
        view : View
        """
        x0, y0, x1, y1 = self._boxes.T
        met = (x0 < rect.x1) & (x1 > rect.x0) & (y0 < rect.y1) & (y1 > rect.y0)
        top = np.full(view.outlined.shape, -1, dtype=np.int64)
        for part, shape_of_part in zip(self._parts[met], self._shape[met], strict=True):
            top[rasterise(part, rect)[np.ix_(rows, columns)]] = shape_of_part
        counted = view.outlined & (top >= 0)
        shape, probabilities = top[counted], view.probabilities[:, counted]
        classed = self.own[shape] >= 0
        shape, probabilities = shape[classed], probabilities[:, classed]
        np.add.at(self.points, shape, 1)
        against = probabilities[self.own[shape], np.arange(len(shape))] < AGAINST
        np.add.at(self.against, (shape[against], probabilities[:, against].argmax(axis=0)), 1)

    def found(self, slide: int) -> list[Doubtful]:
        """Return the outlines that are contradicted over `STRONGLY` of them or more."""
        listed = []
        for number in np.flatnonzero(self.points >= FEWEST).tolist():
            against = self.against[number]
            share = int(against.sum()) / int(self.points[number])
            if share >= STRONGLY:
                listed.append(Doubtful(slide, number, share, self.schema.classes[int(against.argmax())].name))
        return listed


def worst_first(doubtful: Sequence[Doubtful]) -> list[Doubtful]:
    """Sort outlines by how much of them is contradicted; of equal ones the first named."""
    return sorted(doubtful, key=lambda each: (-round(each.share, 6), each.slide, each.shape))
