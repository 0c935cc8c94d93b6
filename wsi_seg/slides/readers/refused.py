"""Why OpenSlide refuses a sound file, and the remedy."""

from __future__ import annotations

import codecs
import os
import re
from typing import TYPE_CHECKING

import openslide

from wsi_seg.errors import SlideError
from wsi_seg.files.plain_files import open_plain
from wsi_seg.slides.readers.compressions import BY_OPENSLIDE, codec_of, is_installed
from wsi_seg.slides.readers.dicom import BESIDE_A_SLIDE, DicomHeader, read_dicom_header
from wsi_seg.slides.readers.dicom_samples import why_samples
from wsi_seg.slides.readers.dicom_series import READ, REFUSED, describe_syntax, find_series
from wsi_seg.slides.readers.images import read_images
from wsi_seg.slides.readers.tiff_pages import STRIP_TAGS, TILE_TAGS, is_tiff, read_pages

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.slides.readers.images import TiffImage

OTHER_FILE = re.compile(r"Reading (?P<file>.+): Unsupported transfer syntax (?P<syntax>[0-9.]+)")
"""OpenSlide's message about a DICOM file that it cannot decode: the named one, or another, such as a
label."""

ATTRIBUTE = re.compile(r"Reading (?P<file>.+): Attribute (?P<name>\w+) value (?P<value>-?\d+) != ")
"""OpenSlide's message about a sound DICOM file whose samples are of a kind that it does not decode."""

PACKED = {
    b"PK\3\4": "a ZIP archive",
    b"\x1f\x8b": "packed by gzip",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
}
"""How files begin that slides are sent in."""

TEXT = {b"{": "JSON", b"[": "JSON", b"<": "XML"}
"""What text is by its first character, of the kinds that outlines are written in."""

PACKED_OUTLINES = (".geojson.gz", ".json.gz", ".xml.gz", ".annotations.gz")

NOT_READ = {
    ".vsi": "Olympus VSI",
    ".isyntax": "Philips iSyntax",
    ".i2syntax": "Philips iSyntax",
    ".lif": "Leica LIF",
    ".nd2": "Nikon ND2",
}
"""Formats that are not read, by their suffixes."""


def why_refused(path: Path, said: str = "") -> str | None:
    """Return why OpenSlide refuses a file that is not damaged, and the remedy; None if unknown.

    Parameters
    ----------
    path : Path
        A file that can be read.
    said : str
        OpenSlide's message, which may be about another file of the slide.
    """
    if path.suffix.lower() == ".qpproj":
        return (
            "a QuPath project, which lists slides: name one of them, or give it to predict, train or evaluate"
        )
    header = read_dicom_header(path)
    if header is None:
        return _why_no_slide(path)
    why, other, attribute = _why_dicom(path, header), OTHER_FILE.search(said), ATTRIBUTE.search(said)
    if why is None and attribute is not None:
        why = why_samples({attribute["name"]: int(attribute["value"])})
        if why is not None and attribute["file"] != str(path):
            why = f"a DICOM slide whose file {os.path.basename(attribute['file'])} {why}"
    return why if why or other is None else _why_syntax(other["syntax"], other["file"])


def refuse_other_makes(path: Path) -> None:
    """Refuse a slide of a make that is not read, though its file may be a TIFF of small pictures, as VSI is.

    Raises
    ------
    SlideError
    """
    make = NOT_READ.get(path.suffix.lower())
    if make is not None and path.is_file():
        raise SlideError(f"{path}: {make} is not read: convert it to a tiled TIFF, OME-TIFF or DICOM")


def is_sound_tiff(path: Path) -> bool:
    """Return whether a file that OpenSlide refuses is a sound TIFF of a make that it does not read."""
    try:
        if not is_tiff(path) or not read_pages(path)[0] & (STRIP_TAGS | TILE_TAGS):
            return False
        # Of scanners' own formats OpenSlide knows more than this.
        if openslide.OpenSlide.detect_format(str(path)) not in (None, "generic-tiff"):
            return False
    except (SlideError, OSError):
        return False  # damaged, or no file: the caller reports that
    first = read_images(path)[0]
    return not first.tiled or first.big_endian or first.compression not in BY_OPENSLIDE or first.bits != 8


def refuse_unreadable(path: Path, image: TiffImage) -> None:
    """Refuse an image that tifffile and imagecodecs do not read as a slide.

    Raises
    ------
    SlideError
        If its samples are no unsigned numbers of 8 or 16 bits, or its compression is not known.
    """
    codec = codec_of(image.compression)
    if image.kind != "unsigned" or image.bits not in (8, 16):
        what = f"of {image.bits}-bit {image.kind} samples, which are not read"
        remedy = "export it again with 8 bits per channel, in tiles of JPEG, LZW, Deflate or Zstd"
    elif codec is None:
        what = f"compressed by scheme {image.compression}, which is not read"
        remedy = "export it again in tiles of JPEG, LZW, Deflate or Zstd"
    elif not is_installed(codec):
        what = f"compressed by {codec.name}, and the imagecodecs that is installed lacks its codec"
        remedy = "install imagecodecs from PyPI, or export it again in tiles of JPEG, LZW, Deflate or Zstd"
    else:
        return
    raise SlideError(f"{path}: a sound TIFF, but {what}: {remedy}")


def _why_no_slide(path: Path) -> str | None:
    """Return what a file is that is no slide by itself."""
    with open_plain(path) as file:
        head = file.read(64)
    begins = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if begins in TEXT or path.name.lower().endswith(PACKED_OUTLINES):
        what = TEXT.get(begins, "packed text")
        return f"is {what}, as outlines are, and no slide: name the slide first, and then its outlines"
    for magic, what in PACKED.items():
        if head.startswith(magic):
            return f"is {what}: unpack it, and name the slide in it"
    folder = path.with_suffix("")
    if path.suffix.lower() == ".mrxs" and not folder.is_dir():
        return f"its folder {folder.name} is missing beside it: copy that, too"
    return None


def _why_dicom(path: Path, header: DicomHeader) -> str | None:
    if header.no_slide is not None:
        return f"is {header.no_slide}: name a file of the slide itself"
    series = find_series(path)
    if header.flavour in BESIDE_A_SLIDE and series is not None and not series.volumes:
        return f"is only the {header.flavour.lower()} of a slide: name a file of the slide itself"
    known = header.transfer_syntax in READ or not header.transfer_syntax
    return None if known else _why_syntax(header.transfer_syntax)


def _why_syntax(syntax: str, file: str | None = None) -> str:
    return f"{describe_syntax(syntax, file)}: {REFUSED}"
