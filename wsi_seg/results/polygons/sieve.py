"""Merge components that are too small to show into their neighbours, before outlines are made.

A small component goes as a whole to the class among its kept neighbours with which it shares the longest
border (the lowest class id in a tie). A component that touches no kept component waits until a neighbour is
merged: the sieve works inwards from the kept components, round by round. A tangle of small components that
touches no kept one becomes one component, of its most frequent class. Pixels outside of the region of
interest and unprocessed pixels take no part: they are neither merged nor do they take in others, and a small
component that touches nothing else stays.

The rule applies to the whole label image, but is computed on a window around each tile. Unseen pixels beyond
the window make only those components uncertain that depend on them. This uncertainty is tracked through the
rounds, and the window grows until none of it reaches the tile. So all ways to cut tiles agree on every pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.sparse import coo_array, csr_array

from wsi_seg.models.classes import OUTSIDE_ID
from wsi_seg.results.polygons import compiled
from wsi_seg.results.polygons.components import Components, find_components

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect

FIRST_MARGIN = 64
"""First number of pixels of context around a tile; doubled while uncertainty reaches the tile."""

LAST_MARGIN = 1024
"""Largest context. A component that still reaches the window's edge counts as kept."""

MOST_RUNS = 1 << 20
"""Largest number of runs of equal pixels in a window with more context; six times as many as in a network's
labels. Noise has up to one run per pixel, and each takes memory."""


class LabelSource(Protocol):
    """A label image, in the label frame, that can be read piece by piece, from several threads at once."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in label pixels."""

    def read(self, rect: Rect) -> NDArray[np.uint8]:
        """Return the pixels of a rectangle inside the image, shape (rect.height, rect.width)."""


def read_sieved(source: LabelSource, rect: Rect, min_area: int) -> tuple[NDArray[np.uint8], bool]:
    """Read a rectangle of a label image as if the whole image had been sieved.

    Parameters
    ----------
    source : LabelSource
        The label image.
    rect : Rect
        What to read, in label pixels, inside the image.
    min_area : int
        Components with fewer pixels are given away; 1 keeps everything.

    Returns
    -------
    labels : NDArray of uint8, shape (rect.height, rect.width)
    exact : bool
        False where a tangle of small components reached further than `LAST_MARGIN`, or was too fine to look
        that far: then the result can depend on `rect`, and the components at the window's edge were taken as
        kept.
    """
    if min_area <= 1:
        return source.read(rect), True
    height, width = source.shape
    margin = FIRST_MARGIN
    while True:
        window = rect.padded(margin).clipped(width, height)
        goes_on = (window.y0 > 0, window.y1 < height, window.x0 > 0, window.x1 < width)
        labels, exact, runs = sieve_image(source.read(window), goes_on, rect.relative_to(window), min_area)
        if exact or margin >= LAST_MARGIN or runs > MOST_RUNS:
            return labels, exact
        margin *= 2


def sieve_image(
    image: NDArray[np.uint8], goes_on: Sequence[bool], inner: Rect, min_area: int
) -> tuple[NDArray[np.uint8], bool, int]:
    """Sieve a window of a larger image.

    Parameters
    ----------
    image : NDArray of uint8
    goes_on : four bools
        Whether there is more above, below, on the left and on the right.
    inner : Rect
        What is asked for of the window.
    min_area : int
        Components with fewer pixels are given away.

    Returns
    -------
    labels : NDArray of uint8, shape (inner.height, inner.width)
    exact : bool
        False if more of the image might change them.
    runs : int
        Runs of equal pixels in the window.
    """
    if image.size <= compiled.MOST_PIXELS and (library := compiled.kernels()):
        return compiled.sieve(library, image, goes_on, inner, min_area, OUTSIDE_ID)
    return sieve_by_numpy(image, goes_on, inner, min_area)


def sieve_by_numpy(
    image: NDArray[np.uint8], goes_on: Sequence[bool], inner: Rect, min_area: int
) -> tuple[NDArray[np.uint8], bool, int]:
    """Do the same as `sieve_image`, without a compiled kernel."""
    components = find_components(image)
    values, doubtful = sieve(components, min_area, cut=_cut_by(goes_on, components))
    exact = not _reaches(components, doubtful, inner)
    return components.paint(values)[inner.slices], exact, len(components.run_start)


def sieve(
    components: Components, min_area: int, cut: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Determine the class of every component.

    Parameters
    ----------
    components : Components
        The components of a uint8 label image.
    min_area : int
        Components with fewer pixels are given away.
    cut : NDArray of bool, shape (components,)
        Components that may continue beyond the image; they are never merged.

    Returns
    -------
    values : NDArray of uint8, shape (components,)
        The class of each component.
    doubtful : NDArray of bool, shape (components,)
        Components whose class may be another once more of the image is seen.
    """
    finding = components.value < OUTSIDE_ID
    values = components.value.copy()
    small = finding & (components.area < min_area)
    doubtful = small & cut
    waiting = small & ~cut
    if not waiting.any():
        return values, doubtful

    borders = _borders(components.neighbours, finding, small)
    voters = np.diff(borders.indptr)
    given = np.flatnonzero(finding & ~waiting)
    while True:
        # Only neighbours of components that were merged or kept in the round before can change.
        reached = borders.indices[_entries(borders, given)]
        near = np.zeros(len(waiting), dtype=bool)
        near[reached] = True
        given = np.flatnonzero(near & waiting)
        if not len(given):
            break
        entries = _entries(borders, given)
        voting = borders.indices[entries]
        settled = ~waiting[voting]
        ballots = np.repeat(np.arange(len(given)), voters[given])[settled]
        voting = voting[settled]
        doubtful[given[ballots[doubtful[voting]]]] = True
        values[given] = _elect(ballots, values[voting], borders.data[entries][settled], len(given))
        waiting[given] = False
    del borders
    _untangle(values, components, waiting)
    return values, doubtful


def _borders(
    neighbours: NDArray[np.int32], finding: NDArray[np.bool_], small: NDArray[np.bool_]
) -> csr_array:
    """Return a symmetric matrix of the border that findings share with small ones, in pixel edges."""
    one, other, _ = neighbours.T
    matter = finding[one] & finding[other] & (small[one] | small[other])
    one, other, length = neighbours[matter].T
    half = coo_array((length, (one, other)), shape=(len(finding),) * 2).tocsr()
    return csr_array(half + half.T.tocsr())


def _entries(borders: csr_array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the entries of some rows of a matrix stand, row after row."""
    start = borders.indptr[rows]
    count = borders.indptr[rows + 1] - start
    before = np.cumsum(count) - count
    entries: NDArray[np.int64] = np.arange(count.sum()) + np.repeat(start - before, count)
    return entries


def _untangle(values: NDArray[np.uint8], components: Components, waiting: NDArray[np.bool_]) -> None:
    """Give each group of waiting neighbours, in place, its class of the largest area."""
    if not waiting.any():
        return
    from scipy.sparse.csgraph import connected_components  # rarely needed, and slow to import

    one, other, _ = components.neighbours.T
    both = waiting[one] & waiting[other]
    edges = (np.ones(np.count_nonzero(both), dtype=bool), (one[both], other[both]))
    count, tangle = connected_components(coo_array(edges, shape=(len(waiting),) * 2), directed=False)
    tangle = tangle[waiting]
    holds = np.zeros(count, dtype=bool)
    holds[tangle] = True
    tangle = (np.cumsum(holds) - 1)[tangle]
    area = components.area[waiting]
    values[waiting] = _elect(tangle, values[waiting], area, int(holds.sum()))[tangle]


def _elect(
    ballots: NDArray[np.integer], value: NDArray[np.uint8], length: NDArray[np.integer], count: int
) -> NDArray[np.uint8]:
    """Return, for each of `count` ballots, its value of greatest total length, the lowest one in a tie."""
    choices, choice = np.unique(value, return_inverse=True)
    total = np.bincount(ballots * len(choices) + choice, weights=length, minlength=count * len(choices))
    return np.asarray(choices[total.reshape(count, -1).argmax(axis=1)], dtype=np.uint8)


def _cut_by(goes_on: Sequence[bool], components: Components) -> NDArray[np.bool_]:
    """Return which components touch a side of the window where the image goes on."""
    start, end = components.run_start, components.run_end
    height, columns = components.shape
    up, down, left, right = goes_on
    touching = np.zeros(len(start), dtype=bool)
    if up:
        touching |= start < columns
    if down:
        touching |= end > height * columns - columns
    if left:
        touching |= start % columns == 0
    if right:
        touching |= end % columns == 0
    cut = np.zeros(len(components), dtype=bool)
    cut[components.run_component[touching]] = True
    return cut


def _reaches(components: Components, chosen: NDArray[np.bool_], rect: Rect) -> bool:
    """Return whether any chosen component has a pixel in a rectangle of its image."""
    columns = components.shape[1]
    runs = chosen[components.run_component]
    start, end = components.run_start[runs], components.run_end[runs]
    row, left = np.divmod(start, columns)
    right = left + (end - start)
    inside = (row >= rect.y0) & (row < rect.y1) & (left < rect.x1) & (right > rect.x0)
    return bool(inside.any())
