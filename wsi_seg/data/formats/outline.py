"""What every annotation format comes down to: outlines as their file has them, not yet checked."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

Ring = NDArray[np.float64]
"""Points of a closed line, shape (n, 2), in the frame of the file; the last may repeat the first."""

ELLIPSE_POINTS = 256
NAME_LENGTH = 40

UNNAMED = frozenset({"", "none", "unclassified"})
"""Names, in small letters, by which tools mean that a shape has no class."""


@dataclass(frozen=True)
class Outline:
    """One shape as its file has it.

    Attributes
    ----------
    number : int
        Its place among the shapes of the file, from 1.
    parts : tuple of tuples of Ring
        For each part of the shape, its outer ring and its holes; empty if they cannot be made out.
    class_name : str or None
        None if the file gives the shape no class.
    color : (int, int, int) or None
        The class's colour, if the file gives one.
    fault : str
        Why the rings cannot be made out.
    layer : int
        Only outlines of one layer are cut by its negative ones.
    negative : bool
        Whether this is no shape, but cut out of the larger shapes of its layer.
    """

    number: int
    parts: tuple[tuple[Ring, ...], ...]
    class_name: str | None = None
    color: tuple[int, int, int] | None = None
    fault: str = ""
    layer: int = 0
    negative: bool = False


@dataclass
class Drawn:
    """All that a file holds.

    Attributes
    ----------
    outlines : list of Outline
    skipped : Counter of str
        What has no area or was not drawn (dots, rulers), counted by what its file calls it.
    """

    outlines: list[Outline] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def skip(self, what: str) -> None:
        """Count something that is left out."""
        self.skipped[what] += 1


def tidy_name(name: str | None) -> str | None:
    """Return a class name with its white space tidied, or None for one that means "no class".

    The parts of a derived class are set apart as QuPath writes them: ``A: B``.
    """
    if name is None:
        return None
    parts = (" ".join(part.split()) for part in name.split(":"))
    tidy = ": ".join(part for part in parts if part)
    return None if tidy.casefold() in UNNAMED else tidy


def colorref(text: str | None) -> tuple[int, int, int] | None:
    """Return the colour that Windows programs write as one decimal number, red in its lowest byte."""
    try:
        number = int(text or "")
    except ValueError:
        return None
    return number & 255, number >> 8 & 255, number >> 16 & 255


def points_of(elements: Iterable[Element]) -> Ring:
    """Return the points that XML elements state as ``X`` and ``Y``; what is no number becomes NaN."""
    points = [[_number(element.get(axis)) for axis in ("X", "Y")] for element in elements]
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _number(text: str | None) -> float:
    try:
        # Some tools write decimals as their user's language does.
        return float((text or "").replace(",", "."))
    except ValueError:
        return math.nan


def rectangle(points: Ring) -> Ring:
    """Return the ring of an upright rectangle given by two opposite corners, or of any by all its corners."""
    if len(points) != 2:
        return points
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def ellipse(points: Ring) -> Ring:
    """Return points on the upright ellipse that two or four corners of its box, or four extremes, bound.

    More points than that are the ring itself.
    """
    if len(points) not in (2, 4):
        return points
    low, high = points.min(axis=0), points.max(axis=0)
    turn = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    ring: Ring = (low + high) / 2 + circle * (high - low) / 2
    return ring
