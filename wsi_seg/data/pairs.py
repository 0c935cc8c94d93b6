"""The pairs of slides and annotations that the command line, a CSV file or a QuPath project names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.data.projects.exported_outlines import HOW, match_outlines
from wsi_seg.data.projects.qupath_project import find_project, read_project
from wsi_seg.data.slide_list import mpp_of, read_csv
from wsi_seg.errors import MissingError, UsageError
from wsi_seg.files.plain_files import check_plain
from wsi_seg.slides.in_folder import such_as
from wsi_seg.slides.readers.zarr_store import is_store
from wsi_seg.slides.resolution import check_mpp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLUMNS = ("slide", "annotations")
OUTLINES = (".geojson", ".json", ".xml", ".annotations")
"""How the names of annotation files end."""

NAMED_ABSENT = 5
"""Number of missing files that a message names."""


class SlidePair(NamedTuple):
    """A slide, its annotation file, its resolution if its file lacks it, and which of its file's images."""

    slide: Path
    annotations: Path
    mpp: float | None = None
    series: int | None = None

    def series_or(self, series: int | None) -> int | None:
        """Return which of the file's images it is: by the pair, else by what is given for all."""
        return series if self.series is None else self.series


class Paired(NamedTuple):
    """Pairs, and a line for each thing beside them that was left out."""

    pairs: list[SlidePair]
    remarks: tuple[str, ...] = ()


def is_data_set(arguments: Sequence[Path]) -> bool:
    """Return whether the arguments are one folder, of images with masks: no QuPath project, and no Zarr."""
    if len(arguments) != 1 or not arguments[0].is_dir() or is_store(arguments[0]):
        return False
    return find_project(arguments[0]) is None


def read_pairs(arguments: Sequence[Path], mpp: float | None = None, series: int | None = None) -> Paired:
    """Return slides with their annotations.

    Parameters
    ----------
    arguments : sequence of Path
        ``SLIDE ANNOTATIONS [SLIDE ANNOTATIONS ...]``, or one CSV file with the columns ``slide`` and
        ``annotations``, and ``mpp`` if need be, whose paths start from the CSV's folder. In place of a slide
        and its annotations: a QuPath project and a folder of outlines that were exported from it.
    mpp : float, optional
        Micrometres per slide pixel that the user gives; it wins over what a project states.
    series : int, optional
        Which of the slide files' images, where a project does not state it.

    Raises
    ------
    UsageError
        If the arguments are neither, or no slide has that resolution.
    MissingError
        If a named file does not exist.
    SlideError, MppError
        If a project cannot be read, or an image of it that has outlines cannot be taken.
    """
    check_mpp(mpp, None)
    if len(arguments) == 1 and arguments[0].suffix.lower() == ".csv":
        return Paired(_from_csv(arguments[0]))
    projects = [find_project(path) for path in arguments[::2]]
    lone = projects[-1] if len(arguments) % 2 else None
    if lone is not None:
        raise UsageError(f"{lone}: a QuPath project without its outlines: give their folder after it; {HOW}")
    _check_files([path for place, path in enumerate(arguments) if projects[place // 2] is None])
    if not arguments or len(arguments) % 2:
        alone = f"{arguments[-1]}: a slide without its annotations: " if arguments else ""
        if arguments and arguments[-1].name.lower().removesuffix(".gz").endswith(OUTLINES):
            raise UsageError(
                f"{arguments[-1]}: outlines without a slide: give SLIDE ANNOTATIONS for each file of "
                "outlines, and name a slide with several once for each"
            )
        raise UsageError(
            f"{alone}give SLIDE ANNOTATIONS for each slide, or a CSV file with the columns slide,annotations"
        )
    pairs: list[SlidePair] = []
    remarks: list[str] = []
    for project, slide, drawn in zip(projects, arguments[::2], arguments[1::2], strict=True):
        if project is None:
            pairs.append(SlidePair(slide, drawn))
            continue
        paired = _from_project(project, drawn, mpp, series)
        pairs += paired.pairs
        remarks += paired.remarks
    return Paired(pairs, tuple(remarks))


def _from_project(project: Path, outlines: Path, mpp: float | None, series: int | None) -> Paired:
    matched = match_outlines(read_project(project), outlines)
    pairs = [
        SlidePair(entry.require(), path, entry.mpp_for_slide(mpp, series), entry.series)
        for entry, path in matched.pairs
    ]
    return Paired(pairs, matched.remarks)


def _check_files(paths: Sequence[Path]) -> None:
    """Refuse what cannot be slides and annotations in turn."""
    folder = next((path for path in paths if path.is_dir() and not is_store(path)), None)
    if folder is not None:
        raise UsageError(
            f"{folder}: is a folder: give a data set alone, or SLIDE ANNOTATIONS, each a file"
            f"{such_as(folder)}"
        )
    _refuse_absent([str(path) for path in paths if not path.exists()], "give SLIDE ANNOTATIONS")
    for path in paths:
        _refuse_special(path)


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
        if not is_store(path):
            check_plain(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}: name a slide and its annotation file") from error


def _refuse_absent(absent: Sequence[str], remedy: str) -> None:
    """Refuse missing files, all of them in one line."""
    if absent:
        more = f" and {len(absent) - NAMED_ABSENT} more" if len(absent) > NAMED_ABSENT else ""
        raise MissingError(f"{', '.join(absent[:NAMED_ABSENT])}{more}: no such file: {remedy}")
