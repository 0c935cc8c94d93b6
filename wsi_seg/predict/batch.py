"""Many slides, one after another, and the outcome of each; the batch's file is written after each slide."""

from __future__ import annotations

import os
import re
import traceback
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from wsi_seg.errors import NoSchedulerError, OutputError, WsiSegError, printable
from wsi_seg.files.digests import digest_file
from wsi_seg.files.document import Document
from wsi_seg.files.files import remove_partial, write_text, writing
from wsi_seg.results.familiarity import Verdict
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.summary import Status
from wsi_seg.shortage import Shortage, shortage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wsi_seg.predict.jobs import Job, Jobs

BATCH = "batch.json"
"""Name of the record of a batch, beside the results of its slides."""

READ_AGAIN = "run `wsi-seg predict` on its slides again"
"""What helps against one that cannot be read."""

TRACEBACK_SUFFIX = ".traceback.txt"
"""End of the name of the file that keeps an unexpected error, after the name of the slide's result."""


SURROGATES = re.compile("[\ud800-\udfff]")


def _storable(text: str) -> str:
    r"""Return a text that JSON can hold: bytes of a file name that are not UTF-8 are escaped, as `\xe9`."""
    return SURROGATES.sub(lambda found: printable(found[0]), text)


Text = Annotated[str, BeforeValidator(_storable)]


class NoResult(StrEnum):
    """Why a slide of a batch has no result of its own."""

    FAILED = "failed"
    COPY = "copy of a slide before it"


class Outcome(BaseModel):
    """The outcome of one slide.

    Attributes
    ----------
    slide : str
    result : str or None
        The folder with its result, also an incomplete one; for a copy, that of the original slide.
    status : Status or NoResult
    error : str or None
        The error's line, if the slide failed.
    left : str or None
        Digest of the record of an earlier run's result that was in the folder when the slide failed.
    unprocessed_mm2 : float
    seconds : float
    familiarity : Verdict or None
        Of the slide's tissue; None without tissue.
    diagnosis : int or None
        Of a plain image, by a model with a diagnosis head.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slide: Text
    result: Text | None
    status: Status | NoResult
    error: Text | None = None
    left: str | None = None
    unprocessed_mm2: float = 0.0
    seconds: float = 0.0
    familiarity: Verdict | None = None
    diagnosis: int | None = None

    @property
    def good(self) -> bool:
        """Whether the whole slide was segmented."""
        return self.error is None and self.unprocessed_mm2 == 0


class BatchSummary(Document):
    """The outcomes of a batch.

    Attributes
    ----------
    outcomes : tuple of Outcome
        Of the slides that are done or failed, in order.
    waiting : tuple of str
        Slides that are not started, or that were running when the batch was interrupted; none at the end.
    passed_over : tuple of str
        Files beside the slides that are not slides: a line each.
    """

    outcomes: tuple[Outcome, ...] = ()
    waiting: tuple[Text, ...] = ()
    passed_over: tuple[Text, ...] = ()

    @property
    def slides(self) -> tuple[str, ...]:
        """All slides, in order."""
        return (*(outcome.slide for outcome in self.outcomes), *self.waiting)

    @property
    def good(self) -> bool:
        """Whether every slide was segmented completely."""
        return not self.waiting and all(outcome.good for outcome in self.outcomes)

    def after(self, outcome: Outcome) -> BatchSummary:
        """Return the batch after the next slide's outcome."""
        return self.model_copy(update={"outcomes": (*self.outcomes, outcome), "waiting": self.waiting[1:]})

    def write(self, path: Path) -> None:
        """Write it as JSON, completely or not at all.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        write_text(path, self.model_dump_json(indent=2) + "\n")


def run_batch(
    jobs: Jobs,
    record: Path,
    run: Callable[[Job], Outcome],
    tell: Callable[[str], None],
    heard: Callable[[BatchSummary], None] = lambda _: None,
) -> BatchSummary:
    """Do every job; a job that fails, in any way, is reported and recorded, and the next one begins.

    Parameters
    ----------
    jobs : Jobs
    record : Path
        Where the record is written, before the first slide and after each.
    run : callable
        Does one job.
    tell : callable
        Receives each error, as one line.
    heard : callable
        Receives the batch as it is, before the first slide and after each.

    Raises
    ------
    OutputError
        If the file cannot be written: before the first slide, or at the end, after all slides.
    NoSchedulerError
        If no scheduler answers: the next slide, and all after it, then wait.
    """
    waiting = tuple(str(job.path) for job in jobs.jobs)
    batch = BatchSummary(waiting=waiting, passed_over=jobs.passed_over)
    remove_partial(record.parent, f"{record.name}.*")
    batch.write(record)
    heard(batch)
    unwritten: OutputError | None = None
    for job in jobs.jobs:
        try:
            batch = batch.after(_outcome(job, run, tell))
        except NoSchedulerError as error:
            wait = "1 slide waits" if len(batch.waiting) == 1 else f"{len(batch.waiting)} slides wait"
            raise NoSchedulerError(
                f"{error}; {wait} (listed in {record}): run the same command again for the rest"
            ) from error
        try:
            batch.write(record)
            unwritten = None
        except OutputError as error:
            tell(str(error))
            unwritten = error
        heard(batch)
    if unwritten is not None:
        raise unwritten
    return batch


def _outcome(job: Job, run: Callable[[Job], Outcome], tell: Callable[[str], None]) -> Outcome:
    kept = job.out.with_name(job.out.name + TRACEBACK_SUFFIX)
    try:
        with writing(kept):
            kept.unlink(missing_ok=True)  # of an earlier run
        return run(job)
    except NoSchedulerError:
        raise
    except Exception as error:  # any error ends this slide, not the batch
        line = _line(job, error, kept)
    tell(line)
    result = str(job.out) if os.path.exists(job.out) else None
    return Outcome(
        slide=str(job.path), result=result, status=NoResult.FAILED, error=line, left=record_digest(job.out)
    )


def record_digest(result: Path) -> str | None:
    """Return the digest of the record in a result folder, which identifies the run."""
    try:
        return digest_file(ResultFolder(result).record_path)
    except OSError:  # missing or unreadable: not a result
        return None


def _line(job: Job, error: Exception, kept: Path) -> str:
    lack = shortage(error)
    foreseen = isinstance(error, WsiSegError)
    if lack is not None and not (foreseen and lack == Shortage.MEMORY):
        return f"{job.path}: {lack}"
    return " ".join(str(error).split()) if foreseen else _unexpected(job, error, kept)


def _unexpected(job: Job, error: Exception, kept: Path) -> str:
    """Keep the traceback of an unexpected error; return the line for the user."""
    what = " ".join(f"{job.path}: internal error ({type(error).__name__}: {error})".split())
    try:
        write_text(kept, "".join(traceback.format_exception(error)))
    except OutputError as unwritten:
        return f"{what}: please report it; its traceback is lost ({unwritten})"
    return f"{what}: please report it with {kept}; run the same command again to try this slide once more"
