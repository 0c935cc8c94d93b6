"""Join the polygons of tiles across the tiles' borders, as the tiles come in, row by row.

Only what still can change is held: the polygons that touch tiles not seen yet, and one row of pixels above
them. A group of joined pieces is let go once every tile that touches it has been seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from wsi_seg.results.polygons.complete_shapes import Complete, Group

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from wsi_seg.results.polygons.complete_shapes import Pieces

NOWHERE = -1
"""In the place of a piece's number: beyond the image."""


@dataclass(frozen=True)
class _Seam:
    """The line between a tile and those seen before it, on its left or above.

    Attributes
    ----------
    points_xy : NDArray of int64, shape (n, 2)
        Points of the seam that are corners of polygons, the seam's start among them.
    at : NDArray of int64, shape (n,)
        Point ``i`` lies between pixels ``at[i]`` and ``at[i] + 1`` of `before` and `after`.
    before, after : NDArray of int64, shape (m,)
        Piece of each pixel on the far side and on the tile's side, from the pixel ahead of the seam's start
        to the one behind its last point.
    """

    points_xy: NDArray[np.int64]
    at: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]


class Joiner:
    """Joins tiles' pieces; `add` the tiles row by row, from left to right.

    Parameters
    ----------
    size : (int, int)
        Width and height of the label frame.
    tile : int
        Side of a tile.
    max_vertices : int
        Pieces are not joined beyond this; such a shape stays cut along tile borders.
    unseen : collection of int, optional
        Label values whose shapes are not asked for.
    """

    def __init__(
        self, size: tuple[int, int], tile: int, max_vertices: int, unseen: Collection[int] = ()
    ) -> None:
        self._width, self._height = size
        self._tile = tile
        self._columns = -(-self._width // tile)
        self._max_vertices = max_vertices
        self._unseen = frozenset(unseen)
        self._groups: dict[int, Group] = {}
        self._parent: dict[int, int] = {NOWHERE: NOWHERE}
        self._leaving: dict[int, list[int]] = {}
        self._numbered = 0
        self._row_above = self._row_below = self._blank(self._width + 2)
        self._beside = self._blank(0)

    def add(self, pieces: Pieces) -> Complete:
        """Take in the next tile, and return what it completes."""
        rect = pieces.rect
        index = rect.y0 // self._tile * self._columns + rect.x0 // self._tile
        if rect.x0 == 0:
            self._row_above, self._row_below = self._row_below, self._blank(self._width + 2)
            self._beside = self._blank(rect.height)
        number = self._enrol(pieces, self._due(pieces, index))
        seams = (self._left_seam(pieces, number), self._top_seam(pieces, number))
        for seam in seams:
            self._join(seam)
        for seam in seams:
            self._note_straight(seam)
        self._row_below[rect.x0 + 1 : rect.x1 + 1] = number[pieces.bottom]
        self._beside = number[pieces.right]
        whole = (number == NOWHERE) & ~np.isin(pieces.class_id, list(self._unseen))
        return Complete(pieces, whole, self._release(index))

    @staticmethod
    def _blank(length: int) -> NDArray[np.int64]:
        return np.full(length, NOWHERE, dtype=np.int64)

    def _due(self, pieces: Pieces, index: int) -> NDArray[np.int64]:
        """Return the last tile that touches each piece, `NOWHERE` for pieces that no other tile touches."""
        rect = pieces.rect
        due = self._blank(len(pieces.polygons))
        if rect.x0 > 0:
            due[pieces.left] = index
        if rect.y0 > 0:
            due[pieces.top] = index
        goes_right, goes_down = rect.x1 < self._width, rect.y1 < self._height
        if goes_right:
            due[pieces.right] = index + 1
        if goes_down:
            due[pieces.bottom] = index + self._columns
        if goes_right and goes_down:
            due[pieces.bottom[-1]] = index + self._columns + 1
        return due

    def _enrol(self, pieces: Pieces, due: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give numbers to the pieces that other tiles touch, and make each a group of its own."""
        number = self._blank(len(due))
        vertices = shapely.get_num_coordinates(pieces.polygons)
        for i in np.flatnonzero(due != NOWHERE):
            new = self._numbered
            self._numbered += 1
            number[i] = self._parent[new] = new
            self._groups[new] = Group(
                class_id=int(pieces.class_id[i]),
                area=int(pieces.area[i]),
                confidence=float(pieces.confidence[i]),
                vertices=int(vertices[i]),
                due=int(due[i]),
                members=[new],
                polygons=[pieces.polygons[i]],
            )
            self._leaving.setdefault(int(due[i]), []).append(new)
        return number

    def _left_seam(self, pieces: Pieces, number: NDArray[np.int64]) -> _Seam:
        rect = pieces.rect
        end = self._blank(1 if rect.y1 == self._height else 0)
        ahead, ahead_after = self._row_above[rect.x0 : rect.x0 + 2]
        at = np.flatnonzero(pieces.left_corners[: rect.height + len(end)])
        return _Seam(
            points_xy=np.stack([np.full_like(at, rect.x0), rect.y0 + at], axis=1),
            at=at,
            before=np.concatenate([[ahead], self._beside, end]),
            after=np.concatenate([[ahead_after], number[pieces.left], end]),
        )

    def _top_seam(self, pieces: Pieces, number: NDArray[np.int64]) -> _Seam:
        rect = pieces.rect
        end = self._blank(1 if rect.x1 == self._width else 0)
        at = np.flatnonzero(pieces.top_corners[: rect.width + len(end)])
        return _Seam(
            points_xy=np.stack([rect.x0 + at, np.full_like(at, rect.y0)], axis=1),
            at=at,
            before=np.concatenate([self._row_above[rect.x0 : rect.x1 + 1], end]),
            after=np.concatenate([self._beside[:1], number[pieces.top], end]),
        )

    def _join(self, seam: _Seam) -> None:
        """Join the groups that go on across a seam, unless they would grow too large."""
        both = np.stack([seam.before[1:], seam.after[1:]], axis=1)
        both = both[(both != NOWHERE).all(axis=1)]
        changes = np.ones(len(both), dtype=np.bool_)  # most pairs are those of the pixel before
        changes[1:] = (both[1:] != both[:-1]).any(axis=1)
        for pair in np.unique(both[changes], axis=0):
            one, other = sorted(self._root(int(piece)) for piece in pair)
            if one == other:
                continue
            kept, gone = self._groups[one], self._groups[other]
            if kept.class_id != gone.class_id or kept.vertices + gone.vertices > self._max_vertices:
                continue
            del self._groups[other]
            self._parent[other] = one
            kept.area += gone.area
            kept.confidence += gone.confidence
            kept.vertices += gone.vertices
            kept.members += gone.members
            kept.polygons += gone.polygons
            kept.straight_xy += gone.straight_xy
            if gone.due > kept.due:
                kept.due = gone.due
                self._leaving[gone.due].append(one)

    def _note_straight(self, seam: _Seam) -> None:
        """Note the points where a border of two groups, or of one and the image, runs straight through."""
        corners = np.stack([side[seam.at + step] for side in (seam.before, seam.after) for step in (0, 1)])
        pieces, where = np.unique(corners, return_inverse=True)
        roots = np.array([self._root(int(piece)) for piece in pieces], dtype=np.int64)
        before, before_next, after, after_next = roots[where.reshape(4, -1)]
        across = (before == before_next) & (after == after_next)
        along = (before == after) & (before_next == after_next)
        for i in np.flatnonzero(across ^ along):
            point = (int(seam.points_xy[i, 0]), int(seam.points_xy[i, 1]))
            for group in {int(before[i]), int(after_next[i])} - {NOWHERE}:
                self._groups[group].straight_xy.append(point)

    def _root(self, piece: int) -> int:
        """Return the number of the group that a piece belongs to: its first piece's."""
        root = piece
        while self._parent[root] != root:
            root = self._parent[root]
        while piece != root:
            self._parent[piece], piece = root, self._parent[piece]
        return root

    def _release(self, index: int) -> list[Group]:
        """Let go of the groups that no tile after this one touches; return those that are asked for."""
        leaving = sorted({self._root(piece) for piece in self._leaving.pop(index, [])})
        released = []
        for root in leaving:
            group = self._groups[root]
            if group.due > index:
                continue
            del self._groups[root]
            for member in group.members:
                del self._parent[member]
            if group.class_id not in self._unseen:
                released.append(group)
        return released
