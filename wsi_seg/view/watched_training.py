"""A training, while it runs and afterwards: its curves so far, its scores and its report."""

from __future__ import annotations

import csv
import time
from typing import TYPE_CHECKING

from wsi_seg.errors import OutputError
from wsi_seg.files.document import read_object
from wsi_seg.training.report.contents import CONFUSION, EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

    from wsi_seg.view.shown_slide import Json

SERIES = ("train_loss", "val_loss", "val_miou", "learning_rate")
MOST_POINTS = 1500
"""Of a curve: a page draws no more."""

PICTURES = (EXAMPLES, CONFUSION)
SECONDS_QUIET = 120
"""A training that wrote no row for so long may have ended."""


class Training:
    """What a training's folder holds now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._report = folder / "report"

    def about(self) -> Json:
        """Return the curves, and the scores once there are any."""
        logs = sorted((self._folder / "logs").glob("*/history.csv"))
        finished = (self._folder / "model.safetensors").exists()
        quiet = min((time.time() - log.stat().st_mtime for log in logs), default=None)
        scores, line = self._scores() if finished else (None, None)
        return {
            "name": self._folder.resolve().name,
            "path": str(self._folder),
            "state": "finished" if finished else "training" if _lately(quiet) else "not finished",
            "quiet_seconds": quiet,
            "curves": _curves([row for log in logs for row in _rows(log)]),
            "scores": scores,
            "pictures": [name for name in PICTURES if finished and (self._report / name).is_file()],
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
        if name not in PICTURES:
            raise KeyError(name)
        try:
            return (self._report / name).read_bytes()
        except OSError as error:
            raise KeyError(name) from error

    def report(self) -> Path | None:
        """Return the page of the report, if there is one."""
        page = self._report / "report.html"
        return page if page.is_file() else None

    def _scores(self) -> tuple[JsonValue, str | None]:
        path = self._report / "report.json"
        if not path.exists():
            return None, None
        try:
            report = read_object(path, "train again, or look at report.html")
        except OutputError as error:
            return None, str(error)
        schema = report.get("schema", {})
        colors = {c["id"]: c["color"] for c in schema.get("classes", ())} if isinstance(schema, dict) else {}
        scores = report.get("scores")
        if not isinstance(scores, dict):
            return None, f"{path}: holds no scores"
        for one in scores.get("classes", ()):
            one["color"] = colors.get(one["id"])
        return scores, None


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
