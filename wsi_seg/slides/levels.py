"""Which level of a slide is read, and the remarks about that."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from wsi_seg.slides.agreement import Agreement, Verdict, compare_levels
from wsi_seg.slides.readers.images import remark_on_images

if TYPE_CHECKING:
    from wsi_seg.slides.frames import Frames
    from wsi_seg.slides.slide import Slide

LEVEL_0 = (0,)
"""The levels to read from where only level 0 is wanted."""

EXCHANGED = frozenset({"aperio", "dicom", "generic-tiff"})
"""Formats that programs convert slides to: their levels are read as they are stored, where possible."""


class LevelRead(BaseModel):
    """A level that pixels were read from.

    Attributes
    ----------
    level : int
        Its index; 0 is the finest.
    downsample : (float, float)
        Slide pixels per level pixel in x and y.
    mpp : (float, float)
        Micrometres per level pixel in x and y.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: int
    downsample: tuple[float, float]
    mpp: tuple[float, float]

    @classmethod
    def of(cls, slide: Slide, frames: Frames) -> LevelRead:
        """Return the level that a frame of a slide is read from."""
        index = slide.level_for(frames)
        level = slide.levels[index]
        x, y = frames.slide_mpp
        downsample = level.scale_x, level.scale_y
        return cls(level=index, downsample=downsample, mpp=(x * downsample[0], y * downsample[1]))

    def __str__(self) -> str:
        return f"level {self.level} (1/{self.downsample[0]:g}, {self.mpp[0]:.4g} um per px)"


class LevelChoice:
    """Chooses among a slide's levels. May be used from several threads.

    Parameters
    ----------
    given : tuple of int or None
        The levels that may be read from; None: those that show what level 0 shows.
    """

    def __init__(self, given: tuple[int, ...] | None) -> None:
        self.given = given
        self._compared: tuple[Agreement, ...] | None = None
        self._lock = threading.Lock()

    def agreements(self, slide: Slide) -> tuple[Agreement, ...]:
        """Return the results of comparing levels 1, 2 and so on; computed on the first call."""
        with self._lock:
            if self._compared is None:
                self._compared = compare_levels(slide)
            return self._compared

    def in_order(self, slide: Slide) -> tuple[int, ...]:
        """Return the levels that may be read from."""
        if self.given is not None:
            return self.given
        return (0, *(found.level for found in self.agreements(slide) if found.in_order))

    def best(self, slide: Slide, downsample: tuple[float, float]) -> int:
        """Return the coarsest level in order that is at least as fine as a frame."""
        fine_enough = [
            i
            for i, level in enumerate(slide.levels)
            if level.scale_x <= downsample[0] * 1.001 and level.scale_y <= downsample[1] * 1.001
        ]
        if max(fine_enough, default=0) == 0:
            return 0
        in_order = set(self.in_order(slide)).intersection(fine_enough)
        return max(in_order, default=0, key=lambda i: slide.levels[i].scale_x)


def remarks_on_levels(slide: Slide) -> tuple[str, ...]:
    """Return remarks on a slide's levels, and on the image, if several of a file may be the slide."""
    several = None
    if slide.series is None and slide.format == "generic-tiff":
        several = remark_on_images(slide.path)
    return (*([] if several is None else [several]), *_remarks_on_order(slide), *_remarks_on_shifts(slide))


def _remarks_on_order(slide: Slide) -> tuple[str, ...]:
    """Return remarks on the levels that are not in order; none where only level 0 is read."""
    if slide.choice.given == LEVEL_0:
        return ()
    differ, damaged, unknown = (
        [found for found in slide.agreements if found.verdict is verdict]
        for verdict in (Verdict.DIFFERS, Verdict.UNREADABLE, Verdict.UNKNOWN)
    )
    lines = []
    if differ:
        show, are = ("show", "are") if len(differ) > 1 else ("shows", "is")
        lines.append(
            f"{slide.path}: {_named(differ)} of the file {show} something else than level 0 and {are} not "
            "read: convert the slide again"
        )
    if damaged:
        lines.append(
            f"{slide.path}: {_named(damaged)} of the file cannot be read where that was tried, and "
            f"{'are' if len(damaged) > 1 else 'is'} not read: copy or convert the slide again"
        )
    if unknown:
        lines.append(
            f"{slide.path}: {_named(unknown)} could not be compared with a finer level, which cannot be read "
            "or is empty where that was tried"
        )
    return tuple(lines)


def _remarks_on_shifts(slide: Slide) -> tuple[str, ...]:
    """Return a remark where pixels that other containers give as they are stored are not given so."""
    if slide.choice.given == LEVEL_0 or not slide.shifts or slide.format not in EXCHANGED:
        return ()
    return (
        f"{slide.path}: the sides of its coarser levels are rounded, and OpenSlide, which alone reads them, "
        "shifts them by up to half of their pixels: convert the slide to OME-TIFF if that matters",
    )


def _named(found: list[Agreement]) -> str:
    numbers = [str(one.level) for one in found]
    return f"level{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
