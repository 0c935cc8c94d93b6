"""What is asked for: slides with the outlines drawn on them so far, and the windows wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from wsi_seg.data.pairs import read_pairs
from wsi_seg.data.projects.exported_outlines import match_outlines
from wsi_seg.data.projects.qupath_project import find_project, read_project
from wsi_seg.errors import MissingError, MppError, SlideError, UsageError
from wsi_seg.settings import LabelSettings, Positive
from wsi_seg.slides.in_folder import such_as
from wsi_seg.slides.readers.zarr_store import is_store
from wsi_seg.slides.slide import Slide

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from wsi_seg.slides.content import SlideFiles

CSV = ".csv"


class SuggestSettings(BaseModel):
    """How many windows are wanted, how large, and how slides are read.

    Attributes
    ----------
    windows : int
        Over all slides together.
    window_um : float
        Side of a window in micrometres.
    labels : LabelSettings
        Its resolution, level and image of the file count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: Annotated[int, Field(ge=1, le=1000)] = 6
    window_um: Positive = 500.0
    labels: LabelSettings = LabelSettings()


@dataclass(frozen=True)
class AskedSlide:
    """A slide, and the files with what is outlined on it.

    Attributes
    ----------
    path : Path
    outlines : tuple of Path
        None of them, where nothing is outlined yet.
    mpp : float or None
        Micrometres per slide pixel, where a list states them.
    series : int or None
        Which of the file's images, where a project states it.
    """

    path: Path
    outlines: tuple[Path, ...] = ()
    mpp: float | None = None
    series: int | None = None


def read_asked(
    slides: Sequence[Path], outlines: Sequence[Path], settings: LabelSettings
) -> tuple[list[AskedSlide], tuple[str, ...]]:
    """Return the slides that are named, each with its outlines, and a line for each thing left out.

    Files of outlines belong to the slides in their order, and slides after the last file have none; of one
    slide, all files are its own. A QuPath project in the place of a slide takes a folder of outlines in the
    place of a file, and stands for all of its images. A CSV file alone lists slides and annotations.

    Parameters
    ----------
    slides, outlines : sequence of Path
    settings : LabelSettings

    Raises
    ------
    UsageError
        If there are more files of outlines than slides.
    MissingError
        If a file does not exist.
    SlideError, MppError
        If a project cannot be read, or an image of it that has outlines cannot be taken, or none can.
    """
    if not slides:
        raise UsageError("no slide is given: name slides, or a CSV file with the columns slide,annotations")
    if len(slides) == 1 and slides[0].suffix.lower() == CSV:
        if outlines:
            raise UsageError(f"--outlines {outlines[0]}: {slides[0]} lists the outlines: leave it out")
        pairs = read_pairs(slides, settings.mpp, settings.series)
        return [AskedSlide(p.slide, (p.annotations,), p.mpp, p.series) for p in pairs.pairs], pairs.remarks
    for path in (*slides, *outlines):
        if not path.exists():
            raise MissingError(f"{path}: no such file: name a slide, or with --outlines a file of outlines")
    if len(slides) == 1 and find_project(slides[0]) is None:
        return [AskedSlide(slides[0], tuple(outlines))], ()
    if len(outlines) > len(slides):
        raise UsageError(
            f"--outlines {outlines[len(slides)]}: is one more than there are slides: the first belongs to "
            "the first slide, the second to the second; name a slide once for each of its files"
        )
    found: list[AskedSlide] = []
    remarks: list[str] = []
    for number, slide in enumerate(slides):
        own = tuple(outlines[number : number + 1])
        project = find_project(slide)
        if project is None:
            found.append(AskedSlide(slide, own))
            continue
        images, said = _of_project(project, own, settings)
        found += images
        remarks += said
    return found, tuple(remarks)


def _of_project(
    project: Path, outlines: Sequence[Path], settings: LabelSettings
) -> tuple[list[AskedSlide], list[str]]:
    """Return all images of a project, those without outlines too; of these, a line for each that fails."""
    entries = read_project(project)
    matched = match_outlines(entries, outlines[0]) if outlines else None
    drawn = {} if matched is None else dict(matched.pairs)
    found: list[AskedSlide] = []
    remarks = [] if matched is None else list(matched.remarks)
    for entry in entries:
        own = (drawn[entry],) if entry in drawn else ()
        try:
            mpp = entry.mpp_for_slide(settings.mpp, settings.series)
            found.append(AskedSlide(entry.require(), own, mpp, entry.series))
        except (SlideError, MppError) as error:
            if own:
                raise
            remarks.append(f"{error}: left out")
    if not found:
        raise SlideError(f"{project}: no image of it can be taken: {remarks[-1]}")
    return found, remarks


def each_once(asked: Sequence[AskedSlide], series: int | None) -> list[AskedSlide]:
    """Put together what is said of one slide, whether it is named again or a copy of it is.

    Raises
    ------
    SlideError
        If a slide cannot be opened.
    UsageError
        If two slides are nearly the same.
    """
    first: dict[str, tuple[AskedSlide, SlideFiles]] = {}
    for one in asked:
        if one.path.is_dir() and not is_store(one.path):
            raise UsageError(f"{one.path}: is a folder: name the slides in it{such_as(one.path)}")
        with Slide(one.path, one.mpp, series=series if one.series is None else one.series) as slide:
            fingerprint, files = slide.fingerprint, slide.files
        before = first.get(fingerprint)
        if before is None:
            first[fingerprint] = (one, files)
            continue
        known, known_files = before
        if not known_files.same_as(files):
            raise UsageError(
                f"{one.path}: nearly the same slide as {known.path}, but the bytes differ: one of them is "
                "damaged or was edited: leave that one out"
            )
        together = tuple(dict.fromkeys((*known.outlines, *one.outlines)))
        first[fingerprint] = (AskedSlide(known.path, together, known.mpp, known.series), known_files)
    return [one for one, _ in first.values()]
