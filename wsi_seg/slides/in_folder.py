"""The slides in a folder. A DICOM slide has several files, with others beside them; a Zarr is a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import openslide

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.decode import refuse_special
from wsi_seg.slides.readers.dicom import BESIDE_A_SLIDE, read_dicom_header
from wsi_seg.slides.readers.dicom_series import find_beyond_openslide
from wsi_seg.slides.readers.zarr_images import no_image
from wsi_seg.slides.readers.zarr_store import is_store, is_zip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SLIDE_SUFFIXES = frozenset(
    {".svs", ".tif", ".tiff", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".bif", ".svslide", ".dcm", ".czi"}
)


@dataclass(frozen=True)
class FolderSlides:
    """The slides in a folder, and a line for each other file that looks like one."""

    slides: tuple[Path, ...]
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class DicomSeries:
    """What the files of one DICOM slide have in common.

    Attributes
    ----------
    uid : str
    container : str
        The label of the glass slide; empty if it is not stated.
    """

    uid: str
    container: str

    @classmethod
    def of(cls, properties: Mapping[str, str], path: Path | None = None) -> Self:
        """Return the series that an open slide states; without its UID, the file stands for it."""
        uid = properties.get("dicom.SeriesInstanceUID", "" if path is None else path.name)
        return cls(str(uid), str(properties.get("dicom.ContainerIdentifier", "")).strip())


def slides_in(folder: Path) -> FolderSlides:
    """Return the slides in a folder; of a DICOM series, the first file.

    A broken link, such as one to a share that is not mounted, is taken by its name. It then fails as the
    slide that it stands for.

    Raises
    ------
    SlideError
        If there are none.
    """
    slides: list[Path] = []
    passed_over: list[str] = []
    seen: set[str] = set()
    for path in sorted(folder.iterdir()):
        if may_be_dicom(path):
            what = _no_slide(path)
            if what is not None:
                passed_over.append(f"{path}: DICOM, but {what}: skipped")
                continue
            series = dicom_series(path)
            uid = path.name if series is None else series.uid
            if uid in seen:
                continue
            seen.add(uid)
        elif is_store(path):
            what = _no_zarr_image(path)
            if what is not None:
                passed_over.append(f"{path}: {what}: skipped")
                continue
        elif path.suffix.lower() not in SLIDE_SUFFIXES and not is_zip(path):
            continue
        elif os.path.exists(path) and not os.path.isfile(path):
            what = "a folder" if os.path.isdir(path) else "no file"
            passed_over.append(f"{path}: named like a slide, but {what}: skipped")
            continue
        slides.append(path)
    if not slides:
        beside = f" ({'; '.join(passed_over)})" if passed_over else ""
        raise SlideError(
            f"{folder}: no slide in this folder{beside}: name slide files, or a folder that holds some; "
            "subfolders are not searched"
        )
    return FolderSlides(tuple(slides), tuple(passed_over))


def such_as(folder: Path) -> str:
    """Return ", such as " and the first slide in a folder, for a message; nothing if there is none."""
    try:
        return f", such as {slides_in(folder).slides[0]}"
    except (SlideError, OSError):
        return ""  # the message is about the folder


def may_be_dicom(path: Path) -> bool:
    """Return whether to look at a file as DICOM, which often has a UID for a name and no suffix."""
    suffix = path.suffix.lower()
    if suffix == ".dcm":
        return os.path.isfile(path)
    named_so = suffix in ("", ".dicom") or suffix[1:].isdigit()
    return named_so and os.path.isfile(path) and read_dicom_header(path) is not None


def dicom_series(path: Path) -> DicomSeries | None:
    """Return the series that a DICOM slide is; None for what is no DICOM slide, or is damaged."""
    beyond = find_beyond_openslide(path)
    if beyond is not None:
        return DicomSeries(beyond.uid, beyond.container)
    try:
        refuse_special(path)
        with openslide.OpenSlide(str(path)) as slide:
            return DicomSeries.of(slide.properties, path)
    except (openslide.OpenSlideError, SlideError, OSError):
        return None  # it fails later as a slide, with its own message


def _no_zarr_image(path: Path) -> str | None:
    """Return what a Zarr is that is no image; None also for a damaged one, which then fails by name."""
    try:
        other = no_image(path)
    except SlideError:
        return None
    return None if other is None else other[0]


def _no_slide(path: Path) -> str | None:
    """Describe a DICOM file that is not a slide.

    A slide's label and overview belong to its series. Where they form a series of their own, it is not a
    slide.
    """
    head = read_dicom_header(path)
    if head is None:
        return None
    if head.no_slide is None and head.flavour in BESIDE_A_SLIDE and dicom_series(path) is None:
        return f"only the {head.flavour.lower()} of a slide"
    return head.no_slide
