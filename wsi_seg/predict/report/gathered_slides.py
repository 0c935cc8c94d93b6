"""Find the slides that a folder of results tells of: those of its batch, then all other results in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.files.document import DocumentError
from wsi_seg.predict.batch import BATCH, READ_AGAIN, BatchSummary
from wsi_seg.predict.found import holds_result, parts_of, require_folder
from wsi_seg.predict.report.reported_slide import ShownSlide, State
from wsi_seg.predict.report.slide_outcome import read_outcome, read_result, waiting_slide

if TYPE_CHECKING:
    from pathlib import Path

DEPTH = 2
"""How deep results may lie: ``results/slide``, or ``results/1/slide``, as of jobs with a folder each."""


class Gathered(NamedTuple):
    """The slides of a folder, and what was passed over beside them."""

    slides: tuple[ShownSlide, ...]
    passed_over: tuple[str, ...]


def gather(folder: Path) -> Gathered:
    """Read all that a folder of results tells of.

    Raises
    ------
    UsageError
        If it holds neither a batch nor a result, or is one result.
    OutputError
        If a folder cannot be read.
    """
    require_folder(folder)
    if holds_result(folder):
        if (folder / ".wsi-seg" / "training.json").exists():
            raise UsageError(f"{folder}: is a training: its report is {folder / 'report' / 'report.html'}")
        raise UsageError(f"{folder}: is the result of one slide: name the folder that it lies in")
    slides, passed_over = _within(folder, DEPTH)
    if not slides:
        raise UsageError(f"{folder}: holds no result: name the folder that `wsi-seg predict -o` wrote to")
    return Gathered(tuple(slides), tuple(passed_over))


def _within(folder: Path, depth: int) -> tuple[list[ShownSlide], list[str]]:
    slides, passed_over = _of_batch(folder) if (folder / BATCH).exists() else ([], [])
    known = {slide.result for slide in slides if slide.result is not None}
    for path in _folders_in(folder):
        if path in known:
            continue
        if holds_result(path):
            slides.append(read_result(path))
        elif depth > 1 and not path.name.endswith(".zarr"):
            deeper, more = _within(path, depth - 1)
            slides += deeper
            passed_over += more
    return slides, passed_over


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read ({error.strerror}): make it readable") from error


def _of_batch(folder: Path) -> tuple[list[ShownSlide], list[str]]:
    try:
        batch = BatchSummary.read(folder / BATCH, READ_AGAIN)
    except DocumentError as error:
        return [ShownSlide(str(folder / BATCH), None, State.UNUSABLE, (str(error),))], []
    parts = parts_of(batch.slides)
    slides = [read_outcome(outcome, folder, parts[outcome.slide]) for outcome in batch.outcomes]
    return [*slides, *map(waiting_slide, batch.waiting)], list(batch.passed_over)
