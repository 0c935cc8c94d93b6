"""Outlines too tangled to be repaired: crossings are counted first, as the cost of a repair grows with them.

A hand draws a few crossings, and a program that traces pixels some thousand touches. A line that crosses
itself a thousand times is not an outline. To repair it takes minutes; ten thousand crossings take more memory
than there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.annotations.formats.outline import Ring

MAX_CROSSINGS = 500
"""Largest number of times that a line may cross itself; a repair then takes about a second."""

MAX_CONTACTS = 50_000
"""Largest number of pairs of edges of a shape that meet; one touch of a line with itself makes up to
eight."""

CONTACTS_PER_EDGE = 8
"""So many pairs may always meet: where a line is drawn twice, each edge meets six others."""

PAIRS = 2_000_000
"""Approximate number of pairs of edges that are tested at a time."""


def refuse_tangles(rings: Sequence[Ring]) -> None:
    """Refuse a shape whose lines cross or touch too often to be repaired.

    Parameters
    ----------
    rings : sequence of Ring
        All of the shape's rings, outer ones and holes.

    Raises
    ------
    ValueError
        If they do; counting ends there.
    """
    closed = [np.vstack([ring, ring[:1]]) for ring in rings]
    start, end = np.concatenate([r[:-1] for r in closed]), np.concatenate([r[1:] for r in closed])
    ring_of = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    edges = shapely.linestrings(np.stack([start, end], axis=1))
    tree = shapely.STRtree(edges)
    most = max(MAX_CONTACTS, CONTACTS_PER_EDGE * len(edges))
    crossings, contacts = np.zeros(len(rings), np.int64), 0
    step = int(np.clip(PAIRS // len(edges), 8, 1024))
    for first in range(0, len(edges), step):
        near, others = tree.query(edges[first : first + step])
        once = near + first < others
        a, b = near[once] + first, others[once]
        across = _sides(start[a], end[a], start[b], end[b])
        along = _sides(start[b], end[b], start[a], end[a])
        cross = (across < 0) & (along < 0) & (ring_of[a] == ring_of[b])
        crossings += np.bincount(ring_of[a][cross], minlength=len(rings))
        contacts += int(np.count_nonzero((across <= 0) & (along <= 0)))
        if crossings.max() > MAX_CROSSINGS:
            raise ValueError(f"the outline crosses itself more than {MAX_CROSSINGS} times")
        if contacts > most:
            raise ValueError(f"its lines meet more than {most} times")


def _sides(
    start: NDArray[np.float64], end: NDArray[np.float64], one: NDArray[np.float64], other: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return -1 where two points lie on either side of a line, 1 where on one, 0 where one lies on it."""
    (dx, dy), product = (end - start).T, np.ones(len(start))
    for point in (one, other):
        x, y = (point - start).T
        product *= np.sign(dx * y - dy * x)
    return product
