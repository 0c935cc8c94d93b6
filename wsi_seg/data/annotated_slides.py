"""Slides with annotations, for training and evaluation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from wsi_seg.annotations.annotation_files import AnnotationFiles
from wsi_seg.annotations.on_slide import on_glass, place
from wsi_seg.data.named_classes import check_classes, recoloured, regions_told, schema_from_annotations
from wsi_seg.data.pairs import SlidePair
from wsi_seg.data.sources import IGNORE, LabelledPixels
from wsi_seg.data.truth import SlideTruth, TruthSettings
from wsi_seg.errors import UsageError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.levels import LEVEL_0, LevelRead
from wsi_seg.slides.monochrome import only_channel
from wsi_seg.slides.overview import Overview
from wsi_seg.slides.remarks import remarks_on_reading
from wsi_seg.slides.slide import Slide
from wsi_seg.slides.slide_names import slide_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.slides.content import SlideFiles
    from wsi_seg.slides.frames import Frames

OPEN_SLIDES = 32
"""Number of slides that a process keeps open."""


@dataclass(frozen=True)
class SlideReading:
    """How slides are read.

    Attributes
    ----------
    mpp : float or None
        Micrometres per slide pixel, for slides where neither the file nor the pair states it.
    allow_coarser : bool
        Accept slides that are coarser than the working resolution.
    from_level_0 : bool
        Always read level 0, and none of the coarser levels in a file.
    series : int or None
        Index of the image in each slide file; None takes the largest one in colour.
    """

    mpp: float | None = None
    allow_coarser: bool = False
    from_level_0: bool = False
    series: int | None = None


@dataclass(frozen=True)
class LabelledSlide:
    """A slide and the known classes of its pixels: a `wsi_seg.data.sources.Source`.

    Attributes
    ----------
    path : Path
    name : str
        Unlike the other slides'.
    given_mpp : float or None
        Micrometres per slide pixel, instead of the file's statement.
    frames : Frames
        The label frame of the rectangles that are read.
    level : LevelRead
        The level from which they are read.
    levels_read : tuple of int
        The levels from which the slide may be read.
    truth : SlideTruth
    remarks : tuple of str
        What was repaired or left out of the slide and the annotations, a line each.
    fingerprint : str
        The hash that identifies the slide, wherever its file lies.
    files : SlideFiles
        The slide's, as the annotations were placed on it.
    copies : tuple of Path
        Other files with the same slide; their shapes are part of `truth`.
    series : int or None
        Index of the image in the file.
    """

    path: Path
    name: str
    given_mpp: float | None
    frames: Frames
    level: LevelRead
    levels_read: tuple[int, ...]
    truth: SlideTruth
    remarks: tuple[str, ...]
    fingerprint: str
    files: SlideFiles
    copies: tuple[Path, ...] = ()
    series: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in label pixels."""
        return self.frames.label_size

    @property
    def diagnosis(self) -> None:
        """A slide as a whole has no class: None."""

    def read(self, rect: Rect) -> LabelledPixels:
        """Read a rectangle of the label frame.

        Pixels that the scanner did not record, or that cannot be decoded, have no class.

        Raises
        ------
        SlideError
            If the slide can no longer be opened, or was changed.
        """
        slide = _opened(self.path, self.given_mpp, self.levels_read, self.series, os.getpid())
        pixels = slide.read(rect, self.frames)
        self.files.refuse_changed()
        classes = self.truth.read(rect)
        classes[~pixels.present] = IGNORE
        for unreadable in pixels.unreadable:
            classes[unreadable.intersection(rect).relative_to(rect).slices] = IGNORE
        return LabelledPixels(pixels.rgb, classes)

    def class_map(self, stride: int) -> NDArray[np.uint8]:
        """Return the class at the centre of each whole cell of `stride` x `stride` pixels."""
        width, height = self.size
        return self.truth.read(Rect(0, 0, height // stride, width // stride), stride)


@lru_cache(maxsize=OPEN_SLIDES)
def _opened(
    path: Path, mpp: float | None, levels_read: tuple[int, ...], series: int | None, process: int
) -> Slide:
    """Return a slide opened by `process`, which is this one: a forked process must not share a file."""
    return Slide(path, mpp, levels_read, series)


def open_labelled_slides(
    pairs: Sequence[SlidePair | tuple[Path, Path]],
    schema: ClassSchema | None,
    working_mpp: float,
    settings: TruthSettings | None = None,
    reading: SlideReading | None = None,
    files: AnnotationFiles | None = None,
) -> tuple[ClassSchema, list[LabelledSlide]]:
    """Read annotations and place them on their slides.

    Parameters
    ----------
    pairs : sequence of SlidePair
        Slides and their annotation files. A slide that is named several times, by the same file or a copy of
        it, is one slide with the shapes of all its annotation files.
    schema : ClassSchema or None
        The classes; None takes them from the annotations.
    working_mpp : float
        Resolution to read at, in micrometres per pixel.
    settings : TruthSettings, optional
    reading : SlideReading, optional
    files : AnnotationFiles, optional
        Files that were read before are not read again.

    Returns
    -------
    schema : ClassSchema
    slides : list of LabelledSlide
        One for each slide, in the order in which they are first named.

    Raises
    ------
    SlideError, MppError
        If a slide cannot be opened, or its resolution does not fit.
    AnnotationError
        If a file cannot be read, was drawn on another slide, or names classes that the schema lacks: one line
        with all of them.
    UsageError
        If the settings do not fit the annotations, a slide is given two resolutions, or two slides are nearly
        the same.
    """
    settings, reading = settings or TruthSettings(), reading or SlideReading()
    files = files or AnnotationFiles()
    grouped = _by_slide([SlidePair(*pair) for pair in pairs], reading.series)
    drawn = {slide: tuple(files.read(p.annotations) for p in group) for slide, group in grouped.items()}
    every = [file for group in drawn.values() for file in group]
    of_classes: tuple[str, ...] = ()
    if schema is None:
        schema = schema_from_annotations(every, settings.rest, settings.roi_class)
        of_classes = tuple(recoloured(every, schema))
    check_classes(every, schema, settings)
    slides: list[LabelledSlide] = []
    names = slide_names([group[0].slide for group in grouped.values()])
    for called, (fingerprint, group) in zip(names, grouped.items(), strict=True):
        given = _given_mpp(group, reading.mpp)
        levels_given = LEVEL_0 if reading.from_level_0 else None
        image = group[0].series_or(reading.series)
        with Slide(group[0].slide, given, levels_given, image) as slide:
            frames = slide.frames(working_mpp, reading.allow_coarser)
            overview = Overview(slide, frames)
            recorded, channel = overview.recorded, only_channel(overview.pixels)
            tissue = overview.tissue
            level, levels = LevelRead.of(slide, frames), slide.levels_read
            on_reading, own_files, shown = remarks_on_reading(slide), slide.files, slide.name
        placed = place(drawn[fingerprint], shown, frames)
        classes = [shape.class_name for file in drawn[fingerprint] for shape in file.shapes]
        truth = SlideTruth.of(placed.outlines_label, classes, schema, settings, tissue, recorded)
        copies = tuple({pair.slide.resolve(): pair.slide for pair in group}.values())[1:]
        remarks = (
            *(of_classes if not slides else ()),
            *on_reading,
            *_remarks(group[0].slide, copies, channel),
            *(remark for file in drawn[fingerprint] for remark in file.remarks),
            *placed.remarks,
            *on_glass(drawn[fingerprint], placed.outlines_label, tissue, shown),
            *regions_told(drawn[fingerprint], settings),
        )
        read = (group[0].slide, called, given, frames, level, levels, truth, remarks, fingerprint, own_files)
        slides.append(LabelledSlide(*read, copies, image))
    return schema, slides


def _by_slide(pairs: Sequence[SlidePair], series: int | None) -> dict[str, list[SlidePair]]:
    """Group pairs by the content of their slides, wherever the files lie.

    Raises
    ------
    UsageError
        If two slides have the same fingerprint but differ: the shapes of one must not be placed on the other,
        and training on one must not be validated on the other.
    """
    fingerprints: dict[tuple[Path, int | None], str] = {}
    first: dict[str, tuple[Path, SlideFiles]] = {}
    grouped: dict[str, list[SlidePair]] = {}
    for pair in pairs:
        file = pair.slide.resolve(), pair.series_or(series)
        if file not in fingerprints:
            with Slide(pair.slide, series=file[1]) as slide:
                fingerprints[file] = slide.fingerprint
                path, files = first.setdefault(slide.fingerprint, (pair.slide, slide.files))
                if not files.same_as(slide.files):
                    raise UsageError(
                        f"{pair.slide}: nearly the same slide as {path}, but the bytes differ: one of "
                        "them is damaged or was edited: leave that one out"
                    )
        grouped.setdefault(fingerprints[file], []).append(pair)
    return grouped


def _given_mpp(group: Sequence[SlidePair], mpp: float | None) -> float | None:
    """Return the resolution that the user gives for a slide, if there is one."""
    given = list(dict.fromkeys(pair.mpp for pair in group if pair.mpp is not None))
    if len(given) > 1:
        names = " and ".join(dict.fromkeys(str(pair.slide) for pair in group))
        raise UsageError(
            f"{names}: one slide, given {given[0]:g} and {given[1]:g} um per px: give the true one"
        )
    return given[0] if given else mpp


def _remarks(slide: Path, copies: Sequence[Path], channel: str | None) -> Iterator[str]:
    """Yield remarks on the slide itself."""
    if channel is not None:
        yield f"{slide}: has no colour: `predict` takes such slides with --allow-grey"
    for copy in copies:
        yield f"{copy}: the same slide as {slide}: taken as one slide, with the shapes drawn on both"
