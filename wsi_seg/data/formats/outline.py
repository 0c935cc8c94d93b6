"""What every annotation format comes down to: outlines as their file has them, not yet checked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float64]
"""Points of a closed line, shape (n, 2), in the frame of the file; the last may repeat the first."""

ELLIPSE_POINTS = 256

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


def rectangle(points: Ring) -> Ring:
    """Return the corners of the upright rectangle that spans points."""
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def ellipse(points: Ring) -> Ring:
    """Return points on the upright ellipse that fills the rectangle that spans `points`."""
    low, high = points.min(axis=0), points.max(axis=0)
    turn = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    ring: Ring = (low + high) / 2 + circle * (high - low) / 2
    return ring
