"""What the page shows of one slide, and of all slides of one model: names, figures and bars."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from wsi_seg.pages.rendering import data_uri
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.pictures.legend import format_area, format_share
from wsi_seg.wording import counted, duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.models.classes import Rgb
    from wsi_seg.predict.report.reported_slide import ShownClass, ShownSlide


class Bar(NamedTuple):
    """A class in a slide, or in all: its share as a bar, and its figures as text."""

    name: str
    color: Rgb | None
    share: float | None
    percent: str
    area: str
    polygons: int


class Spread(NamedTuple):
    """A class over all slides: its bar, and the least, the middle and the largest share."""

    bar: Bar
    least: str
    middle: str
    largest: str


@dataclass(frozen=True)
class Card:
    """One slide on the page.

    Attributes
    ----------
    slide : ShownSlide
    anchor : str
        Its place in the address of the page; of a copy, that of the original slide, too, in `original`.
    name : str
        What it is called, unlike all others.
    folder : str
        Address of its result folder, from where the page is; empty if there is none.
    """

    slide: ShownSlide
    anchor: str
    name: str
    folder: str
    original: str = ""

    @property
    def bars(self) -> list[Bar]:
        """Its classes, the largest first, the background last; those that are not there are left out."""
        there = [c for c in self.slide.classes if c.figures.mm2 > 0]
        return [_bar(c) for c in sorted(there, key=lambda c: (c.background, -c.figures.mm2))]

    @property
    def stack(self) -> list[Bar]:
        """Its classes but the background, in the schema's order, so that slides can be compared."""
        return [_bar(c) for c in self.slide.tissue if c.figures.share]

    @property
    def absent(self) -> str:
        """Names of the classes that were not found."""
        return ", ".join(c.figures.name for c in self.slide.tissue if c.figures.mm2 == 0)

    @property
    def pictures(self) -> list[tuple[str, str, int, int]]:
        """Address, description, width and height of each picture."""
        says = ("Slide", "Classes")[-len(self.slide.pictures) :] if self.slide.pictures else ()
        return [
            (data_uri(p.jpeg, "image/jpeg"), what, p.width, p.height)
            for p, what in zip(self.slide.pictures, says, strict=True)
        ]

    @property
    def tissue_mm2(self) -> float | None:
        """Area of all classes but the background."""
        return None if self.slide.summary is None else self.slide.summary.tissue_mm2

    @property
    def facts(self) -> str:
        """Its figures in a line."""
        summary = self.slide.summary
        parts = []
        if summary is not None:
            parts += [f"{format_area(summary.tissue_mm2)} of tissue", counted(summary.polygons, "polygons")]
        if self.slide.seconds:
            parts.append(duration(self.slide.seconds))
        return " · ".join(parts)

    @property
    def files(self) -> list[tuple[str, str]]:
        """Name and address of the files of its result that people open."""
        if self.slide.summary is None or self.slide.result is None:
            return []
        result = ResultFolder(self.slide.result)
        paths = (result.overview, result.geojson(True), result.geojson(False), result.summary_json)
        return [(path.name, f"{self.folder}/{quote(path.name)}") for path in paths if path.exists()]

    def share_of(self, name: str) -> float | None:
        """Return the share of a class; None if the slide has none of this name."""
        return next((c.figures.share for c in self.slide.tissue if c.figures.name == name), None)


@dataclass(frozen=True)
class Group:
    """All slides that were segmented by one model."""

    model: str
    fingerprint: str
    notice: str | None
    slides: int
    classes: tuple[Spread, ...]


def _bar(shown: ShownClass) -> Bar:
    c = shown.figures
    percent = "" if c.share is None else format_share(c.share)
    return Bar(c.name, shown.color, c.share, percent, format_area(c.mm2), c.polygons)


def group_of(slides: Sequence[ShownSlide]) -> Group:
    """Add up the classes of slides of one model."""
    first = slides[0].summary
    assert first is not None  # it is what slides are grouped by
    tissue = sum(c.figures.mm2 for slide in slides for c in slide.tissue)
    spreads = []
    for shown in slides[0].tissue:
        same = [c for slide in slides for c in slide.tissue if c.figures.id == shown.figures.id]
        shares = [c.figures.share for c in same if c.figures.share is not None]
        mm2 = sum(c.figures.mm2 for c in same)
        color = next((c.color for c in same if c.color is not None), None)
        share = mm2 / tissue if tissue else 0.0
        polygons = sum(c.figures.polygons for c in same)
        bar = Bar(shown.figures.name, color, share, format_share(share), format_area(mm2), polygons)
        spreads.append(Spread(bar, *(format_share(f(shares)) for f in (min, median, max))))
    return Group(first.model, first.model_fingerprint, first.notice, len(slides), tuple(spreads))
