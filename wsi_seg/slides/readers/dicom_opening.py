"""DICOM slides that OpenSlide refuses: read by wsidicom, if it is installed and reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import SlideError
from wsi_seg.packages import ImportFault
from wsi_seg.slides.readers.dicom_series import READ, REFUSED, describe_syntax, find_beyond_openslide

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.slides.readers.contract import Reader
    from wsi_seg.slides.readers.dicom_series import SeriesFiles


def open_dicom(path: Path) -> Reader | None:
    """Open a DICOM slide that OpenSlide refuses; None for any other file.

    Raises
    ------
    SlideError
        If it is damaged, compressed in a way that is not read, or what reads it is not installed, or broken.
    """
    series = find_beyond_openslide(path)
    if series is None:
        return None
    for volume in series.volumes:
        syntax = series.headers[volume].transfer_syntax
        if syntax and syntax not in READ:
            raise SlideError(f"{path}: {_describe(path, series, volume)}: {REFUSED}")
    try:
        from wsi_seg.slides.readers.dicom_reader import DicomReader
    except Exception as error:  # a broken installation may raise anything
        fault = ImportFault.of(error, "dicom")
        raise SlideError(
            f"{path}: {_describe(path, series, series.refused_for(path))}; wsidicom does, but "
            f"{fault.package} {fault.says}"
        ) from error
    return DicomReader(path, series)


def _describe(path: Path, series: SeriesFiles, file: Path) -> str:
    return describe_syntax(series.headers[file].transfer_syntax, None if file == path else file.name)
