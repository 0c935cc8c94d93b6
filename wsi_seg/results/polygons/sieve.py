"""Give away components too small to show, before outlines are drawn.

A small component goes, whole and at once, to the class among its kept neighbours that it shares the longest
border with (the lowest class id in a tie). Those that touch no kept component wait for a neighbour to be
given away first: the sieve works inwards from what is kept, round by round. A tangle of small components
that touches nothing kept becomes one component, of the class that most of it has. Pixels outside the region
of interest and pixels never analysed are not findings: they are neither given away nor given anything, and
a small component that touches nothing else stays.

The rule speaks of the whole label image, but is worked out on a window around each tile. What a window
cannot see casts doubt only on what depends on it, so doubt is followed through the rounds, and the window
grows until none of it reaches the tile. Tiles cut in any way so agree on every pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from wsi_seg.models.classes import OUTSIDE_ID
from wsi_seg.results.polygons.components import Components, find_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect

FIRST_MARGIN = 64
"""Pixels of context that a tile is first tried with; doubled while doubt reaches the tile."""

LAST_MARGIN = 1024
"""Context is not widened beyond this. A component that still reaches the window's edge counts as kept."""

MOST_RUNS = 1 << 20
"""Nor is it beyond a window of more runs of equal pixels than this, six times as many as a network's labels
have there. Noise has up to one a pixel, and each takes memory."""


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
        components = find_components(source.read(window))
        inner = rect.relative_to(window)
        values, doubtful = sieve(components, min_area, cut=_cut_by(window, components, width, height))
        exact = not _reaches(components, doubtful, inner)
        if exact or margin >= LAST_MARGIN or len(components.run_start) > MOST_RUNS:
            return components.paint(values)[inner.slices], exact
        margin *= 2


def sieve(
    components: Components, min_area: int, cut: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Decide the class of every component.

    Parameters
    ----------
    components : Components
        The components of a uint8 label image.
    min_area : int
        Components with fewer pixels are given away.
    cut : NDArray of bool, shape (components,)
        Components that may go on beyond the image; they are never given away.

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
        # Only neighbours of those that were given away, or kept, a round before can have news.
        reached = borders.indices[_entries(borders, given)]
        given = np.unique(reached[waiting[reached]])
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
    """Give each group of neighbours among those waiting, in place, its class of the largest area."""
    if not waiting.any():
        return
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


def _cut_by(window: Rect, components: Components, width: int, height: int) -> NDArray[np.bool_]:
    """Return which components touch a side of the window that is not a side of the image."""
    start, end = components.run_start, components.run_end
    columns = window.width
    touching = np.zeros(len(start), dtype=bool)
    if window.y0 > 0:
        touching |= start < columns
    if window.y1 < height:
        touching |= end > components.shape[0] * columns - columns
    if window.x0 > 0:
        touching |= start % columns == 0
    if window.x1 < width:
        touching |= end % columns == 0
    cut = np.zeros(len(components), dtype=bool)
    cut[components.run_component[touching]] = True
    return cut


def _reaches(components: Components, chosen: NDArray[np.bool_], rect: Rect) -> bool:
    """Tell whether any chosen component has a pixel in a rectangle of its image."""
    columns = components.shape[1]
    runs = chosen[components.run_component]
    start, end = components.run_start[runs], components.run_end[runs]
    row, left = np.divmod(start, columns)
    right = left + (end - start)
    inside = (row >= rect.y0) & (row < rect.y1) & (left < rect.x1) & (right > rect.x0)
    return bool(inside.any())
