"""A folder of results: what is there now of each slide, also while a batch runs."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wsi_seg.errors import AnnotationError, OutputError
from wsi_seg.predict.batch import BatchSummary, NoResult
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.pictures.painting import paint_classes
from wsi_seg.results.summary import read_summary
from wsi_seg.slides.lattice import Rect
from wsi_seg.view.matched_outlines import MatchedOutlines
from wsi_seg.view.open_to_view import open_result
from wsi_seg.view.results_below import results_in
from wsi_seg.view.unfinished import read_underway
from wsi_seg.view.watched_files import Watch, stamp_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image
    from pydantic import JsonValue

    from wsi_seg.predict.batch import Outcome
    from wsi_seg.results.labels.read_labels import LabelPyramid
    from wsi_seg.results.record import RunRecord
    from wsi_seg.results.summary import Summary
    from wsi_seg.view.shelf import Shelf
    from wsi_seg.view.shown_slide import Json, Shown
    from wsi_seg.view.watched_files import Stamp

BATCH = "batch.json"
CANNOT_BE_USED = "cannot be used"
SIDE = 180
"""Longest side of a thumbnail in pixels."""


@dataclass
class _Known:
    """What was read of a result, and of which state of its files."""

    number: int
    stamps: tuple[Stamp, ...] = ()
    row: Json = field(default_factory=dict)
    slide: str | None = None
    thumbnail: bytes | None = None
    version: int = 0


class Listing:
    """The results in a folder, each on the shelf under a number.

    Parameters
    ----------
    folder : Path
    shelf : Shelf
    outlines : sequence of Path
        Annotation files to show beside, or folders of them; each is of the slide that it is named after.
    """

    def __init__(self, folder: Path, shelf: Shelf, outlines: Sequence[Path] = ()) -> None:
        self._folder, self._shelf = folder, shelf
        self._outlines = MatchedOutlines(outlines)
        self._known: dict[Path, _Known] = {}
        self._colors: dict[str, dict[int, list[JsonValue]]] = {}

    def about(self) -> Json:
        """Return a row for each slide: those with a result, those that failed, those that wait.

        Raises
        ------
        OutputError
            If the folder cannot be read.
        """
        batch, line = _batch(self._folder)
        found = results_in(self._folder)
        rows = [self._row(path) for path in found.results]
        for outcome in batch.outcomes:
            self._add(rows, outcome)
        begun = {row["of"] for row in rows if "of" in row}
        waiting = [slide for slide in batch.waiting if os.path.abspath(slide) not in begun]
        rows += [_row(Path(slide).name, "waiting", None) for slide in waiting]
        slides = [(path.name, known.slide) for path, known in self._known.items()]
        slides += [(Path(slide).name, slide) for slide in batch.slides]
        return {
            "name": self._folder.resolve().name,
            "path": str(self._folder),
            "rows": list(rows),
            "notices": [
                *([line] if line else []),
                *found.lines,
                *batch.passed_over,
                *self._outlines.strangers(slides),
            ],
            "running": bool(batch.waiting) or any("of" in row for row in rows),
        }

    def _add(self, rows: list[Json], outcome: Outcome) -> None:
        """Add what a batch says of a slide that has no finished result: that it failed, or is a copy."""
        row = _without_result(outcome)
        if row is None:
            return
        there = next((other for other in rows if other["result"] == row["result"]), None)
        if row["result"] is None or there is None:
            rows.append(row)
        elif there["state"] == "not finished":  # what is done of it can be looked at all the same
            there.update(state=row["state"], line=row["line"], slide=row["slide"])
        elif there["state"] == CANNOT_BE_USED:
            rows[rows.index(there)] = row

    def picture(self, name: str) -> bytes:
        """Return the thumbnail of a result by its number: the classes over the slide, as a JPEG file.

        Raises
        ------
        KeyError
            If there is no such result, or it has no labels that can be read.
        """
        found = next(
            ((path, known) for path, known in self._known.items() if str(known.number) == name), None
        )
        if found is None:
            raise KeyError(name)
        path, known = found
        if known.thumbnail is None:
            try:
                known.thumbnail = _thumbnail(ResultFolder(path))
            except OutputError as error:
                raise KeyError(name) from error
        if known.thumbnail is None:
            raise KeyError(name)
        return known.thumbnail

    def _open(self, path: Path) -> Shown:
        """Open a result with its outlines; where those are in error, the page says so, and shows the rest."""
        files = self._outlines.of(path.name, self._known[path].slide)
        watch = Watch()
        watch.file(*files)
        try:
            return open_result(path, files)
        except AnnotationError as error:
            shown = open_result(path)
            shown.watch.join(watch)  # they may be mended
            return replace(shown, notices=(*shown.notices, str(error)))

    def _row(self, path: Path) -> Json:
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = _Known(self._shelf.add(partial(self._open, path)))
        result = ResultFolder(path)
        stamps = tuple(map(stamp_of, (result.record_path, result.summary_json, result.ledger)))
        if "of" in known.row or not known.row or stamps != known.stamps:
            known.version += stamps != known.stamps
            known.stamps, known.thumbnail = stamps, None
            known.row = self._read(result, known)
            files = self._outlines.of(path.name, known.slide)
            known.row["outlines"] = [file.name for file in files]
            known.row["version"] = known.version  # with it, a page asks for the picture
        return known.row

    def _name_of(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _read(self, result: ResultFolder, known: _Known) -> Json:
        name = self._name_of(result.folder)
        try:
            record = result.read_record() if result.record_path.exists() else None
            if record is not None and record.progress != "finished":
                known.slide = record.slide
                return self._underway(result, record, known.number)
            summary = read_summary(result.summary_json)
            known.slide = summary.slide
        except OutputError as error:
            return _row(name, CANNOT_BE_USED, name, str(error))
        return {
            # By the result, which has a name of its own, as the files of a DICOM slide have not.
            **_row(name, str(summary.status), name),
            "number": known.number,
            "pictured": True,
            "model": summary.model,
            "tissue_mm2": summary.tissue_mm2,
            "unprocessed_mm2": summary.unprocessed_mm2,
            "familiarity": None if summary.familiarity is None else str(summary.familiarity.verdict),
            "classes": self._classes(summary, result),
        }

    def _underway(self, result: ResultFolder, record: RunRecord, number: int) -> Json:
        """Return the row of a result that is not finished; a run may be writing it now."""
        labels, run_now = read_underway(result, record)
        run = run_now.about()
        name = self._name_of(result.folder)
        row = _row(name, "running" if run["running"] else "not finished", name, str(run["line"]))
        return {
            **row,
            "number": number,
            "of": record.slide,
            "pictured": labels is not None,
        }

    def _classes(self, summary: Summary, result: ResultFolder) -> list[JsonValue]:
        if summary.model_fingerprint not in self._colors:
            try:
                schema = read_labels(result.zarr).schema
                self._colors[summary.model_fingerprint] = {c.id: [*c.color] for c in schema.classes}
            except OutputError:  # the page of the slide says why
                return []
        colors = self._colors[summary.model_fingerprint]
        return [
            {"name": c.name, "color": colors.get(c.id, [128, 128, 128]), "mm2": c.mm2, "share": c.share}
            for c in summary.classes
            if c.share is not None
        ]


def _batch(folder: Path) -> tuple[BatchSummary, str | None]:
    """Return the record of the batch, if there is one, and a line if it cannot be read."""
    path = folder / BATCH
    if not path.exists():
        return BatchSummary(), None
    try:
        return BatchSummary.read(path, "run the same `wsi-seg predict` again"), None
    except OutputError as error:
        return BatchSummary(), str(error)


def _without_result(outcome: Outcome) -> Json | None:
    """Return the row of a slide that failed, of a copy or of a plain image; None for any other."""
    slide, result = Path(outcome.slide).name, Path(outcome.result).name if outcome.result else None
    if outcome.error is not None:
        return _row(slide, "failed", result, outcome.error)
    if outcome.status == NoResult.COPY:
        return _row(slide, "copy of a slide before it", None, f"its result is {result}")
    return _row(slide, str(outcome.status), result)


def _row(slide: str, state: str, result: str | None, line: str | None = None) -> Json:
    return {"slide": slide, "state": state, "result": result, "line": line, "classes": []}


def _thumbnail(result: ResultFolder) -> bytes | None:
    """Draw the classes, as far as they are done, over the slide; nothing if there are none so far."""
    record = result.read_record() if result.record_path.exists() else None
    if record is None or record.progress == "finished":
        labels: LabelPyramid | None = read_labels(result.zarr)
    else:
        labels, _ = read_underway(result, record)
    if labels is None:
        return None
    rgb = labels.read_overview(SIDE)
    height, width = rgb.shape[:2]
    level = next(k for k, array in enumerate(labels.levels) if array.shape == (height, width))
    scale = min(1.0, SIDE / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    values = labels.read(Rect(0, 0, height, width), level)
    packed = io.BytesIO()
    picture: Image.Image = paint_classes(rgb, values, labels.schema, size)
    picture.save(packed, format="JPEG", quality=85)
    return packed.getvalue()
