"""The DICOM slide that a result is of: found, recognised, and how it lies in its frame of reference."""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.filereader import read_partial

from wsi_seg.errors import SlideError, shortened
from wsi_seg.exports.made_of import open_slide_of
from wsi_seg.files.plain_files import open_plain
from wsi_seg.slides.readers.dicom_frames import ERRORS, quiet
from wsi_seg.slides.readers.dicom_series import find_series

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

    from wsi_seg.exports.source import Source
    from wsi_seg.slides.frames import Frames

PER_FRAME = 0x52009230
"""The tags from here on are about single frames."""

REQUIRED = ("FrameOfReferenceUID", "ImageOrientationSlide", "TotalPixelMatrixOriginSequence")
"""Without these nothing can be placed on a slide."""

MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
"""Statements on the patient and the study that files may leave out, though DICOM wants them there."""

AGAIN = "convert the slide again, for example with wsidicomizer, and segment that"


@dataclass(frozen=True)
class DicomSlide:
    """A DICOM slide, without its pixels.

    Attributes
    ----------
    path : Path
        Of its first file.
    images : tuple of Dataset
        What each of its files states of all of its frames; of the finest level, the first part comes first.
    spacing_mm : (float, float)
        From row to row and from column to column of level 0.
    """

    path: Path
    images: tuple[Dataset, ...]
    spacing_mm: tuple[float, float]

    @property
    def finest(self) -> Dataset:
        """The statements of level 0."""
        return self.images[0]

    @property
    def orientation(self) -> NDArray[np.float64]:
        """Where columns increase to, and where rows do: unit vectors x, y, z in two rows."""
        cosines = [float(value) for value in self.finest.ImageOrientationSlide]
        return np.array(cosines).reshape(2, 3)

    def alike(self, side: int) -> tuple[Dataset, ...]:
        """Return the images as if level 0 were a square of `side` pixels, as highdicom is given one."""
        square = deepcopy(self.finest)
        square.TotalPixelMatrixRows = square.TotalPixelMatrixColumns = side
        return square, *self.images[1:]

    def origin_mm(self, frames: Frames) -> NDArray[np.float64]:
        """Return where the label frame's corner lies in the slide's frame of reference: x, y, z.

        It is the origin of the slide's own total pixel matrix, unless the file states narrower bounds. Levels
        of a slide have one origin for all, whatever the size of their pixels; so have the labels.
        """
        first = self.finest.TotalPixelMatrixOriginSequence[0]
        origin = [float(first[f"{axis}OffsetInSlideCoordinateSystem"].value) for axis in "XY"]
        depth = first.get("ZOffsetInSlideCoordinateSystem")
        origin.append(0.0 if depth is None else float(depth))
        row_mm, column_mm = self.spacing_mm
        along_columns, along_rows = self.orientation
        moved = frames.bounds.x * column_mm * along_columns + frames.bounds.y * row_mm * along_rows
        return np.asarray(np.array(origin) + moved)

    @contextmanager
    def taken_over(self) -> Iterator[None]:
        """Say which slide it is whose statements highdicom does not take over.

        Raises
        ------
        SlideError
            In place of what pydicom and highdicom raise.
        """
        try:
            with quiet():
                yield
        except ERRORS as error:
            said = shortened(" ".join(str(error).split()) or type(error).__name__)
            raise SlideError(f"{self.path}: states what DICOM does not allow ({said}): {AGAIN}") from error


def find_slide(source: Source, named: Path | None) -> DicomSlide:
    """Find the slide that a result is of, and read what its files state.

    Parameters
    ----------
    source : Source
    named : Path or None
        Where it lies now; None for where it lay when it was segmented.

    Raises
    ------
    UsageError
        If it is not there.
    SlideError
        If it cannot be read, is no DICOM slide, another slide, or does not state how it lies.
    OutputError
        If the result's record or summary is damaged.
    """
    with open_slide_of(source, named) as slide:
        if slide.format != "dicom":
            raise SlideError(
                f"{slide.path}: is no DICOM slide, to which such a file refers: make one of it with "
                "wsidicomizer, and segment that; or export it as GeoJSON"
            )
        return read_slide(slide.path)


def read_slide(path: Path) -> DicomSlide:
    """Read what the files of a DICOM slide state, but for single frames and pixels.

    Raises
    ------
    SlideError
        If one cannot be read, or they do not state how the slide lies.
    """
    series = find_series(path)
    volumes = () if series is None else series.volumes
    try:
        with quiet():
            images = sorted((_read(volume) for volume in volumes), key=_finest_first)
    except ERRORS as error:
        said = shortened(" ".join(str(error).split()) or type(error).__name__)
        raise SlideError(f"{path}: cannot be read ({said}): copy the slide again") from error
    if not images:
        raise SlideError(f"{path}: no file beside it holds the slide itself: copy all of its files")
    finest = images[0]
    missing = [name for name in REQUIRED if not finest.get(name)]
    spacing = _spacing_mm(finest)
    if spacing is None:
        missing.append("PixelSpacing")
    if missing or spacing is None:
        raise SlideError(f"{path}: does not state how the slide lies ({', '.join(missing)}): {AGAIN}")
    return DicomSlide(path, tuple(images), spacing)


def _read(path: Path) -> Dataset:
    with open_plain(path) as file:
        facts = read_partial(file, stop_when=lambda tag, _vr, _length: tag >= PER_FRAME)
    facts.decode()  # of strings, too, in items: they will stand in a file of another character set
    for name in MAY_BE_EMPTY:
        if name not in facts:
            setattr(facts, name, "")
    return facts


def _finest_first(image: Dataset) -> tuple[int, int]:
    return -int(image.TotalPixelMatrixColumns), int(image.get("ConcatenationFrameOffsetNumber", 0))


def _spacing_mm(image: Any) -> tuple[float, float] | None:
    shared = image.get("SharedFunctionalGroupsSequence")
    measures = shared[0].get("PixelMeasuresSequence") if shared else None
    spacing = measures[0].get("PixelSpacing") if measures else None
    return None if not spacing else (float(spacing[0]), float(spacing[1]))
