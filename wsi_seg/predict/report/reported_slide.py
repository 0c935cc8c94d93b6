"""What a report knows of one slide: what became of it, its classes, its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.results.familiarity import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.models.classes import Rgb
    from wsi_seg.results.pictures.thumbnail import Thumbnail
    from wsi_seg.results.summary import ClassSummary, Summary


class State(StrEnum):
    """What became of a slide, in a word or two."""

    FINISHED = "finished"
    NOTHING_FOUND = "nothing found"
    PARTLY_UNREADABLE = "partly unreadable"
    COPY = "copy"
    WAITING = "waiting"
    UNFINISHED = "not finished"
    UNUSABLE = "not usable"
    FAILED = "failed"

    @property
    def urgency(self) -> str:
        """The part of the style that shows it: bad, odd, or nothing."""
        bad = (State.FAILED, State.UNUSABLE, State.PARTLY_UNREADABLE)
        odd = (State.WAITING, State.UNFINISHED, State.NOTHING_FOUND)
        return "bad" if self in bad else "odd" if self in odd else ""


class ShownClass(NamedTuple):
    """A class in one slide, with its colour if the labels could be read."""

    figures: ClassSummary
    color: Rgb | None
    background: bool


@dataclass(frozen=True)
class ShownSlide:
    """One slide of a report.

    Attributes
    ----------
    slide : str
        Its path, as it was named.
    result : Path or None
        Its result folder, complete or not; for a copy, that of the original slide.
    state : State
    lines : tuple of str
        What there is to be said: errors, and what needs a look.
    seconds : float
    summary : Summary or None
        Of its result, if that can be used.
    classes : tuple of ShownClass
        In the order of the schema.
    pictures : tuple of Thumbnail
        The slide, and the classes over it; of a plain image, the classes over it alone.
    remarks : tuple of str
        What else is to be said, which needs no look.
    """

    slide: str
    result: Path | None
    state: State
    lines: tuple[str, ...] = ()
    seconds: float = 0.0
    summary: Summary | None = None
    classes: tuple[ShownClass, ...] = ()
    pictures: tuple[Thumbnail, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def tissue(self) -> tuple[ShownClass, ...]:
        """All classes but the background."""
        return tuple(c for c in self.classes if not c.background)

    @property
    def unfamiliar(self) -> bool:
        """Whether its tissue is unlike what the model was trained on."""
        familiarity = None if self.summary is None else self.summary.familiarity
        return familiarity is not None and familiarity.verdict == Verdict.UNFAMILIAR

    @property
    def needs_a_look(self) -> bool:
        """Whether it is named among what needs a look."""
        return bool(self.lines) and self.state not in (State.COPY, State.WAITING)
