"""Where to look at a slide's tissue: some squares, evenly from all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Place = TypeVar("Place")


def squares(size: tuple[int, int], side: int) -> list[Rect]:
    """Return the squares that tile a frame from its corner; the last ones of a row reach over its edge.

    Squares that would show less than half of themselves are left out, but for the first.
    """
    columns, rows = (max(1, (length + side // 2) // side) for length in size)
    return [
        Rect(row * side, column * side, (row + 1) * side, (column + 1) * side)
        for row in range(rows)
        for column in range(columns)
    ]


def fullest(places: Sequence[Place], share: Callable[[Place], float], count: int) -> list[Place]:
    """Choose places evenly from those that are half full; where these are too few, the fullest.

    Parameters
    ----------
    places : sequence
    share : callable
        How full a place is, 0 to 1; those of 0 are never chosen.
    count : int
        How many to choose at most.
    """
    shares = np.array([share(place) for place in places])
    full = np.flatnonzero(shares >= 0.5)
    if len(full) >= count:
        return [places[i] for i in full[(np.arange(count) * len(full)) // count]]
    some = [i for i in np.argsort(-shares, kind="stable")[:count] if shares[i] > 0]
    return [places[i] for i in sorted(some)]
