"""A training, while it runs and afterwards: its curves so far, its scores and its report."""

from __future__ import annotations

import csv
import os
import re
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsi_seg.errors import OutputError
from wsi_seg.files.document import read_object
from wsi_seg.models.lookup import MODEL_FILE
from wsi_seg.training.report.contents import ONE_BY_ONE
from wsi_seg.view.open_to_view import open_slide
from wsi_seg.view.watched_files import Watch

if TYPE_CHECKING:
    from pydantic import JsonValue

    from wsi_seg.view.shelf import Shelf
    from wsi_seg.view.shown_slide import Json, Shown

SERIES = ("train_loss", "val_loss", "val_miou", "learning_rate")
MOST_POINTS = 1500
"""Of a curve: a page draws no more."""

PICTURE = re.compile(rf"{ONE_BY_ONE}-[1-9][0-9]*-(image|truth|prediction)\.jpg")
"""Names of pictures, as the page asks for them."""

SECONDS_QUIET = 120
"""A training that wrote no row for so long may have ended."""


class Training:
    """What a training's folder holds now."""

    def __init__(self, folder: Path, shelf: Shelf) -> None:
        self._folder, self._shelf = folder, shelf
        self._report = folder / "report"
        self._numbers: dict[tuple[str, int | None], int] = {}

    def about(self) -> Json:
        """Return the curves, and the scores once there are any."""
        logs = sorted((self._folder / "logs").glob("*/history.csv"))
        finished = (self._folder / MODEL_FILE).exists()
        quiet = min((time.time() - log.stat().st_mtime for log in logs), default=None)
        scores, examples, line = self._reported() if finished else (None, [], None)
        return {
            "name": self._folder.resolve().name,
            "path": str(self._folder),
            "state": "finished" if finished else "training" if _lately(quiet) else "not finished",
            "quiet_seconds": quiet,
            "curves": _curves([row for log in logs for row in _rows(log)]),
            "scores": scores,
            "examples": examples,
            "report": finished and (self._report / "report.html").is_file(),
            "notices": [line] if line else [],
            "running": not finished,
        }

    def picture(self, name: str) -> bytes:
        """Return one of the report's pictures.

        Raises
        ------
        KeyError
            If it has no such picture.
        """
        if PICTURE.fullmatch(name) is None:
            raise KeyError(name)
        try:
            return (self._report / name.replace("-", "/", 1)).read_bytes()
        except OSError as error:
            raise KeyError(name) from error

    def report(self) -> Path | None:
        """Return the page of the report, if there is one."""
        page = self._report / "report.html"
        return page if page.is_file() else None

    def _reported(self) -> tuple[JsonValue, list[JsonValue], str | None]:
        """Return the scores and the examples of the report, and a line if they cannot be read."""
        path = self._report / "report.json"
        if not path.exists():
            return None, [], None
        try:
            report = read_object(path, "train again, or look at report.html")
        except OutputError as error:
            return None, [], str(error)
        schema = report.get("schema", {})
        colors = {c["id"]: c["color"] for c in schema.get("classes", ())} if isinstance(schema, dict) else {}
        scores = report.get("scores")
        if not isinstance(scores, dict):
            return None, [], f"{path}: holds no scores"
        limits = report.get("limits")
        scores["kept_out"] = limits.get("kept_out", True) if isinstance(limits, dict) else True
        for one in scores.get("classes", ()):
            one["color"] = colors.get(one["id"])
        try:
            examples = [self._example(one) for one in report.get("examples", ()) if isinstance(one, dict)]
        except (LookupError, TypeError, AttributeError):
            return scores, [], f"{path}: its examples are damaged: look at report.html"
        return scores, examples, None

    def _example(self, example: dict[str, Any]) -> JsonValue:
        """Name an example's pictures as the page asks for them, and number its slide on the shelf."""
        pictures = {what: file.replace("/", "-") for what, file in example["pictures"].items()}
        place = example["place"]
        if place is not None:
            place = {**place, "number": self._number(place["slide"], place["series"])}
        return {**example, "pictures": pictures, "place": place}

    def _number(self, slide: str, series: int | None) -> int | None:
        """Return the number of a slide on the shelf; None if its file is no longer there."""
        if not os.path.exists(slide):
            return None
        if (slide, series) not in self._numbers:
            self._numbers[slide, series] = self._shelf.add(partial(self._open, slide, series))
        return self._numbers[slide, series]

    def _open(self, slide: str, series: int | None) -> Shown:
        """Open a slide with its annotation files, as far as they are still there."""
        given = self._outlines(slide)
        watch = Watch()
        watch.file(*given)
        shown = open_slide(Path(slide), [file for file in given if file.is_file()], series)
        shown.watch.join(watch)
        return shown

    def _outlines(self, slide: str) -> tuple[Path, ...]:
        """Return the annotation files that a slide was given with."""
        path = self._folder / ".wsi-seg" / "training.json"
        given = read_object(path, "train again").get("data") if path.exists() else None
        pairs = zip(given[::2], given[1::2], strict=False) if isinstance(given, list) else ()
        return tuple(Path(file) for named, file in pairs if named == os.path.realpath(slide))


def is_training(folder: Path) -> bool:
    """Return whether a folder is that of a training."""
    work = folder / ".wsi-seg" / "training.json"
    return work.is_file() or (folder / "report" / "report.json").is_file()


def _lately(quiet: float | None) -> bool:
    return quiet is not None and quiet < SECONDS_QUIET


def _rows(log: Path) -> list[dict[str, str]]:
    """Return the rows of a history; the last one may be half written."""
    try:
        with log.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if None not in row.values()]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def _curves(rows: list[dict[str, str]]) -> Json:
    """Return steps and values of each series, with no more points than a page draws."""
    curves: Json = {}
    for name in SERIES:
        points = [(_number(row.get("step")), _number(row.get(name))) for row in rows]
        known: list[JsonValue] = [[s, value] for s, value in points if s is not None and value is not None]
        stride = -(-len(known) // MOST_POINTS) or 1
        curves[name] = [*known[:-1:stride], *known[-1:]]
    return curves


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
