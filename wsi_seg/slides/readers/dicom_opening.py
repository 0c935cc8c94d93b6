"""DICOM slides that OpenSlide refuses: read by wsidicom, if it is installed and reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.errors import SlideError
from wsi_seg.packages import ImportFault
from wsi_seg.slides.readers.dicom_colours import (
    TRANSFORMED,
    first_code_stream,
    refuse_colours,
    refuse_contradiction,
)
from wsi_seg.slides.readers.dicom_series import (
    READ,
    REFUSED,
    describe_syntax,
    find_beyond_openslide,
    find_series,
)

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
        _refuse_contradictions(path)
        return None
    for volume in series.volumes:
        header = series.headers[volume]
        if header.transfer_syntax and header.transfer_syntax not in READ:
            raise SlideError(f"{path}: {_describe(path, series, volume)}: {REFUSED}")
        if header.photometric:
            refuse_colours(volume, header.transfer_syntax, header.photometric)
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
    header = series.headers[file]
    return describe_syntax(header.transfer_syntax, None if file == path else file.name, header.photometric)


def _refuse_contradictions(path: Path) -> None:
    """Refuse JPEG 2000 that OpenSlide would read, if it is not clear which colours it holds."""
    series = find_series(path)
    if series is None:
        return
    for volume in series.volumes:
        header = series.headers[volume]
        if header.photometric in TRANSFORMED:
            try:
                frame = first_code_stream(volume)
            except OSError:
                continue  # OpenSlide reports it
            refuse_contradiction(volume, header.transfer_syntax, header.photometric, frame)
