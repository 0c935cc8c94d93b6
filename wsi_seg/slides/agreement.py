"""Whether a slide's coarser levels show what level 0 shows.

In some files they do not: a converter has stored them in other colours, shifted or blank, or has stored
another picture. So each level is compared with the nearest finer level that is in order, at a few places.
Both are reduced to cells of 8 x 8 pixels of the coarser one. At that size it no longer matters how a level
was made, and the colours of the cells are compared. The difference of a place is the root mean square over
its cells, in grey values. The difference of a level is that of the place that differs second most: one
damaged tile does not make a wrong level, and a wrong level that is blank still looks right on glass. So
places with contrast in either level are chosen.

Measured on H&E and fluorescence, levels of 1/2 to 1/32. Means, nearest pixels, bicubic and Lanczos, cascades
and JPEG down to quality 30 stay under 7, nearest pixels 1/32 as JPEG of quality 30 under 9, unsharp masks of
150 % and a shift of one level pixel under 11; levels in real files of six scanners and converters under 3.
YCbCr taken for RGB, inverted, mirrored, blank, and shifted by 16 px or more is over 30, shifted by 8 px over
21, other channels than blue for red over 22, a doubled gamma over 18. `LIMIT` lies between. Swapped channels
that hardly differ, and grey instead of colour, are found in another way: level 0, treated likewise, is then
much more similar. Not found: shifts of 4 px and less, differences in brightness that hardly show, faults in
pictures whose darkest and brightest cells differ by less than the limit, and faults outside of all places.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from wsi_seg.slides.slide import Slide, SlidePixels

    Cells = tuple[NDArray[np.int64], NDArray[np.int64]]
    Hint = tuple[int, tuple[float, float]]

LIMIT = 15.0
"""Largest difference, in grey values, of a level that shows the same as the finer one."""

CELL = 8
"""Side of a cell in pixels of the coarser level."""

PLACE_CELLS = 8
"""Side of a place in cells, unless that is too many pixels of the finer level."""

PLACE_SIDE = 1024
"""Longest side of a place in pixels of the finer level."""

PLACES = 8
"""Number of places that are compared, where that many have contrast."""

FEW = 4
"""With fewer places each one counts: a damaged tile cannot be distinguished from a wrong level."""

FLAT = 12
"""Contrast in grey values below which a place may be nothing but glass."""

GRID = 5
"""Rows and columns of places that are always looked at, wherever the tissue is."""

HINTS = 12
"""Places that are looked at for their contrast in a small level, or else in level 0."""

HINT_PIXELS, HINT_SIDE = (1 << 20, 1 << 23), 512
"""Levels of at most so many pixels are small. Larger ones are searched only where the small ones show
nothing.
All are reduced to so many cells along their longer side."""

LOOKS, LOOK_PIXELS = 24, 48 << 20
"""Rows and columns of places that level 0 is looked at in, and of how many pixels at most their tiles are."""

UNREADABLE = 3
"""Give up after so many places that cannot be decoded, if no place can."""

NOISE = 2.0
"""Grey values by which any two levels may differ. Below this, exchanged colours are not suspected."""


class Verdict(StrEnum):
    """The outcome of a comparison."""

    AGREES = "agrees with level {}"
    DIFFERS = "shows something else than level {}: not read"
    UNREADABLE = "cannot be read: not read"
    FLAT = "nothing to compare: no contrast here or in level {} where that was tried"
    UNKNOWN = "could not be compared with level {}"


@dataclass(frozen=True)
class Agreement:
    """The result of comparing a level with a finer one.

    Attributes
    ----------
    level, against : int
        The level, and the finer one.
    places : int
        How many places both could be read at.
    difference : float
        Grey values.
    verdict : Verdict
        The outcome.
    """

    level: int
    against: int
    places: int
    difference: float
    verdict: Verdict

    @property
    def differs(self) -> bool:
        """Whether the level shows something else than the finer one."""
        return self.verdict is Verdict.DIFFERS

    @property
    def in_order(self) -> bool:
        """Whether the level may be read from. A level that could not be compared may."""
        return self.verdict not in (Verdict.DIFFERS, Verdict.UNREADABLE)

    def __str__(self) -> str:
        return self.verdict.format(self.against)


def compare_levels(slide: Slide) -> tuple[Agreement, ...]:
    """Compare every coarser level of a slide with the nearest finer one that is known to be in order.

    A pure function of the file: every process gets the same result.

    Returns
    -------
    tuple of Agreement
        Of level 1, 2, and so on.
    """
    if len(slide.levels) == 1:
        return ()
    centres = tuple(_centres(slide))
    found: list[Agreement] = []
    finer = 0
    for index in range(1, len(slide.levels)):
        agreement, is_reference = _compare(slide, index, finer, centres)
        found.append(agreement)
        if is_reference:
            finer = index
    return tuple(found)


def _compare(
    slide: Slide, index: int, finer: int, centres: Sequence[tuple[float, float]]
) -> tuple[Agreement, bool]:
    """Compare two levels; return also whether coarser ones are to be compared with this one."""
    level, reference = slide.levels[index], slide.levels[finer]
    frames = Frames.of_cells(slide.bounds, (level.scale_x * CELL, level.scale_y * CELL))
    ratio = max(level.scale_x / reference.scale_x, level.scale_y / reference.scale_y)
    side = min(PLACE_CELLS, max(1, int(PLACE_SIDE / (CELL * ratio))))
    cells: list[Cells] = []
    telling: list[Cells] = []
    own_read = other_read = False
    places = dict.fromkeys(_place(centre, frames, side) for centre in centres)
    for tried, place in enumerate(places):
        if len(telling) == PLACES or (tried >= UNREADABLE and not cells):
            break
        own, other = (slide.read_level(i, place, frames) for i in (index, finer))
        own_read |= _is_read(own)
        other_read |= _is_read(other)
        if own.unreadable or not _is_read(other):
            continue
        cells.append((own.rgb[other.present].astype(np.int64), other.rgb[other.present].astype(np.int64)))
        if max(_contrast(own.rgb), _contrast(other.rgb)) >= FLAT:
            telling.append(cells[-1])
    difference = max(_second(telling), _second(cells))
    if not cells:
        verdict = Verdict.UNREADABLE if other_read and not own_read else Verdict.UNKNOWN
    elif difference > LIMIT or _recoloured(telling or cells):
        verdict = Verdict.DIFFERS
    else:
        flat = _contrast(np.concatenate(list(itertools.chain(*cells)))[None]) < FLAT
        verdict = Verdict.FLAT if flat else Verdict.AGREES
    is_reference = verdict is Verdict.AGREES or (own_read and not other_read)
    return Agreement(index, finer, len(telling or cells), round(difference, 1), verdict), is_reference


def _is_read(pixels: SlidePixels) -> bool:
    return not pixels.unreadable and bool(pixels.present.any())


def _second(cells: Sequence[Cells]) -> float:
    """Return the difference of the place that differs second most; with few places, the largest."""
    differences = sorted(_difference(own, other) for own, other in cells)
    if len(differences) < FEW:
        return max(differences, default=0.0)
    return differences[-2]


def _contrast(rgb: NDArray[np.integer]) -> int:
    return int(np.ptp(rgb, axis=(0, 1)).max())


def _difference(own: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    return float(np.sqrt(np.mean((own - other) ** 2)))


def _recoloured(cells: Sequence[Cells]) -> bool:
    """Test for exchanged channels or lost colours: the finer level, treated alike, is then more similar."""
    own, other = (np.concatenate(parts) for parts in zip(*cells, strict=True))
    as_they_are = _difference(own, other)
    grey = np.repeat(other @ np.array([[299], [587], [114]]) // 1000, 3, axis=1)
    exchanged = (other[:, list(order)] for order in itertools.permutations(range(3)))
    nearest = min(_difference(own, guess) for guess in (grey, *exchanged))
    return as_they_are > NOISE and nearest < as_they_are / 2


def _centres(slide: Slide) -> Iterator[tuple[float, float]]:
    """Yield places to look at, as shares of the bounds' width and height; likely tissue comes first."""
    looks = (_in_small_levels(slide, pixels) for pixels in HINT_PIXELS)
    hints = next((hints for hints in looks if hints), None) or _in_level_0(slide)
    hints.sort(key=lambda hint: hint[0], reverse=True)
    for _, centre in hints[:HINTS]:
        yield centre
    yield from _grid(GRID)


def _in_small_levels(slide: Slide, pixels: int) -> list[Hint]:
    """Return places where any level of so many pixels has contrast: one may be blank, likely the coarsest."""
    bounds = slide.bounds
    cell = max(1.0, max(bounds.width, bounds.height) / HINT_SIDE)
    frames = Frames.of_cells(bounds, (cell, cell))
    width, height = frames.label_size
    contrast = np.zeros((-(-height // CELL), -(-width // CELL)), dtype=np.uint8)
    for index, level in enumerate(slide.levels):
        small = bounds.width / level.scale_x * bounds.height / level.scale_y <= pixels
        if small and min(level.width, level.height) >= CELL:
            rgb = slide.read_level(index, Rect(0, 0, height, width), frames).rgb
            contrast = np.maximum(contrast, _contrasts(rgb))
    return [
        (int(contrast[row, column]), ((column + 0.5) * CELL / width, (row + 0.5) * CELL / height))
        for row, column in zip(*np.nonzero(contrast >= FLAT), strict=True)
    ]


def _contrasts(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the contrast of each square of cells; squares at the right and bottom edge may be smaller."""
    rows, columns = range(0, rgb.shape[0], CELL), range(0, rgb.shape[1], CELL)
    highest = np.maximum.reduceat(np.maximum.reduceat(rgb, rows, axis=0), columns, axis=1)
    lowest = np.minimum.reduceat(np.minimum.reduceat(rgb, rows, axis=0), columns, axis=1)
    return np.asarray((highest - lowest).max(axis=2), dtype=np.uint8)


def _in_level_0(slide: Slide) -> list[Hint]:
    """Return places where level 0 has contrast, spread over the slide."""
    level = slide.levels[0]
    rows = min(LOOKS, max(GRID, math.isqrt(LOOK_PIXELS // (level.tile_width * level.tile_height))))
    frames = Frames.of_cells(slide.bounds, (CELL, CELL))
    looks = ((_place(centre, frames, PLACE_CELLS), centre) for centre in _grid(rows))
    hints = [(_contrast(slide.read_level(0, place, frames).rgb), centre) for place, centre in looks]
    return [hint for hint in hints if hint[0] >= FLAT]


def _grid(rows: int) -> Iterator[tuple[float, float]]:
    for row, column in itertools.product(range(rows), repeat=2):
        yield (column + 0.5) / rows, (row + 0.5) / rows


def _place(centre: tuple[float, float], frames: Frames, side: int) -> Rect:
    width, height = frames.label_size
    x0, y0 = (
        min(max(int(share * length) - side // 2, 0), max(length - side, 0))
        for share, length in zip(centre, (width, height), strict=True)
    )
    return Rect(y0, x0, y0 + side, x0 + side).clipped(width, height)
