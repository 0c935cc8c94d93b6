"""The slides and plain images that a command line names, each once, each with a folder for its result."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import openslide

from wsi_seg.data.projects.qupath_project import find_project, read_project
from wsi_seg.data.slide_list import mpp_of, read_csv
from wsi_seg.errors import SlideError, UsageError
from wsi_seg.predict.named import Named, once, told_apart, twins
from wsi_seg.slides.in_folder import slides_in
from wsi_seg.slides.picture import SUFFIXES as IMAGE_SUFFIXES
from wsi_seg.slides.readers.tiff_pages import is_picture, is_tiff
from wsi_seg.slides.readers.zarr_store import is_store
from wsi_seg.slides.slide_names import dicom_name, file_name, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wsi_seg.data.projects.entry import ProjectEntry

TIFF_SUFFIXES = frozenset({".tif", ".tiff"})

LISTED = 5
"""Number of images that a line names; the others are counted."""


@dataclass(frozen=True)
class Job:
    """One slide or plain image.

    Attributes
    ----------
    path : Path
    mpp : float or None
        The resolution given for it, if any.
    out : Path
        The folder for its result.
    entry : ProjectEntry or None
        The image of a QuPath project that it is; one that cannot be taken says why when its turn comes.
    file_says_it : bool
        Whether the file's name tells it from the other jobs.
    """

    path: Path
    mpp: float | None
    out: Path
    entry: ProjectEntry | None = None
    file_says_it: bool = True

    @property
    def name(self) -> str:
        """What it is called in lines of progress: its file's name, or its result's."""
        return file_name(self.path) if self.file_says_it else self.out.name


@dataclass(frozen=True)
class Jobs:
    """All jobs of a command.

    Attributes
    ----------
    jobs : tuple of Job
        Each file and each DICOM series once.
    passed_over : tuple of str
        Files in the named folders that look like slides but are not, and images of a project that are one
        with another: a line each.
    """

    jobs: tuple[Job, ...]
    passed_over: tuple[str, ...] = ()

    def require_the_only_one(self) -> None:
        """Raise SlideError if the one file that there is to do is missing; of several, the others go on."""
        if len(self.jobs) == 1 and self.jobs[0].entry is None and not os.path.exists(self.jobs[0].path):
            raise SlideError(f"{self.jobs[0].path}: no such file")


def collect_jobs(inputs: Sequence[Path], out: Path, mpp: float | None, numbers: Sequence[int] = ()) -> Jobs:
    """Find the slides that a command line names.

    Parameters
    ----------
    inputs : sequence of Path
        Slides, plain images, folders of slides, QuPath projects or their folders, and CSV files with the
        columns ``slide`` and, optionally, ``mpp``; paths in a CSV are relative to it.
    out : Path
        Each slide's result goes into a folder here, named after the slide; for a DICOM slide, after its
        folder; for an image of a project, after its name there.
    mpp : float, optional
        For all slides without a value of their own in a CSV file.
    numbers : sequence of int, optional
        Of the one project that is given, only the images with these numbers. Their results have the same
        names as with all.

    Raises
    ------
    SlideError
        If an input is missing, a folder holds no slide, or a project cannot be read.
    UsageError
        If a CSV is malformed, a slide is given two resolutions, a name cannot name a folder, or `numbers`
        are not those of one project's images.
    """
    named: list[Named] = []
    passed_over: list[str] = []
    for path in inputs:
        project = find_project(path)
        if project is not None:
            images = [Named.of_entry(entry, mpp) for entry in read_project(project)]
            named += images
            passed_over += _beside(project, path, images) if path != project else ()
        elif path.suffix.lower() == ".csv":
            named += [Named.of(slide, mpp if given is None else given) for slide, given in _read_csv(path)]
        elif os.path.isdir(path) and not is_store(path):
            inside = slides_in(path)
            named += [Named.of(slide, mpp) for slide in inside.slides]
            passed_over += inside.passed_over
        else:
            named.append(Named.of(path, mpp))
    named = list(told_apart(named))
    slides = once(named)
    names = _result_names(slides)
    files = Counter(slide.path.name for slide in slides)
    if numbers:
        named, passed_over = _images(numbers, inputs, named), []
    asked_for = {one.identity for one in named}
    jobs = tuple(
        Job(
            slide.path, slide.mpp, out / name, slide.entry, slide.file_says_it and files[slide.path.name] == 1
        )
        for slide, name in zip(slides, names, strict=True)
        if slide.identity in asked_for
    )
    passed_over += twins(named, slides, names)
    return Jobs(jobs, tuple(dict.fromkeys(passed_over)))


def is_plain_image(path: Path, for_slides: bool) -> bool:
    """Return whether a file is an ordinary picture and not a slide.

    Parameters
    ----------
    path : Path
    for_slides : bool
        Whether the working resolution is known, from the model or the user. Then every file is a slide, as
        its own resolution must be known too; one that cannot be read so is refused as a slide. Otherwise
        a TIFF that OpenSlide does not know is a picture if it is sound and in strips; a tiled one is a
        slide, damaged or not. TIFFs are detected by their content, whatever their name.
    """
    if for_slides:
        return False
    suffix = path.suffix.lower()
    try:
        if not os.path.isfile(path) or not is_tiff(path):
            return suffix in IMAGE_SUFFIXES
        named_so = suffix in TIFF_SUFFIXES | IMAGE_SUFFIXES
        if not named_so or openslide.OpenSlide.detect_format(str(path)) is not None:
            return False
        return is_picture(path)
    except OSError:
        return suffix in IMAGE_SUFFIXES  # it fails later, with its own message
    except SlideError:
        return False  # opening it as a slide reports the damage


def _read_csv(path: Path) -> list[tuple[Path, float | None]]:
    slides = []
    for row in read_csv(path, ("slide",)):
        if not row.values["slide"]:
            raise UsageError(f"{path}: line {row.line} lacks a slide: fill it in, or remove the line")
        slides.append((path.parent / row.values["slide"], mpp_of(path, row)))
    return slides


def _images(numbers: Sequence[int], inputs: Sequence[Path], named: Sequence[Named]) -> list[Named]:
    """Return the images of the one project with these numbers, which are QuPath's own."""
    entries = {one.entry.number: one for one in named if one.entry is not None}
    if len(inputs) != 1 or not entries:
        raise UsageError(f"--image {numbers[0]}: is an image of a QuPath project: give one project alone")
    missing = next((number for number in numbers if number not in entries), None)
    if missing is not None:
        there = [f"{number} ({one.entry.name})" for number, one in entries.items() if one.entry is not None]
        more = f" and {len(there) - LISTED} more" if len(there) > LISTED else ""
        raise UsageError(
            f"{inputs[0]}: has no image {missing}: it has {', '.join(there[:LISTED])}{more}; save the "
            "project in QuPath if the image is new"
        )
    return [entries[number] for number in dict.fromkeys(numbers)]


def _beside(project: Path, folder: Path, images: Sequence[Named]) -> Iterator[str]:
    """Yield a line for each slide in a project's folder that the project does not list."""
    listed = {image.identity for image in images}
    try:
        inside = slides_in(folder)
    except SlideError:  # it holds no slide, as most projects do
        return
    for path in inside.slides:
        if Named.of(path, None).identity not in listed:
            yield f"{path}: beside {project}, which does not list it: skipped: name it as well to segment it"


def _result_names(slides: Sequence[Named]) -> list[str]:
    """Name each result after its slide, with as much of the slide's path as makes it unique."""
    names = [_short_name(slide, slides) for slide in slides]
    clash = Counter(names)
    names = [
        _longer_name(slide, name) if clash[name] > 1 else name
        for slide, name in zip(slides, names, strict=True)
    ]
    for depth in range(2, max((len(slide.place.parts) for slide in slides), default=0)):
        clash = Counter(names)
        names = [
            f"{slide.place.parts[-depth]}__{name}"
            if clash[name] > 1 and depth < len(slide.place.parts)
            else name
            for slide, name in zip(slides, names, strict=True)
        ]
    for i, name in enumerate(names):
        if not name.strip("."):
            raise UsageError(
                f"{slides[i].path}: its result would be named {name!r}, which cannot name a folder: rename "
                "the slide"
            )
        if name in names[:i]:
            first = slides[names.index(name)].path
            raise UsageError(
                f"{first} and {slides[i].path}: would write the same result {name!r}: run them separately, "
                "each "
                "with its -o"
            )
    return names


def _short_name(slide: Named, slides: Sequence[Named]) -> str:
    if slide.entry is not None and slide.entry.name != slide.path.name:
        return slide.entry.result_name
    if slide.series is None:
        return stem_of(slide.place)
    beside = [s.series for s in slides if s.series and s.identity[0] == slide.identity[0] and s != slide]
    return dicom_name(slide.place, slide.series, beside)


def _longer_name(slide: Named, name: str) -> str:
    """Return another name for a slide whose name is not its own."""
    if slide.entry is not None:
        return f"{name}__{slide.entry.number}"
    return slide.place.name if slide.series is None else name
