"""The common form of all annotation formats: outlines as their file has them, not yet checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from xml.etree.ElementTree import Element

Ring = NDArray[np.float64]
"""Points of a closed line, shape (n, 2), in the frame of the file; the last may repeat the first."""

ELLIPSE_POINTS = 256
NAME_LENGTH = 40

UNNAMED = frozenset({"", "none", "unclassified"})
"""Names, in small letters, that tools give to shapes without a class."""


@dataclass(frozen=True)
class Outline:
    """One shape as its file has it.

    Attributes
    ----------
    number : int
        Its place in the file, from 1.
        parts : tuple of tuples of Ring
        For each part of the shape, its outer ring and its holes; empty if they cannot be determined.
    class_name : str or None
        None if the file gives the shape no class.
    color : (int, int, int) or None
        The class's colour, if the file gives one.
    fault : str
        Why the rings cannot be determined.
    remark : str
        What was added to complete the rings.
    layer : int
        A negative outline cuts only outlines of its own layer.
    negative : bool
        Whether it is not a shape of its own, but is cut out of the larger shapes of its layer.
    name, object_id : str or None
        The name and the id of this one object, which QuPath's files may give.
    detected : bool
        Whether a program found it, such as a cell, and nobody drew it.
    """

    number: int
    parts: tuple[tuple[Ring, ...], ...]
    class_name: str | None = None
    color: tuple[int, int, int] | None = None
    fault: str = ""
    remark: str = ""
    layer: int = 0
    negative: bool = False
    name: str | None = None
    object_id: str | None = None
    detected: bool = False


class Skipped(NamedTuple):
    """Something in a file that is not an area.

    Attributes
    ----------
    number : int
        Its place in the file, from 1.
        what : str
        What it is, such as "a ruler".
    class_name : str or None
    """

    number: int
    what: str
    class_name: str | None


@dataclass
class Drawn:
    """All that a file holds.

    Attributes
    ----------
    outlines : list of Outline
    skipped : list of Skipped
        Things that have no area or were not drawn: lines, rulers, dots.
    cores : list of Outline
        Cores of a tissue microarray: places on the slide, which do not say what tissue is in them.
    count : int
        The number of things in the file.
    """

    outlines: list[Outline] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    cores: list[Outline] = field(default_factory=list)
    count: int = 0

    @property
    def named(self) -> Iterator[tuple[int, str]]:
        """The numbers of things with a class, by its name."""
        things: list[Outline | Skipped] = [*self.outlines, *self.cores, *self.skipped]
        for thing in things:
            if thing.class_name is not None:
                yield thing.number, thing.class_name

    def number(self) -> int:
        """Return the place of the next thing in the file."""
        self.count += 1
        return self.count

    def skip(self, number: int, what: str, class_name: str | None) -> None:
        """Add something that is left out."""
        self.skipped.append(Skipped(number, what, class_name))


def tidy_name(name: str | None) -> str | None:
    """Return a class name with its white space normalised, or None for one that means "no class".

    The parts of a derived class are separated as QuPath writes them: ``A: B``.
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
    """Return the points that XML elements state as ``X`` and ``Y``; anything but a number becomes NaN."""
    points = [[_number(element.get(axis)) for axis in ("X", "Y")] for element in elements]
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _number(text: str | None) -> float:
    try:
        # Some tools write decimals in the style of their user's language.
        return float((text or "").replace(",", "."))
    except ValueError:
        return math.nan


class Course(NamedTuple):
    """Measures of a line, in pixels.

    Attributes
    ----------
    gap : float
        From its last point to its first.
    length : float
        From its first point to its last, along it.
    longest : float
        Its longest step from one point to the next.
    """

    gap: float
    length: float
    longest: float


def course(points: Ring) -> Course:
    """Measure a line; if a coordinate is not a finite number, neither are the measures."""
    if len(points) < 2:
        return Course(0.0, 0.0, 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.hypot(*np.diff(points, axis=0).T)
        gap = np.hypot(*(points[-1] - points[0]))
        return Course(float(gap), float(steps.sum()), float(steps.max()))


def rectangle(points: Ring) -> Ring:
    """Return the ring of an upright rectangle given by two opposite corners, or of any by all its corners."""
    if len(points) != 2:
        return points
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def ellipse(points: Ring) -> Ring:
    """Return points on an upright ellipse, given by two or four corners of its box or its four extremes.

    More than four points are the ring itself.
    """
    if len(points) not in (2, 4):
        return points
    low, high = points.min(axis=0), points.max(axis=0)
    turn = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    ring: Ring = (low + high) / 2 + circle * (high - low) / 2
    return ring
