"""The files of a DICOM slide, how each is compressed, and which program reads them all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.slides.readers.dicom import DicomHeader, read_dicom_header

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BY_OPENSLIDE = {
    "1.2.840.10008.1.2": "nothing",
    "1.2.840.10008.1.2.1": "nothing",
    "1.2.840.10008.1.2.4.50": "JPEG",
    "1.2.840.10008.1.2.4.90": "JPEG 2000",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
}
"""Transfer syntaxes that OpenSlide reads, and the compressions that they stand for."""

COLOURS_BY_OPENSLIDE = {
    "1.2.840.10008.1.2.1": frozenset({"RGB"}),
    "1.2.840.10008.1.2.4.50": frozenset({"RGB", "YBR_FULL_422"}),
    "1.2.840.10008.1.2.4.90": frozenset({"RGB", "YBR_RCT"}),
    "1.2.840.10008.1.2.4.91": frozenset({"RGB", "YBR_RCT", "YBR_ICT"}),
}
"""What samples may be declared as for OpenSlide to read them, by transfer syntax."""

BY_WSIDICOM = {
    "1.2.840.10008.1.2.5": "RLE",
    "1.2.840.10008.1.2.4.57": "lossless JPEG",
    "1.2.840.10008.1.2.4.70": "lossless JPEG",
    "1.2.840.10008.1.2.4.80": "JPEG-LS",
    "1.2.840.10008.1.2.4.81": "JPEG-LS",
    "1.2.840.10008.1.2.4.110": "JPEG XL",
    "1.2.840.10008.1.2.4.111": "JPEG XL",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.4.201": "HTJ2K",
    "1.2.840.10008.1.2.4.202": "HTJ2K",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
}
"""Transfer syntaxes that OpenSlide does not read, and wsidicom does."""

READ = BY_OPENSLIDE | BY_WSIDICOM

REFUSED = "decode its files with DCMTK, or export it again, in tiles of JPEG"
"""The remedy for transfer syntaxes that neither reads."""

VOLUME = "VOLUME"
"""The flavour of the files that hold the slide itself."""


@dataclass(frozen=True)
class SeriesFiles:
    """All files of one DICOM slide.

    Attributes
    ----------
    uid : str
        Of the series.
    headers : mapping of Path to DicomHeader
        In the order of their names; label and overview are among them.
    """

    uid: str
    headers: Mapping[Path, DicomHeader]

    @property
    def volumes(self) -> tuple[Path, ...]:
        """The files that hold the slide itself."""
        return tuple(path for path, header in self.headers.items() if header.flavour == VOLUME)

    @property
    def container(self) -> str:
        """What the glass slide is labelled with; empty if that is not stated."""
        return next((header.container for header in self.headers.values() if header.container), "")

    def refused_for(self, path: Path) -> Path:
        """Return the file for whose compression or colours OpenSlide refuses the slide.

        Parameters
        ----------
        path : Path
            The file that was named, which comes first. OpenSlide reads the others too, such as a label.
        """
        for file in (path, *self.headers):
            if not is_read_by_openslide(self.headers[file]):
                return file
        raise ValueError(f"{path}: all files are read by OpenSlide")


def is_read_by_openslide(header: DicomHeader) -> bool:
    """Return whether OpenSlide reads this compression and these colours, as far as they are stated."""
    syntax, photometric = header.transfer_syntax, header.photometric
    if syntax not in BY_OPENSLIDE:
        return not syntax
    return not photometric or photometric in COLOURS_BY_OPENSLIDE.get(syntax, {photometric})


def find_series(path: Path) -> SeriesFiles | None:
    """Find the files of a DICOM slide beside any one of them; None for what is no such file."""
    named = read_dicom_header(path)
    if named is None or named.no_slide is not None or not named.series:
        return None
    headers = {path: named}
    for file in _files(path):
        header = read_dicom_header(file)
        if header is not None and header.no_slide is None and header.series == named.series:
            headers[file] = header
    return SeriesFiles(named.series, dict(sorted(headers.items())))


def find_beyond_openslide(path: Path) -> SeriesFiles | None:
    """Find the files of a DICOM slide that OpenSlide refuses for the compression or colours of any of them.

    Parameters
    ----------
    path : Path
        Any file of the slide.

    Returns
    -------
    SeriesFiles or None
        None for all other files: those that are no DICOM, hold no slide, or that OpenSlide reads.
    """
    series = find_series(path)
    if series is None or not series.volumes:
        return None
    return None if all(map(is_read_by_openslide, series.headers.values())) else series


def describe_syntax(syntax: str, file: str | None = None, photometric: str = "") -> str:
    """Describe a DICOM slide that OpenSlide refuses for the transfer syntax or the colours of a file.

    Parameters
    ----------
    syntax : str
        UID.
    file : str, optional
        Name of the file, if it is not the named one.
    photometric : str
        What its samples are declared to be.
    """
    what = "a DICOM slide" if file is None else f"a DICOM slide whose file {os.path.basename(file)} is"
    if syntax in BY_OPENSLIDE and photometric:
        return f"{what} of {photometric} in {name_frames(syntax)}, which OpenSlide does not read"
    return f"{what} compressed by {name_syntax(syntax)}, which OpenSlide does not read"


def name_frames(syntax: str) -> str:
    """Return what frames of a transfer syntax are, in the words of messages: "JPEG 2000 frames"."""
    name = name_syntax(syntax)
    return "uncompressed frames" if name == "nothing" else f"{name} frames"


def name_syntax(syntax: str) -> str:
    """Return what a transfer syntax compresses by, in the words of messages."""
    return (READ | {"1.2.840.10008.1.2.4.51": "12-bit JPEG"}).get(syntax, f"transfer syntax {syntax}")


def _files(path: Path) -> list[Path]:
    try:
        return [file for file in path.parent.iterdir() if file != path and os.path.isfile(file)]
    except OSError:
        return []  # a folder that may be passed but not listed: the named file alone
