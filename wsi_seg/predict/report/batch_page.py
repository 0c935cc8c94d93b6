"""The page of many slides: what it shows, in its order, and how it is written."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from wsi_seg.pages.rendering import render
from wsi_seg.predict.report.cards import Card, group_of
from wsi_seg.predict.report.reported_slide import State
from wsi_seg.results.pictures.legend import format_area, format_share
from wsi_seg.wording import counted, duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wsi_seg.predict.report.cards import Group
    from wsi_seg.predict.report.reported_slide import ShownSlide
    from wsi_seg.results.summary import Summary

TEMPLATE = Path(__file__).with_name("batch_report.html")

MOST_NAMED = 30
"""Slides that are named with a line that is said of all of them."""

MOST_VALUES = 3
"""Commands, versions and the like that are listed, if they differ from slide to slide."""

MOST_COLUMNS = 24
"""Classes that the table of all slides has a column for; of more, none has."""


class Tile(NamedTuple):
    """One of the figures that matter most."""

    name: str
    value: str


class Line(NamedTuple):
    """What is said of one slide or of several: the line, whether it is bad, and the slides."""

    line: str
    bad: bool
    cards: list[Card]

    @property
    def more(self) -> int:
        """How many of the slides are not named."""
        return max(0, len(self.cards) - MOST_NAMED)

    @property
    def named(self) -> list[Card]:
        """The slides that are named."""
        return self.cards[:MOST_NAMED]


class Section(NamedTuple):
    """A section of the page, and its place in the address."""

    anchor: str
    heading: str


@dataclass(frozen=True)
class BatchPage:
    """All that the template knows.

    Attributes
    ----------
    folder : Path
        The folder of results.
    at : Path
        The folder that the page is written to.
    slides : sequence of ShownSlide
        In the order of the batch.
    passed_over : sequence of str
        Files beside the slides that are no slides: a line each.
    """

    folder: Path
    at: Path
    slides: Sequence[ShownSlide]
    passed_over: Sequence[str] = ()

    @property
    def title(self) -> str:
        """The title."""
        return f"Slides in {os.path.basename(os.path.abspath(self.folder)) or self.folder}"

    @cached_property
    def contents(self) -> list[Section]:
        """The sections that there are."""
        asked = (
            ("look", f"Needs a look ({sum(c.slide.needs_a_look for c in self.cards)})", bool(self.look_at)),
            ("classes", "Classes", bool(self.groups)),
            ("table", "All slides", len(self.slides) > 1),
            ("slides", "Slide by slide", True),
            ("skipped", "Skipped", bool(self.passed_over)),
            ("made", "How it was made", bool(self.groups)),
        )
        return [Section(anchor, heading) for anchor, heading, there in asked if there]

    @cached_property
    def cards(self) -> list[Card]:
        """The slides."""
        names = [self._name_of(slide) for slide in self.slides]
        anchors = [f"slide-{number}" for number in range(1, len(names) + 1)]
        originals = {
            slide.result: anchor
            for slide, anchor in reversed(list(zip(self.slides, anchors, strict=True)))
            if slide.state != State.COPY
        }
        return [
            Card(
                slide,
                anchor,
                name,
                self._address_of(slide),
                originals.get(slide.result, "") if slide.state == State.COPY else "",
            )
            for slide, anchor, name in zip(self.slides, anchors, names, strict=True)
        ]

    def _name_of(self, slide: ShownSlide) -> str:
        if slide.result is None or slide.state == State.COPY:
            return Path(slide.slide).name
        return os.path.relpath(slide.result, self.folder)

    def _address_of(self, slide: ShownSlide) -> str:
        if slide.result is None:
            return ""
        parts = Path(os.path.relpath(slide.result, self.at)).parts
        return "/".join(quote(os.fsencode(part)) for part in parts)

    @cached_property
    def look_at(self) -> list[Line]:
        """What is said of slides that need a look, each line once, the worst first."""
        said: dict[tuple[bool, str], list[Card]] = {}
        for card in self.cards:
            if card.slide.needs_a_look:
                for line in card.slide.lines:
                    said.setdefault((card.slide.state.urgency != "bad", line), []).append(card)
        return [Line(line, not mild, cards) for (mild, line), cards in sorted(said.items(), key=_mildness)]

    @property
    def waiting(self) -> int:
        """How many slides are not done yet."""
        return sum(slide.state in (State.WAITING, State.UNFINISHED) for slide in self.slides)

    @property
    def tiles(self) -> list[Tile]:
        """The figures that matter most."""
        states = Counter(slide.state for slide in self.slides)
        lost = states[State.FAILED] + states[State.UNUSABLE]
        tiles = [Tile("slides done", f"{len(self.slides) - self.waiting - lost} of {len(self.slides)}")]
        tiles += [
            Tile(name, str(states[state]))
            for name, state in (
                ("failed", State.FAILED),
                ("not usable", State.UNUSABLE),
                ("of them copies", State.COPY),
            )
            if states[state]
        ]
        if self._summaries:
            tissue = sum(summary.tissue_mm2 for summary in self._summaries)
            tiles.append(Tile("tissue", format_area(tissue)))
        seconds = [slide.seconds for slide in self.slides if slide.seconds]
        if seconds:
            tiles += [
                Tile("time of all", duration(sum(seconds))),
                Tile("median of a slide", duration(median(seconds))),
            ]
        return tiles

    @cached_property
    def _summaries(self) -> list[Summary]:
        return [slide.summary for slide in self.slides if slide.summary is not None]

    @property
    def notices(self) -> list[str]:
        """What the makers of the models want every reader to know."""
        return list(dict.fromkeys(s.notice for s in self._summaries if s.notice))

    @cached_property
    def groups(self) -> list[Group]:
        """The slides by the model that segmented them."""
        by_model: dict[str, list[ShownSlide]] = {}
        for slide in self.slides:
            if slide.summary is not None:
                by_model.setdefault(slide.summary.model_fingerprint, []).append(slide)
        return [group_of(slides) for slides in by_model.values()]

    @cached_property
    def columns(self) -> list[str]:
        """The classes that the table has a column for."""
        names = dict.fromkeys(c.figures.name for slide in self.slides for c in slide.tissue)
        return list(names) if len(names) <= MOST_COLUMNS else []

    @property
    def made_by(self) -> list[tuple[str, str]]:
        """Software, settings and commands, each with how many slides it is of, if not of all."""
        return [
            *_told_apart("software", (_listed(s.versions) for s in self._summaries)),
            *_told_apart("network", (s.network for s in self._summaries)),
            *_told_apart("um per label px", (f"{s.label_mpp[0]:.4g}" for s in self._summaries)),
            *_told_apart("command", (s.command for s in self._summaries)),
        ]

    @property
    def written(self) -> str:
        """When the page was written."""
        return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")

    @staticmethod
    def percent(share: float | None) -> str:
        """Return a share as text; nothing for none."""
        return "" if share is None else format_share(share)

    @staticmethod
    def area(mm2: float) -> str:
        """Return an area as text."""
        return format_area(mm2)

    @staticmethod
    def duration(seconds: float) -> str:
        """Return a time as text."""
        return duration(seconds) if seconds else ""


def as_html(page: BatchPage) -> str:
    """Return the page for browsers, whole in one file."""
    return render(TEMPLATE, page)


def _mildness(said: tuple[tuple[bool, str], object]) -> bool:
    return said[0][0]


def _told_apart(name: str, values: Iterable[str]) -> list[tuple[str, str]]:
    """Return a name and its values, each with the number of slides it is of; the commonest, if many."""
    counts = Counter(values)
    if len(counts) == 1:
        return [(name, value) for value in counts]
    told = [
        (f"{name} ({counted(count, 'slides')})", value) for value, count in counts.most_common(MOST_VALUES)
    ]
    more = len(counts) - len(told)
    return [*told, (name, f"and {more} more")] if more else told


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
