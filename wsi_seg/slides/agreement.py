"""Whether a slide's coarser levels show what level 0 shows.

Some files' do not: converters have stored them in other colours, shifted, blank, or of another picture. So
each level is compared with the nearest finer one that is in order, at a few places: both are reduced to cells
of 8 x 8 of the coarser one's pixels, where it no longer matters how a level was made, and the cells' colours
are compared. How much a level differs is the root mean square over the cells of a place, in grey values, of
the place that differs second most: one damaged tile is no wrong level, and a wrong level that is blank still
looks right on glass.

Measured on H&E and fluorescence, levels of 1/2 to 1/32. Means, nearest pixels, bicubic and Lanczos, cascades
and JPEG down to quality 30 stay under 7, nearest pixels 1/32 as JPEG of quality 30 under 9, unsharp masks of
150 % and a shift of one level pixel under 11; levels in real files of six scanners and converters under 3.
YCbCr taken for RGB, inverted, mirrored, blank, and shifted by 16 px or more is over 30, shifted by 8 px over
21, other channels than blue for red over 22, a doubled gamma over 18. `LIMIT` lies between. Channels swapped
where they hardly differ, and grey for colours, are known by that level 0 treated likewise is much more alike.
Not found: shifts of 4 px and less, differences in brightness that hardly show, faults in pictures whose
darkest and brightest cells differ by less than the limit, and parts of a level that no place lies in.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from wsi_seg.slides.frames import Bounds
    from wsi_seg.slides.slide import Slide, SlidePixels

LIMIT = 15.0
"""By how many grey values, at most, a level differs that shows the same."""

CELL = 8
"""Side of a cell in pixels of the coarser level."""

PLACE_CELLS = 8
"""Side of a place in cells, unless that were too many pixels of the finer level."""

PLACE_SIDE = 1024
"""Longest side of a place in pixels of the finer level."""

PLACES = 8
"""How many places are compared where there is something to see."""

FLAT = 12
"""Contrast in grey values below which a place may be nothing but glass."""

GRID = 5
"""Rows and columns of places that are looked at wherever the tissue may be."""

HINTS = 12
"""Places that are looked at for their contrast in a small level."""

HINT_PIXELS, HINT_SIDE = 1 << 22, 512
"""A level of at most so many pixels is small; it is looked at in so many cells along its longer side."""

UNREADABLE = 3
"""So many places that cannot be decoded, and none that can, are enough to give up."""

NOISE = 2.0
"""Grey values by which any two levels differ: no ground for asking whether colours are exchanged."""


@dataclass(frozen=True)
class Agreement:
    """What comparing a level with a finer one came to.

    Attributes
    ----------
    level, against : int
        The level, and the finer one.
    places : int
        How many places both could be read at.
    difference : float
        Grey values.
    differs : bool
        Whether the level shows something else.
    """

    level: int
    against: int
    places: int
    difference: float
    differs: bool

    def __str__(self) -> str:
        if not self.places:
            return f"could not be compared with level {self.against}"
        if self.differs:
            return f"shows something else than level {self.against}: not read"
        return f"agrees with level {self.against}"


def compare_levels(slide: Slide) -> tuple[Agreement, ...]:
    """Compare every coarser level of a slide with the nearest finer one that is in order.

    A pure function of the file: whoever opens it comes to the same.

    Returns
    -------
    tuple of Agreement
        Of level 1, 2, and so on. A level that could not be compared is taken to be in order.
    """
    centres = tuple(_centres(slide))
    found: list[Agreement] = []
    finer = 0
    for index in range(1, len(slide.levels)):
        found.append(_compare(slide, index, finer, centres))
        if not found[-1].differs:
            finer = index
    return tuple(found)


def _compare(slide: Slide, index: int, finer: int, centres: Sequence[tuple[float, float]]) -> Agreement:
    level, reference = slide.levels[index], slide.levels[finer]
    frames = _frames(slide.bounds, (level.scale_x * CELL, level.scale_y * CELL))
    ratio = max(level.scale_x / reference.scale_x, level.scale_y / reference.scale_y)
    side = min(PLACE_CELLS, max(1, int(PLACE_SIDE / (CELL * ratio))))
    places = dict.fromkeys(_place(centre, frames, side) for centre in centres)
    cells: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    unreadable = 0
    for place, own in _worth_a_look(slide, index, frames, places):
        other = slide.read_level(finer, place, frames)
        if own.unreadable or other.unreadable or not other.present.any():
            unreadable += 1
            if unreadable == UNREADABLE and not cells:
                break
            continue
        cells.append((own.rgb[other.present].astype(np.int64), other.rgb[other.present].astype(np.int64)))
    differences = sorted(_difference(own, other) for own, other in cells)
    difference = differences[-2:][0] if differences else 0.0
    differs = difference > LIMIT or _recoloured(cells)
    return Agreement(index, finer, len(cells), round(difference, 1), differs)


def _worth_a_look(
    slide: Slide, index: int, frames: Frames, places: Iterable[Rect]
) -> list[tuple[Rect, SlidePixels]]:
    """Return the first places of a level where there is something to see, and their cells; else all."""
    looked: list[tuple[Rect, SlidePixels]] = []
    telling: list[tuple[Rect, SlidePixels]] = []
    for place in places:
        looked.append((place, slide.read_level(index, place, frames)))
        if _contrast(looked[-1][1].rgb) >= FLAT:
            telling.append(looked[-1])
            if len(telling) == PLACES:
                return telling
    return looked


def _contrast(rgb: NDArray[np.uint8]) -> int:
    return int(np.ptp(rgb, axis=(0, 1)).max())


def _difference(own: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    return float(np.sqrt(np.mean((own - other) ** 2)))


def _recoloured(cells: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> bool:
    """Tell whether channels are exchanged, or colours grey: the finer level treated so is then more alike."""
    if not cells:
        return False
    own, other = (np.concatenate(parts) for parts in zip(*cells, strict=True))
    as_they_are = _difference(own, other)
    grey = np.repeat(other @ np.array([[299], [587], [114]]) // 1000, 3, axis=1)
    exchanged = (other[:, list(order)] for order in itertools.permutations(range(3)))
    nearest = min(_difference(own, guess) for guess in (grey, *exchanged))
    return as_they_are > NOISE and nearest < as_they_are / 2


def _centres(slide: Slide) -> Iterator[tuple[float, float]]:
    """Yield where to look, as shares of the bounds' width and height; where tissue is likely, first."""
    bounds, coarsest = slide.bounds, len(slide.levels) - 1
    scale = slide.levels[coarsest].scale_x, slide.levels[coarsest].scale_y
    if coarsest and bounds.width / scale[0] * bounds.height / scale[1] <= HINT_PIXELS:
        cell = max(*scale, max(bounds.width, bounds.height) / HINT_SIDE)
        frames = _frames(bounds, (cell, cell))
        width, height = frames.label_size
        rgb = slide.read_level(coarsest, Rect(0, 0, height, width), frames).rgb
        squares = [
            Rect(y, x, y + CELL, x + CELL).clipped(width, height)
            for y in range(0, height, CELL)
            for x in range(0, width, CELL)
        ]
        squares.sort(key=lambda square: _contrast(rgb[square.slices]), reverse=True)
        for square in squares[:HINTS]:
            yield (square.x0 + square.x1) / (2 * width), (square.y0 + square.y1) / (2 * height)
    for row in range(GRID):
        for column in range(GRID):
            yield (column + 0.5) / GRID, (row + 0.5) / GRID


def _place(centre: tuple[float, float], frames: Frames, side: int) -> Rect:
    width, height = frames.label_size
    x0, y0 = (
        min(max(int(share * length) - side // 2, 0), max(length - side, 0))
        for share, length in zip(centre, (width, height), strict=True)
    )
    return Rect(y0, x0, y0 + side, x0 + side).clipped(width, height)


def _frames(bounds: Bounds, downsample: tuple[float, float]) -> Frames:
    """Return the frame whose pixels are the cells, whole ones only."""
    width, height = (
        max(1, int(length / step))
        for length, step in zip((bounds.width, bounds.height), downsample, strict=True)
    )
    return Frames(bounds=bounds, slide_mpp=(1, 1), downsample=downsample, label_size=(width, height))
