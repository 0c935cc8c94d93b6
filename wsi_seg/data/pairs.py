"""Which annotations belong to which slides, as the command line or a CSV file says."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLUMNS = ("slide", "annotations")


class SlidePair(NamedTuple):
    """A slide, the file with the shapes drawn on it, and the slide's resolution where its file lacks it."""

    slide: Path
    annotations: Path
    mpp: float | None = None


def read_pairs(arguments: Sequence[Path]) -> list[SlidePair]:
    """Return slides with their annotations.

    Parameters
    ----------
    arguments : sequence of Path
        ``SLIDE ANNOTATIONS [SLIDE ANNOTATIONS ...]``, or one CSV file with the columns ``slide`` and
        ``annotations``, and ``mpp`` if need be, whose paths start from the CSV's folder.

    Raises
    ------
    UsageError
        If the arguments are neither, or a file named is not there.
    """
    if len(arguments) == 1 and arguments[0].suffix.lower() == ".csv":
        pairs = _from_csv(arguments[0])
    elif len(arguments) >= 2 and len(arguments) % 2 == 0:
        pairs = [SlidePair(*pair) for pair in zip(arguments[::2], arguments[1::2], strict=True)]
    else:
        raise UsageError(
            f"{len(arguments)} path{'s' * (len(arguments) != 1)} given: "
            "give SLIDE ANNOTATIONS, as often as there are slides, or one CSV with these columns"
        )
    for path in (path for pair in pairs for path in (pair.slide, pair.annotations)):
        if not path.is_file():
            raise UsageError(f"{path}: no such file: give SLIDE ANNOTATIONS [SLIDE ANNOTATIONS ...]")
    return pairs


def _from_csv(path: Path) -> list[SlidePair]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text), skipinitialspace=True))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): give a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a CSV file ({error}): save it as CSV in UTF-8") from error
    if not rows or any(column not in rows[0] for column in COLUMNS):
        raise UsageError(f"{path}: no rows under a header 'slide,annotations[,mpp]': begin it with that line")
    return [_row(path, number, row) for number, row in enumerate(rows, start=2)]


def _row(path: Path, number: int, row: dict[str, str | None]) -> SlidePair:
    slide, annotations = ((row[column] or "").strip() for column in COLUMNS)
    if not slide or not annotations:
        raise UsageError(f"{path}: line {number} names no slide or no annotations: fill in both")
    mpp = (row.get("mpp") or "").strip()
    try:
        value = float(mpp) if mpp else None
    except ValueError as error:
        raise UsageError(f"{path}: line {number}: mpp {mpp!r} is no number: give um per pixel") from error
    return SlidePair(path.parent / slide, path.parent / annotations, value)
