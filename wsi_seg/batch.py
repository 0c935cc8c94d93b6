"""Many slides, one after another: what they are, where their results go, and what became of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import openslide
from pydantic import BaseModel, ConfigDict

from wsi_seg.csvfile import mpp_of, read_csv
from wsi_seg.errors import SlideError, UsageError, WsiSegError
from wsi_seg.files import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

SLIDE_SUFFIXES = frozenset(
    {".svs", ".tif", ".tiff", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".bif", ".svslide", ".dcm", ".czi"}
)
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})


@dataclass(frozen=True)
class Job:
    """One slide or plain image, the resolution given for it, if any, and the folder for its result."""

    path: Path
    mpp: float | None
    out: Path


class Outcome(BaseModel):
    """What became of one slide.

    `status` is the summary's, or "failed" with the error's one line. `diagnosis` is that of a plain image, by
    a model that makes one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slide: str
    result: str
    status: str
    error: str | None = None
    unprocessed_mm2: float = 0.0
    seconds: float = 0.0
    diagnosis: int | None = None

    @property
    def good(self) -> bool:
        """Whether the whole slide was segmented."""
        return self.error is None and self.unprocessed_mm2 == 0


class BatchSummary(BaseModel):
    """What became of each slide of a batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcomes: tuple[Outcome, ...]

    @property
    def good(self) -> bool:
        """Whether every slide was segmented whole."""
        return all(outcome.good for outcome in self.outcomes)

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_text(path, self.model_dump_json(indent=2) + "\n")


def collect_jobs(inputs: Sequence[Path], out: Path, mpp: float | None) -> tuple[Job, ...]:
    """Find the slides that a command line names.

    Parameters
    ----------
    inputs : sequence of Path
        Slides, plain images, folders of slides, and CSV files with the columns ``slide`` and, optionally,
        ``mpp``; paths in a CSV are relative to it.
    out : Path
        Each slide's result goes into a folder here, named after it.
    mpp : float, optional
        For all slides for which a CSV says nothing else.

    Raises
    ------
    SlideError
        If an input is missing, or a folder holds no slide.
    UsageError
        If a CSV is malformed.
    """
    found: list[tuple[Path, float | None]] = []
    for path in inputs:
        if path.suffix.lower() == ".csv":
            found += [(slide, mpp if given is None else given) for slide, given in _read_csv(path)]
        elif path.is_dir():
            found += [(slide, mpp) for slide in slides_in(path)]
        else:
            found.append((path, mpp))
    unique = list(dict.fromkeys(found))
    names = _result_names([path for path, _ in unique])
    return tuple(Job(path, given, out / name) for (path, given), name in zip(unique, names, strict=True))


def slides_in(folder: Path) -> list[Path]:
    """Return the slides in a folder; of the files of a DICOM series, the first.

    Raises
    ------
    SlideError
        If there are none.
    """
    slides = []
    seen: set[str] = set()
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SLIDE_SUFFIXES or not path.is_file():
            continue
        if path.suffix.lower() == ".dcm":
            series = _dicom_series(path)
            if series in seen:
                continue
            seen.add(series)
        slides.append(path)
    if not slides:
        raise SlideError(f"{folder}: no slide in this folder: name slide files, or a folder that holds some")
    return slides


def run_batch(
    jobs: Iterable[Job], run: Callable[[Job], Outcome], tell: Callable[[WsiSegError], None]
) -> BatchSummary:
    """Do every job; one that fails is told of and recorded, and the next one begins."""
    outcomes = []
    for job in jobs:
        try:
            outcomes.append(run(job))
        except WsiSegError as error:
            tell(error)
            outcomes.append(
                Outcome(slide=str(job.path), result=str(job.out), status="failed", error=str(error))
            )
    return BatchSummary(outcomes=tuple(outcomes))


def is_plain_image(path: Path) -> bool:
    """Tell whether a file is an ordinary picture and not a slide."""
    suffix = path.suffix.lower()
    if suffix in {".tif", ".tiff"} and path.is_file():
        return openslide.OpenSlide.detect_format(str(path)) is None and _starts_like_tiff(path)
    return suffix in IMAGE_SUFFIXES


def _starts_like_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}


def _read_csv(path: Path) -> list[tuple[Path, float | None]]:
    slides = []
    for row in read_csv(path, ("slide",)):
        if not row.values["slide"]:
            raise UsageError(f"{path}: line {row.line} names no slide: fill it in, or take the line out")
        slides.append((path.parent / row.values["slide"], mpp_of(path, row)))
    return slides


def _dicom_series(path: Path) -> str:
    try:
        with openslide.OpenSlide(str(path)) as slide:
            return str(slide.properties.get("dicom.SeriesInstanceUID", path.name))
    except openslide.OpenSlideError:
        return path.name


def _result_names(paths: Sequence[Path]) -> list[str]:
    """Name each result after its slide, with as much of the slide's path as tells it from the others."""
    short = [p.resolve().parent.name if p.suffix.lower() == ".dcm" else p.stem for p in paths]
    full = [p.name for p in paths]
    names = [f if Counter(short)[s] > 1 else s for s, f in zip(short, full, strict=True)]
    clash = Counter(names)
    names = [
        f"{p.resolve().parent.name}__{n}" if clash[n] > 1 else n for p, n in zip(paths, names, strict=True)
    ]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(
            f"{twice[0]}: two slides would write the same result: run them apart, each with its -o"
        )
    return names
