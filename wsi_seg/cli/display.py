"""The display of progress: bars on a terminal, plain lines elsewhere, nothing with --quiet."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wsi_seg.cli.terminal import say
from wsi_seg.errors import printable
from wsi_seg.progress import Progress, TrainingProgress
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LINE_SECONDS = 10.0

FORESEEN_FROM = 0.02
"""The share of the work from which on the time left is said: a sliver of a region tells nothing of it."""


def said(rate: float) -> str:
    """Return a rate in MP/s in three digits, after a comma; nothing of one that is next to none.

    Examples
    --------
    >>> said(23.456), said(0.0345), said(0.00001)
    (', 23.5 MP/s', ', 0.0345 MP/s', '')
    """
    return f", {rate:.3g} MP/s" if rate >= 0.001 else ""


class PlainProgress(Progress):
    """Plain lines on stderr, one every ten seconds at most."""

    def __init__(self) -> None:
        self._regions = self._done = 0
        self._unit = ""
        self._megapixels = self._finished = 0.0
        self._begin = self._last = 0.0

    def say(self, text: str) -> None:
        say(text, err=True)

    def begin(self, slide: str, regions: int, done: int, megapixels: float, unit: str = "regions") -> None:
        self._regions, self._done, self._unit = regions, done, unit
        self._megapixels, self._finished = megapixels, 0.0
        self._begin = self._last = time.monotonic()
        self.say(f"{slide}: {counted(regions - done, unit)}, {megapixels:.1f} MP")

    def advance(self, megapixels: float) -> None:
        self._done += 1
        self._finished += megapixels
        now = time.monotonic()
        if now - self._last < LINE_SECONDS and self._done < self._regions:
            return
        self._last = now
        rate = self._finished / max(now - self._begin, 1e-6)
        line = f"  {self._done}/{self._regions} {self._unit}{said(rate)}"
        if self._finished >= FORESEEN_FROM * self._megapixels:
            line += f", {max(self._megapixels - self._finished, 0.0) / max(rate, 1e-6):.0f} s left"
        self.say(line)


class BarProgress(Progress):
    """One bar for the slide, and one for the batch if there are several slides."""

    def __init__(self, bars: Bars, slides: int) -> None:
        self._bars = bars
        self._batch = bars.add_task("all slides", total=slides, unit="slides") if slides > 1 else None
        self._slide: TaskID | None = None
        self._unit = ""
        self._begin = self._finished = 0.0

    def say(self, text: str) -> None:
        self._bars.console.print(printable(text), highlight=False, markup=False)

    def begin(self, slide: str, regions: int, done: int, megapixels: float, unit: str = "regions") -> None:
        self._begin, self._finished, self._unit = time.monotonic(), 0.0, unit
        self._slide = self._bars.add_task(printable(slide), total=regions, completed=done, unit=unit)

    def advance(self, megapixels: float) -> None:
        assert self._slide is not None  # `begin` comes first
        self._finished += megapixels
        rate = self._finished / max(time.monotonic() - self._begin, 1e-6)
        self._bars.update(self._slide, advance=1, unit=f"{self._unit}{said(rate)}")

    def end(self) -> None:
        if self._slide is not None:
            self._bars.remove_task(self._slide)
            self._slide = None

    def next_slide(self) -> None:
        """Note that a slide of the batch is done or has failed."""
        if self._batch is not None:
            self._bars.advance(self._batch)


@contextmanager
def shown(slides: int, quiet: bool) -> Iterator[Progress]:
    """Choose the display of progress, and show it."""
    if quiet:
        yield Progress()
        return
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    from rich import progress as rich
    from rich.console import Console

    with rich.Progress(
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[unit]}", markup=False),
        rich.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        yield BarProgress(bars, slides)


class PlainTraining(TrainingProgress):
    """Plain lines on stderr, one every ten seconds at most."""

    def __init__(self) -> None:
        self._last = 0.0
        self._stage = self._validated = ""

    def say(self, text: str) -> None:
        say(text, err=True)

    def begin(self, stage: int, stages: int, validated: str = "") -> None:
        self._stage = f"stage {stage} of {stages}, " if stages > 1 else ""
        self._validated = validated

    def advance(self, share: float, seconds: float, loss: float | None, miou: float | None) -> None:
        now = time.monotonic()
        if now - self._last < LINE_SECONDS and share < 1:
            return
        self._last = now
        shown = figures(loss, miou, self._validated)
        self.say(f"  {self._stage}{100 * share:.0f} %, {seconds:.0f} s{shown}")

    def score(self, done: int, count: int, unit: str) -> None:
        now = time.monotonic()
        if done == 0:
            self._last = now
        elif now - self._last >= LINE_SECONDS and done < count:
            self._last = now
            self.say(f"  {done}/{count} {unit}")


class BarTraining(TrainingProgress):
    """One bar for the current stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._validated = ""

    def say(self, text: str) -> None:
        self._bars.console.print(printable(text), highlight=False, markup=False)

    def begin(self, stage: int, stages: int, validated: str = "") -> None:
        name = f"training {stage}/{stages}" if stages > 1 else "training"
        self._task, self._validated = self._bars.add_task(name, total=1.0, figures=""), validated

    def advance(self, share: float, seconds: float, loss: float | None, miou: float | None) -> None:
        assert self._task is not None  # `begin` comes first
        self._bars.update(self._task, completed=share, figures=figures(loss, miou, self._validated))

    def end(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None

    def score(self, done: int, count: int, unit: str) -> None:
        if self._task is None:
            self._task = self._bars.add_task("scoring", total=count, figures=unit)
        self._bars.update(self._task, completed=done)
        if done == count:
            self.end()


def figures(loss: float | None, miou: float | None, validated: str) -> str:
    """Describe the known figures of a training, and the validation data."""
    parts = [] if loss is None else [f", loss {loss:.3f}"]
    parts += [] if miou is None else [f", mIoU {miou:.3f} on {validated}"]
    return "".join(parts)


@contextmanager
def listening(quiet: bool) -> Iterator[TrainingProgress]:
    """Show the progress of a training, as bars or as lines."""
    if quiet:
        yield TrainingProgress()
        return
    if not sys.stderr.isatty():
        yield PlainTraining()
        return
    from rich import progress as rich
    from rich.console import Console

    with rich.Progress(
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[figures]}", markup=False),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        yield BarTraining(bars)
