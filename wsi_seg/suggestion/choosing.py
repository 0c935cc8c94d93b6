"""The choice among windows: what the network is unsure of, what it has not seen, and no two alike.

A window stands for the tissue that looks like something in it. Each piece of tissue, a cell of a window, is
as far from what is known as its features are from the nearest outlined cell's. To outline a window brings all
that looks like it nearer. The window is taken that brings most nearer, each cell weighted by the network's
doubts there; then the next one, given the first, and so on. So a window is chosen for the tissue of all
slides, not for its own; and a second one like it would bring nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from wsi_seg.suggestion.looking import Looked

AXES = 32
"""Directions in which features vary most, that distances are taken along."""

SMALL = 1e-6

MOST_CELLS = 8192
"""Cells that windows are compared by; of more, evenly many."""

LEAST_WEIGHT = 0.1
"""Of a cell that the network is sure of, beside the mean doubt: it may be wrong, and sure of it."""

SEEN, FURTHER = 0.95, 1.5
"""Share of outlined cells that have another one near; what is so many times further away than these is unlike
anything outlined."""

FEWEST_KNOWN = 8
"""Outlined cells by which that can be said."""


@dataclass(frozen=True)
class Chosen:
    """A window that was chosen.

    Attributes
    ----------
    looked : Looked
    unlike : float or None
        Share of its open tissue that is unlike anything outlined; None where too little is outlined to say.
    """

    looked: Looked
    unlike: float | None


def choose(looked: Sequence[Looked], count: int) -> list[Chosen]:
    """Choose windows, the most useful one first; of equal ones the first.

    Parameters
    ----------
    looked : sequence of Looked
        Candidates, and windows that hold outlines.
    count : int
        The most to choose. Windows that touch a chosen one are left for when there are no others.

    Returns
    -------
    list of Chosen
        Fewer than `count` if no others bring anything.
    """
    candidates = [each for each in looked if each.window.candidate and len(each.features)]
    if not candidates:
        return []
    cells, known, owner = _along_axes(candidates, looked)
    weights = _weights(candidates)
    far = _to_known(cells, known)
    limit = _limit(known)
    if len(cells) > MOST_CELLS:
        kept = np.linspace(0, len(cells) - 1, MOST_CELLS).round().astype(np.intp)
    else:
        kept = np.arange(len(cells), dtype=np.intp)
    between = _between(cells, owner, kept, len(candidates))
    left = (
        np.minimum(far[kept], between.max()) if np.isfinite(far).all() else np.full(len(kept), between.max())
    )
    chosen: list[int] = []
    for _ in range(min(count, len(candidates))):
        gains = (weights[kept] * np.maximum(left - between, 0)).sum(axis=1, dtype=np.float64)
        gains[chosen] = -1
        apart = ~_touching(candidates, chosen)
        open_to = apart if (gains[apart] > SMALL).any() else np.ones_like(apart)
        best = int(np.argmax(np.where(open_to, gains, -1)))
        if gains[best] <= SMALL:
            break
        chosen.append(best)
        left = np.minimum(left, between[best])
    return [
        Chosen(candidates[i], None if limit is None else float((far[owner == i] > limit).mean()))
        for i in chosen
    ]


def _along_axes(
    candidates: Sequence[Looked], looked: Sequence[Looked]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
    """Return candidates' cells and outlined cells along few axes, and whose the former are."""
    cells = np.concatenate([each.features for each in candidates])
    known = np.concatenate([each.known for each in looked])
    owner = np.repeat(np.arange(len(candidates), dtype=np.intp), [len(c.features) for c in candidates])
    every = np.concatenate([cells, known]).astype(np.float64)
    every -= every.mean(axis=0)
    spread = float(np.sqrt(2 * (every**2).sum() / len(every)))
    if spread <= SMALL:
        return np.zeros((len(cells), 1), np.float32), np.zeros((len(known), 1), np.float32), owner
    _, axes = np.linalg.eigh(every.T @ every)
    # In units of the distance of two cells drawn at random, about.
    every = every @ axes[:, ::-1][:, :AXES] / spread
    return every[: len(cells)].astype(np.float32), every[len(cells) :].astype(np.float32), owner


def _weights(candidates: Sequence[Looked]) -> NDArray[np.float64]:
    doubts = np.concatenate([each.doubts for each in candidates]).astype(np.float64)
    mean = doubts.mean()
    return doubts / mean + LEAST_WEIGHT if mean > SMALL else np.ones_like(doubts)


def _to_known(cells: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each cell's distance to the nearest outlined one; infinite where there is none."""
    nearest = np.full(len(cells), np.inf, dtype=np.float32)
    for part in _parts(len(cells)):
        if len(known):
            nearest[part] = _distances(cells[part], known).min(axis=1)
    return nearest


def _limit(known: NDArray[np.float32]) -> float | None:
    """Return the distance to the nearest outlined cell from which on something is unlike it."""
    if len(known) < FEWEST_KNOWN:
        return None
    thinned = known[np.linspace(0, len(known) - 1, min(len(known), MOST_CELLS // 4)).round().astype(np.intp)]
    distances = _distances(thinned, thinned)
    np.fill_diagonal(distances, np.inf)
    return FURTHER * float(np.quantile(distances.min(axis=1), SEEN))


def _between(
    cells: NDArray[np.float32], owner: NDArray[np.intp], kept: NDArray[np.intp], windows: int
) -> NDArray[np.float32]:
    """Return how far each kept cell is from the nearest cell of each window, (windows, kept)."""
    targets = cells[kept]
    return np.stack([_distances(cells[owner == i], targets).min(axis=0) for i in range(windows)])


def _parts(count: int, size: int = 512) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)


def _distances(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    squares = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * some @ others.T
    distances: NDArray[np.float32] = np.sqrt(np.maximum(squares, 0))
    return distances


def _touching(candidates: Sequence[Looked], chosen: Sequence[int]) -> NDArray[np.bool_]:
    """Return which candidates lie beside a chosen one, or are one."""
    beside = np.zeros(len(candidates), dtype=np.bool_)
    for number in chosen:
        one = candidates[number]
        grown = one.window.rect.padded(1)
        for i, other in enumerate(candidates):
            beside[i] |= other.slide == one.slide and grown.intersection(other.window.rect).area > 0
    return beside
