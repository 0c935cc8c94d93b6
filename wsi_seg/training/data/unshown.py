"""What kinds of tissue a slide shows that no outline does.

Small squares of the slides' tissue are compared by colour and texture with squares at the outlined places. A
square is unlike them all if the most similar of them is further away than outlined squares are from each
other, but for the furthest twentieth. No network is asked: this is known before one is trained, in seconds.
It finds fat, stroma, folds and ink beside lesions; it does not find what differs by its cells alone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from wsi_seg.data.annotated_slides import LabelledSlide
from wsi_seg.data.sources import IGNORE
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.overview import Overview
from wsi_seg.slides.slide import Slide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from wsi_seg.training.data.survey import Survey
    from wsi_seg.training.data.training_data import TrainingData

SIDE_UM = 128.0
"""Side of a square: about a gland, or a few fat cells."""

SQUARES = 400
"""Squares to look at, of outlined places and of all tissue each."""

ENOUGH = 20
"""Outlined squares, or there is nothing to compare with."""

SLIDES = 8
"""Slides to look at, evenly from all: more would take minutes."""

SAMPLED = 32
"""Pixels along a square that it is reduced to."""

ALIKE = 0.95
"""Share of the outlined squares that have to count as like the others."""

LEAST_SHARE = 0.02
KINDS = 3
"""Smallest share of the tissue that a kind needs to be named, and how many kinds are named."""

PALE, DARK = 0.35, 2.5
"""Sums of the three optical densities (natural logarithm): up to the first a square is mostly empty, as fat
is; from the second on it is dark."""

SMOOTH, COARSE = 0.02, 0.06
"""Mean steps of green's optical density from pixel to pixel: up to the first a square is smooth."""


@dataclass(frozen=True)
class Kind:
    """A kind of tissue that no outline shows.

    Attributes
    ----------
    look : str
        How it looks, in words.
    share : float
        Of the slides' tissue, from 0 to 1.
    slide : str
    qupath_xy : (int, int)
        A place where it is: the centre of a square, in QuPath's pixels.
    """

    look: str
    share: float
    slide: str
    qupath_xy: tuple[int, int]


@dataclass(frozen=True)
class Unshown:
    """The tissue that no outline shows.

    Attributes
    ----------
    share : float
        Of the slides' tissue that is unlike all that is outlined, from 0 to 1.
    kinds : tuple of Kind
        The largest first; small ones are left out.
    squares : int
        Squares of tissue that were looked at.
    """

    share: float = 0.0
    kinds: tuple[Kind, ...] = ()
    squares: int = 0


@dataclass(frozen=True)
class _Square:
    """A square of a source: which, where, what it shows, and whether any of its pixels has a class."""

    source: int
    rect: Rect
    features: NDArray[np.float64]
    known: bool


def find_unshown(data: TrainingData) -> Unshown | None:
    """Look for tissue that no outline shows.

    Returns
    -------
    Unshown or None
        None where there is nothing to compare: images, too few outlined squares, or no tissue.
    """
    numbers = [i for i, source in enumerate(data.sources) if isinstance(source, LabelledSlide)]
    step = -(-len(numbers) // SLIDES) or 1
    numbers = numbers[::step]
    outlined, tissue = [], []
    for number in numbers:
        source, survey = data.sources[number], data.surveys[number]
        assert isinstance(source, LabelledSlide)
        side = max(SAMPLED // 4, round(SIDE_UM / source.frames.label_mpp[0]))
        most = SQUARES // len(numbers)
        outlined += _looked_at(source, number, _outlined_squares(survey, side, most), survey)
        tissue += _looked_at(source, number, _tissue_squares(source, side, most), survey)
    if len(outlined) < ENOUGH or not tissue:
        return None
    unlike = _unlike(outlined, tissue)
    found = [square for square, is_unlike in zip(tissue, unlike, strict=True) if is_unlike]
    return Unshown(len(found) / len(tissue), _kinds(found, len(tissue), data), len(tissue))


def _outlined_squares(survey: Survey, side: int, most: int) -> list[Rect]:
    """Return squares around known pixels, evenly from the places of each class."""
    rects = []
    classes = [index for index in np.unique(survey.cells).tolist() if index != IGNORE]
    for index in classes:
        points_xy = survey.points_xy(index)
        count = min(len(points_xy), most // len(classes))
        for x, y in points_xy[np.linspace(0, len(points_xy) - 1, count).astype(int)].tolist():
            rects.append(Rect(y - side // 2, x - side // 2, y - side // 2 + side, x - side // 2 + side))
    return rects


def _tissue_squares(source: LabelledSlide, side: int, most: int) -> list[Rect]:
    """Return squares of tissue, in rows and columns at equal distances."""
    with Slide(source.path, source.given_mpp, source.levels_read, source.series) as slide:
        tissue = Overview(slide, source.frames).tissue
    width, height = source.size
    squares = int(tissue.mask.sum()) * tissue.factor**2 / side**2
    step = side * max(1, int(np.ceil((squares / most) ** 0.5)))
    corners = [(y, x) for y in range(0, height - side, step) for x in range(0, width - side, step)]
    rects = [Rect(y, x, y + side, x + side) for y, x in corners]
    return [rect for rect in rects if tissue.at(rect.in_cells(side // 4), side // 4).mean() > 0.5]


def _looked_at(source: LabelledSlide, number: int, rects: Sequence[Rect], survey: Survey) -> list[_Square]:
    """Read squares; those that lie partly outside of the slide are left out."""
    squares = []
    for rect in rects:
        if rect == rect.clipped(*source.size):
            known = bool((survey.within(rect) != IGNORE).any())
            squares.append(_Square(number, rect, features(source.read(rect).rgb), known))
    return squares


def features(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Describe a square by eight numbers: colour, variety, texture and how much of it is empty.

    Parameters
    ----------
    rgb : uint8 array, shape (height, width, 3)

    Returns
    -------
    float64 array, shape (8,)
        Mean optical density of red, green and blue; their standard deviations; the mean step of green's from
        pixel to pixel; and the share of pixels that absorb next to nothing.
    """
    small = np.asarray(Image.fromarray(rgb).resize((SAMPLED, SAMPLED), Image.Resampling.BOX))
    density = -np.log((small.astype(np.float64) + 1) / 256)
    green = density[..., 1]
    steps = (np.abs(np.diff(green, axis=0)).mean() + np.abs(np.diff(green, axis=1)).mean()) / 2
    empty = (density.sum(axis=2) < PALE).mean()
    return np.array([*density.mean(axis=(0, 1)), *density.std(axis=(0, 1)), steps, empty])


def _unlike(outlined: Sequence[_Square], tissue: Sequence[_Square]) -> NDArray[np.bool_]:
    """Return which squares of tissue are unlike all outlined ones, and touch no outline themselves."""
    known = np.stack([square.features for square in outlined])
    looked_at = np.stack([square.features for square in tissue])
    scale = np.concatenate([known, looked_at]).std(axis=0) + 1e-6
    distance, _ = KDTree(known / scale).query(looked_at / scale)
    own = np.sort(_to_others(outlined, known / scale))
    farthest = own[int(ALIKE * (len(own) - 1))]
    free = np.array([not square.known for square in tissue])
    unlike: NDArray[np.bool_] = (distance > farthest) & free
    return unlike


def _to_others(squares: Sequence[_Square], scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each square is from the most similar one that does not overlap it; 0 if all do."""
    distances = cdist(scaled, scaled)
    source = np.array([square.source for square in squares])
    corner = np.array([(square.rect.x0, square.rect.y0) for square in squares])
    side = np.array([square.rect.width for square in squares])
    near = (np.abs(corner[:, None] - corner) < np.maximum(side[:, None], side)[..., None]).all(axis=2)
    distances[near & (source[:, None] == source)] = np.inf
    nearest: NDArray[np.float64] = distances.min(axis=1)
    return np.where(np.isfinite(nearest), nearest, 0.0)


def _kinds(found: Sequence[_Square], total: int, data: TrainingData) -> tuple[Kind, ...]:
    """Sort squares by how they look."""
    by_look: dict[str, list[_Square]] = defaultdict(list)
    for square in found:
        by_look[look_of(square.features)].append(square)
    kinds: list[Kind] = []
    for look, squares in sorted(by_look.items(), key=lambda item: (-len(item[1]), item[0])):
        share = len(squares) / total
        if share < LEAST_SHARE or len(kinds) == KINDS:
            break
        square = squares[len(squares) // 2]
        source = data.sources[square.source]
        assert isinstance(source, LabelledSlide)
        centre = [(square.rect.x0 + square.rect.x1) / 2, (square.rect.y0 + square.rect.y1) / 2]
        x, y = source.frames.label_to_qupath(centre)
        kinds.append(Kind(look, share, source.name, (round(float(x)), round(float(y)))))
    return tuple(kinds)


def look_of(described: NDArray[np.float64]) -> str:
    """Put what `features` found into words."""
    red, green, blue, *_, steps, empty = described.tolist()
    total = red + green + blue
    texture = "smooth" if steps < SMOOTH else "coarse" if steps > COARSE else "mixed"
    if empty > 0.5 or total < PALE:
        return f"mostly empty, {texture}"
    depth = "dark " if total > DARK else ""
    if blue > green:
        colour = "brown or red"
    elif red > 0.75 * green:
        colour = "blue"
    elif red > 0.35 * green:
        colour = "purple"
    else:
        colour = "pink"
    return f"{depth}{colour}, {texture}"
