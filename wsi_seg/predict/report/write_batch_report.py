"""Write the report of many slides: once, or again and again while a batch goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from wsi_seg.errors import OutputError, WsiSegError
from wsi_seg.files.files import remove_partial, write_text
from wsi_seg.files.plain_files import open_plain
from wsi_seg.predict.batch import BatchSummary
from wsi_seg.predict.found import parts_of
from wsi_seg.predict.report.batch_page import BatchPage, as_html
from wsi_seg.predict.report.batch_table import COLUMNS, as_csv
from wsi_seg.predict.report.gathered_slides import gather
from wsi_seg.predict.report.reported_slide import ShownSlide, State
from wsi_seg.predict.report.slide_outcome import read_outcome, waiting_slide

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from wsi_seg.predict.batch import Outcome

PAGE, TABLE = "report.html", "summary.csv"

OURS = {PAGE: b'name="generator" content="wsi-seg', TABLE: ",".join(COLUMNS[:3]).encode()}
"""What the beginning of these files holds if they are reports of ours."""

BEGINNING = 4096

SECONDS, TIMES = 2.0, 50.0
"""While a batch goes on, a report is written so many seconds after the one before, or so many times as long
after it as that took to write: of 500 slides, writing takes a fiftieth of the time at most."""


def write_report(folder: Path, at: Path | None = None) -> tuple[Path, tuple[ShownSlide, ...]]:
    """Write the report of a folder of results; an older one is replaced.

    Parameters
    ----------
    folder : Path
        Holds a batch, or results.
    at : Path, optional
        The folder to write to; by default the same.

    Returns
    -------
    page : Path
    slides : tuple of ShownSlide

    Raises
    ------
    UsageError
        If the folder holds no result.
    OutputError
        If the report cannot be written, or another file has its name.
    """
    found = gather(folder)
    at = folder if at is None else at
    _write(BatchPage(folder, at, found.slides, found.passed_over))
    return at / PAGE, found.slides


def _write(page: BatchPage) -> None:
    for name in (TABLE, PAGE):
        _refuse_others(page.at / name)
        remove_partial(page.at, f"{name}.*")
    write_text(page.at / TABLE, as_csv(page.slides))
    write_text(page.at / PAGE, as_html(page))


def _refuse_others(path: Path) -> None:
    """Refuse to replace a file that is no report."""
    if not path.exists():
        return
    try:
        with open_plain(path) as file:
            ours = OURS[path.name] in file.read(BEGINNING)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}): move it away") from error
    if not ours:
        raise OutputError(f"{path}: is no report of wsi-seg, and is not replaced: move it away")


class LiveReport:
    """The report of a batch that goes on. What goes wrong with it is told, once, and never ends the batch.

    Parameters
    ----------
    folder : Path
        Where the batch's results are.
    tell : callable
        Receives a line.

    Attributes
    ----------
    page : Path or None
        The page, once it is written.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.page: Path | None = None
        self._folder, self._tell = folder, tell
        self._batch = BatchSummary()
        self._parts: dict[str, int] = {}
        self._shown: list[ShownSlide] = []
        self._in_page = 0
        self._due = 0.0
        self._told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is not written yet, however the batch has ended."""
        if self._in_page < len(self._shown):
            self._try_to_write()

    def hear(self, batch: BatchSummary) -> None:
        """Take note of the batch as it is now, and write the report if it is due."""
        self._batch = batch
        self._parts = self._parts or parts_of(batch.slides)
        self._shown += map(self._read, batch.outcomes[len(self._shown) :])
        if time.monotonic() >= self._due:
            self._try_to_write()

    def _read(self, outcome: Outcome) -> ShownSlide:
        try:
            return read_outcome(outcome, self._folder, self._parts[outcome.slide])
        except Exception as error:  # of any kind: it is the report's, and not the slide's
            self._say(error)
            return ShownSlide(outcome.slide, None, State.UNUSABLE, (f"cannot be shown ({error})",))

    def _try_to_write(self) -> None:
        begin = time.monotonic()
        slides = [*self._shown, *map(waiting_slide, self._batch.waiting)]
        try:
            _write(BatchPage(self._folder, self._folder, slides, self._batch.passed_over))
        except Exception as error:  # of any kind, as above
            self._say(error)
        else:
            self.page, self._in_page = self._folder / PAGE, len(self._shown)
        end = time.monotonic()
        self._due = end + max(SECONDS, TIMES * (end - begin))

    def _say(self, error: Exception) -> None:
        if self._told:
            return
        self._told = True
        known = isinstance(error, WsiSegError)
        what = str(error) if known else f"internal error ({type(error).__name__}: {error})"
        line = (
            f"the batch continues without its report: {what}; later, `wsi-seg report {self._folder}` makes it"
        )
        self._tell(" ".join(line.split()))
