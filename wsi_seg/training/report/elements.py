"""What the page of a training's report is made of, whatever it is written as."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from wsi_seg.models.classes import ClassSchema, Rgb
    from wsi_seg.training.report.contents import Example


@dataclass(frozen=True)
class Paragraph:
    """A sentence or two."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Verdict:
    """A sentence that the reader should act on."""

    kind: ClassVar[str] = "verdict"
    text: str


@dataclass(frozen=True)
class Command:
    """The command line."""

    kind: ClassVar[str] = "command"
    text: str


@dataclass(frozen=True)
class Picture:
    """A picture in a file beside the page."""

    kind: ClassVar[str] = "picture"
    file: str
    says: str


class Figure(NamedTuple):
    """One of the figures that matter most."""

    name: str
    value: str


@dataclass(frozen=True)
class Figures:
    """The figures that matter most."""

    kind: ClassVar[str] = "figures"
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Attributes
    ----------
    rows : tuple of tuple of str
    headings : tuple of str
        With headings, all columns but the first hold numbers.
    colors : tuple of color or None
        Of each row; empty for none.
    shares : tuple of tuple of float or None
        What to draw a bar of, from 0 to 1, by row and column; empty for none.
    in_words : bool
        Whether the last column holds words all the same.
    chart : Picture or None
        The same as a chart, where bars cannot be drawn.
    """

    kind: ClassVar[str] = "table"
    rows: tuple[tuple[str, ...], ...]
    headings: tuple[str, ...] = ()
    colors: tuple[Rgb | None, ...] = ()
    shares: tuple[tuple[float | None, ...], ...] = ()
    in_words: bool = False
    chart: Picture | None = None

    def barred(self, column: int) -> bool:
        """Return whether a column has bars."""
        return any(row[column] is not None for row in self.shares)


class Cell(NamedTuple):
    """A cell of a confusion matrix: a percentage, the pixels, and how dark it is, from 0 to 100."""

    percent: str
    pixels: str
    ink: int


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix.

    Attributes
    ----------
    names : tuple of str
    cells : tuple of tuple of Cell
        By true class and by class found.
    totals : tuple of str
        Pixels of each true class.
    chart : Picture
        The same as a chart, where cells cannot be coloured.
    """

    kind: ClassVar[str] = "matrix"
    names: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    totals: tuple[str, ...]
    chart: Picture


@dataclass(frozen=True, eq=False)
class Examples:
    """Validation patches; `chart` shows all of them in one picture."""

    kind: ClassVar[str] = "examples"
    examples: tuple[Example, ...]
    schema: ClassSchema
    chart: Picture


Block = Paragraph | Verdict | Command | Picture | Figures | Table | Matrix | Examples


@dataclass(frozen=True)
class Section:
    """A heading, and what stands below it."""

    heading: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        """Its place in the page's address."""
        return re.sub(r"\W+", "-", self.heading.lower()).strip("-")


@dataclass(frozen=True)
class Page:
    """A title, the blocks below it, and sections."""

    title: str
    opening: tuple[Block, ...]
    contents: tuple[Section, ...]
