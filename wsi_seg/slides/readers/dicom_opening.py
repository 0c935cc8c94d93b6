"""DICOM slides that OpenSlide refuses, or whose levels it would shift: read by wsidicom."""

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
    from wsi_seg.slides.readers.decode import LevelReader
    from wsi_seg.slides.readers.dicom_reader import DicomReader
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
    what = _describe(path, series, series.refused_for(path))
    return _dicom_reader(path, what)(path, series)


def open_shifted_dicom(path: Path, opened: LevelReader) -> Reader:
    """Open a DICOM slide whose levels OpenSlide would shift, as they are stored.

    Parameters
    ----------
    path : Path
    opened : LevelReader
        The slide as OpenSlide opens it. It is returned, and `shifts` says so, where wsidicom does not read
        the slide, or finds other levels; it is closed where it is not returned.

    Raises
    ------
    SlideError
        If wsidicom is not installed, or broken.
    """
    series = find_series(path)
    if series is None:
        return opened
    try:
        reader = _dicom_reader(path, "a DICOM slide whose levels OpenSlide would shift by part of a pixel")
    except SlideError:
        opened.close()
        raise
    try:
        stored = reader(path, series, opened.properties)
    except SlideError:
        return opened
    sizes = [[(level.width, level.height) for level in one.levels] for one in (stored, opened)]
    used, unused = (stored, opened) if sizes[0] == sizes[1] else (opened, stored)
    unused.close()
    return used


def _dicom_reader(path: Path, what: str) -> type[DicomReader]:
    """Import what reads DICOM by wsidicom; an error says what the slide is, and what is wrong."""
    try:
        from wsi_seg.slides.readers.dicom_reader import DicomReader
    except Exception as error:  # a broken installation may raise anything
        fault = ImportFault.of(error)
        raise SlideError(f"{path}: {what}; {fault.package}, which reads it, {fault.says}") from error
    return DicomReader


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
