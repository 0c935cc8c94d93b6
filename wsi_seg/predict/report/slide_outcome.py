"""Read what a report shows of a slide: from the record of a batch, and from the folder of its result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from wsi_seg.errors import OutputError
from wsi_seg.predict.batch import NoResult
from wsi_seg.predict.found import holds_result, lacking, place_of
from wsi_seg.predict.report.reported_slide import ShownClass, ShownSlide, State
from wsi_seg.results.familiarity import Verdict
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.labels.seals import GO_ON, DamagedError, damages
from wsi_seg.results.pictures.thumbnail import thumbnail_of, thumbnails
from wsi_seg.results.summary import Status, read_summary
from wsi_seg.results.whole import EDITED
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from wsi_seg.predict.batch import Outcome
    from wsi_seg.results.labels.read_labels import LabelPyramid
    from wsi_seg.results.pictures.thumbnail import Thumbnail
    from wsi_seg.results.summary import Summary

STATES = {
    Status.FINISHED: State.FINISHED,
    Status.NOTHING_FOUND: State.NOTHING_FOUND,
    Status.PARTLY_UNREADABLE: State.PARTLY_UNREADABLE,
}
WHOLE = "copy the whole folder, hidden files too"


def waiting_slide(slide: str) -> ShownSlide:
    """Show a slide of a batch that is not done yet."""
    return ShownSlide(slide, None, State.WAITING)


def read_outcome(outcome: Outcome, folder: Path, parts: int) -> ShownSlide:
    """Read what became of a slide of a batch.

    Parameters
    ----------
    outcome : Outcome
    folder : Path
        Where the batch's results are now.
    parts : int
        How many parts of its path tell the slide from the others.
    """
    result = place_of(folder, outcome)
    if outcome.status == NoResult.COPY:
        return ShownSlide(outcome.slide, result, State.COPY)
    damage = lacking(folder, outcome, parts)
    if damage is not None:
        there = result if holds_result(result) else None
        if outcome.error is None:
            return ShownSlide(outcome.slide, there, State.UNUSABLE, (str(damage),), outcome.seconds)
        return ShownSlide(outcome.slide, there, State.FAILED, (outcome.error,), outcome.seconds)
    if holds_result(result):
        return read_result(result, outcome.slide)
    return _read_image(outcome, result)


def read_result(folder: Path, slide: str | None = None) -> ShownSlide:
    """Read a result folder; one that cannot be used says why.

    Parameters
    ----------
    folder : Path
    slide : str, optional
        What the slide is called; by default what its summary says.
    """
    result = ResultFolder(folder)
    known = slide or str(folder)
    try:
        summary, remark = _summary_of(result)
    except OutputError as error:
        return ShownSlide(known, folder, State.UNUSABLE, (str(error),))
    if summary is None:
        return ShownSlide(known, folder, State.UNFINISHED, (f"{folder}: not finished: {GO_ON}",))
    lines = [remark] if remark else []
    pictures: tuple[Thumbnail, ...] = ()
    classes = _classes_of(summary, None)
    try:
        labels = read_labels(result.zarr)
        classes = _classes_of(summary, labels)
        pictures = thumbnails(labels)
    except OutputError as error:
        lines.append(str(error))
    state = STATES[summary.status]
    return ShownSlide(
        slide=slide or summary.slide,
        result=folder,
        state=State.UNUSABLE if lines else state,
        lines=(*lines, *_to_look_at(summary)),
        seconds=summary.seconds.get("total", 0.0),
        summary=summary,
        classes=classes,
        pictures=pictures,
        remarks=_remarks_on(summary),
    )


def _summary_of(result: ResultFolder) -> tuple[Summary | None, str | None]:
    """Return the summary of a finished result, and a remark if nothing says whether it is unchanged.

    Raises
    ------
    OutputError
        If record or summary cannot be used, or the summary has changed since it was written.
    """
    if not result.record_path.exists() and result.zarr.exists():
        remark = f"{result.folder}: has no record, so that nothing says whether it is unchanged: {WHOLE}"
        return read_summary(result.summary_json), remark
    record = result.read_record()
    if record is None or record.progress != "finished":
        return None, None
    name = result.summary_json.name
    if record.files is not None and name in record.files:
        for damage in damages(result.folder, {name: record.files[name]}):
            raise DamagedError(replace(damage, remedy=EDITED))
    return read_summary(result.summary_json), None


def _classes_of(summary: Summary, labels: LabelPyramid | None) -> tuple[ShownClass, ...]:
    """Return the classes with their colours. The background is the class without a share."""
    colors = {} if labels is None else {c.id: c.color for c in labels.schema.classes}
    return tuple(ShownClass(c, colors.get(c.id), c.share is None) for c in summary.classes)


def _to_look_at(summary: Summary) -> tuple[str, ...]:
    """Return what a reader should look at."""
    lines = []
    if summary.unprocessed_mm2:
        lines.append(
            f"{counted(summary.unreadable_tiles, 'tiles')} could not be decoded: "
            f"{summary.unprocessed_mm2:.4f} mm2 left unprocessed; copy or export the slide again"
        )
    if summary.status == Status.NOTHING_FOUND:
        lines.append("nothing but background was found")
    if summary.familiarity is not None and summary.familiarity.verdict == Verdict.UNFAMILIAR:
        lines.append(summary.familiarity.line)
    return tuple(lines)


def _remarks_on(summary: Summary) -> tuple[str, ...]:
    """Return further remarks."""
    familiar = summary.familiarity
    line = () if familiar is None or familiar.verdict == Verdict.UNFAMILIAR else (familiar.line,)
    read_from = () if summary.read_from is None else (f"read from {summary.read_from}",)
    return (*line, *read_from, *summary.level_remarks, *summary.roi_remarks)


def _read_image(outcome: Outcome, result: Path) -> ShownSlide:
    """Show a plain image, whose result is pictures."""
    overlay = result / f"{Path(outcome.slide).stem}_overlay.png"
    with Image.open(overlay) as picture:
        shown = thumbnail_of(picture)
    diagnosis = () if outcome.diagnosis is None else (f"diagnosis {outcome.diagnosis}",)
    return ShownSlide(
        outcome.slide, result, State.FINISHED, (), outcome.seconds, pictures=(shown,), remarks=diagnosis
    )
