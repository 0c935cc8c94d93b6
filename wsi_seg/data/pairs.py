"""The pairs of slides and annotations that the command line or a CSV file names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.data.slide_list import mpp_of, read_csv
from wsi_seg.errors import UsageError
from wsi_seg.files.reading import check_plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLUMNS = ("slide", "annotations")
NAMED_ABSENT = 5
"""Number of missing files that a message names."""


class SlidePair(NamedTuple):
    """A slide, its annotation file, and the slide's resolution if its file lacks it."""

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
        If the arguments are neither, or a named file does not exist.
    """
    if len(arguments) == 1 and arguments[0].suffix.lower() == ".csv":
        return _from_csv(arguments[0])
    folder = next((path for path in arguments if path.is_dir()), None)
    if folder is not None:
        raise UsageError(f"{folder}: is a folder: give a data set alone, or SLIDE ANNOTATIONS, each a file")
    _refuse_absent([str(path) for path in arguments if not path.exists()], "give SLIDE ANNOTATIONS")
    for path in arguments:
        _refuse_special(path)
    if not arguments or len(arguments) % 2:
        alone = f"{arguments[-1]}: a slide without its annotations: " if arguments else ""
        raise UsageError(
            f"{alone}give SLIDE ANNOTATIONS for each slide, or a CSV file with the columns slide,annotations"
        )
    return [SlidePair(*pair) for pair in zip(arguments[::2], arguments[1::2], strict=True)]


def _from_csv(path: Path) -> list[SlidePair]:
    pairs, absent = [], []
    for row in read_csv(path, COLUMNS):
        slide, annotations = (row.values[column] for column in COLUMNS)
        if not slide or not annotations:
            raise UsageError(f"{path}: line {row.line} lacks a slide or annotations: fill in both")
        pair = SlidePair(path.parent / slide, path.parent / annotations, mpp_of(path, row))
        absent += [f"{file} ({path.name} line {row.line})" for file in pair[:2] if not file.exists()]
        pairs.append(pair)
    _refuse_absent(absent, "correct the paths, which start from the CSV file's folder")
    for pair in pairs:
        _refuse_special(pair.slide)
        _refuse_special(pair.annotations)
    return pairs


def _refuse_special(path: Path) -> None:
    try:
        check_plain(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}: name a slide and its annotation file") from error


def _refuse_absent(absent: Sequence[str], remedy: str) -> None:
    """Refuse missing files, all of them in one line."""
    if absent:
        more = f" and {len(absent) - NAMED_ABSENT} more" if len(absent) > NAMED_ABSENT else ""
        raise UsageError(f"{', '.join(absent[:NAMED_ABSENT])}{more}: no such file: {remedy}")
