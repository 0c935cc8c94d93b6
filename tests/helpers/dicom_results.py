"""DICOM slides that state how they lie, and results on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from conftest import SCHEMA
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sequence import Sequence

from helpers.dicom_slides import NATIVE, ROOT, Written, write_level
from helpers.written_results import write_labels
from wsi_seg.exports.source import Source
from wsi_seg.models.classes import ClassSchema
from wsi_seg.results.record import Key
from wsi_seg.slides.slide import Slide

SLIDE_MPP, STEP = 0.5, 4
"""Micrometres per slide pixel, and slide pixels per label pixel."""

FRAME_OF_REFERENCE = f"{ROOT}.6"
ORIGIN = (12.5, 40.25)
"""Where the slide's first pixel lies, in mm."""

ORIENTATIONS = {
    "as most": (0, -1, 0, -1, 0, 0),
    "turned by a quarter": (1, 0, 0, 0, -1, 0),
    "turned by a half": (0, 1, 0, 1, 0, 0),
    "turned by less": (0.8, 0.6, 0, 0.6, -0.8, 0),
    "mirrored": (1, 0, 0, 0, 1, 0),
}
"""How the total pixel matrix may lie on the glass: where columns increase to, and where rows do."""


@dataclass(frozen=True)
class OnSlide:
    """A slide, and a result on it."""

    slide: Path
    folder: Path
    labels: NDArray[np.uint8]

    @property
    def source(self) -> Source:
        return Source.at(self.folder)


Facts = tuple[tuple[str, Any], ...]
"""Attributes of a slide's file, by their names."""


def facts(orientation: tuple[float, ...] = ORIENTATIONS["as most"], **further: Any) -> Facts:
    """What a slide's file states of itself, beside what is needed to decode it."""
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = ORIGIN
    specimen = Dataset()
    specimen.SpecimenIdentifier = "S-1 A"
    specimen.SpecimenUID = f"{ROOT}.7"
    specimen.IssuerOfTheSpecimenIdentifierSequence = Sequence([])
    specimen.SpecimenPreparationSequence = Sequence([])
    stated = {
        "FrameOfReferenceUID": FRAME_OF_REFERENCE,
        "PositionReferenceIndicator": "SLIDE_CORNER",
        "ImageOrientationSlide": list(orientation),
        "TotalPixelMatrixOriginSequence": Sequence([origin]),
        "ImagedVolumeWidth": 1.0,
        "ImagedVolumeHeight": 1.0,
        "PatientID": "P-1",
        "PatientName": "Doe^Jane",
        "StudyDate": "20250131",
        "StudyTime": "100618",
        "SpecimenDescriptionSequence": Sequence([specimen]),
        **further,
    }
    return tuple(stated.items())


def write_slide(folder: Path, labels: NDArray[np.uint8], stated: Facts) -> Path:
    """Write a slide of two levels whose pixels are those of labels, enlarged."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate((STEP, 1), 1):
        grey = np.repeat(np.repeat(labels * 40, step, axis=0), step, axis=1)
        rgb = np.stack([grey, 255 - grey, grey // 2], axis=-1)
        how = Written(NATIVE, number=number, facts=stated)
        write_level(folder / f"{number}.dcm", rgb, SLIDE_MPP * STEP / step, how)
    return folder / "1.dcm"


def write_result(
    folder: Path,
    labels: NDArray[np.uint8],
    schema: ClassSchema = SCHEMA,
    stated: Facts | None = None,
) -> OnSlide:
    """Write a slide, and a finished result on it of these labels."""
    path = write_slide(folder / "glass", labels, facts() if stated is None else stated)
    with Slide(path) as slide:
        frames = slide.frames(SLIDE_MPP * STEP)
        made_from: Key = {"slide": slide.fingerprint}
    assert frames.label_size == labels.shape[::-1]
    return OnSlide(path, write_labels(folder / "result", labels, schema, frames, made_from), labels)


def patches(height: int = 700, width: int = 1100, seed: int = 0) -> NDArray[np.uint8]:
    """Labels of the three classes in patches of several sizes, with holes; a tile and a half are glass."""
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 3, (-(-height // 37), -(-width // 37))), np.ones((37, 37), int))
    labels = labels[:height, :width].astype(np.uint8)
    labels[:, :530] = 0
    labels[100:400, 100:400] = 1
    labels[150:250, 200:260] = 2
    labels[300:330, 120:180] = 0
    return np.asarray(labels, dtype=np.uint8)
