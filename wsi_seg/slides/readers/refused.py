"""Why OpenSlide refuses a sound file, and the remedy."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.dicom import BESIDE_A_SLIDE, DicomHeader, read_dicom_header
from wsi_seg.slides.readers.dicom_series import READ, REFUSED, describe_syntax, find_series
from wsi_seg.slides.readers.tiff import STRIP_TAGS, TILE_TAGS, TiffImage, is_tiff, read_pages, read_tiff

if TYPE_CHECKING:
    from pathlib import Path

VIPS = "vips tiffsave {slide} slide.tif --tile --pyramid --compression deflate --bigtiff"
FAIL = "[fail]"
"""Appended to the file name for vips: else vips 8.18 silently makes tiles black that it cannot decode."""

TIFFCP = "tiffcp -t -w 256 -l 256 -c zip {slide} slide.tif"
LITTLE_ENDIAN = "tiffcp -L -t -w 256 -l 256 -c zip {slide} slide.tif"

COMPRESSIONS: dict[int, tuple[str, str | None]] = {
    33003: ("JPEG 2000", None),
    33004: ("JPEG 2000", None),
    33005: ("JPEG 2000", None),
    34712: ("JPEG 2000", None),
    34887: ("LERC", TIFFCP),
    34925: ("LZMA", TIFFCP),
    34933: ("PNG", None),
    34934: ("JPEG XR", None),
    22610: ("JPEG XR", None),
    50001: ("WebP", VIPS),
    34927: ("WebP", None),
    50002: ("JPEG XL", None),
    52546: ("JPEG XL", None),
}
"""TIFF compressions that OpenSlide does not read, by their tag, and a command that converts them. JPEG 2000
has no command: vips 8.14 and 8.18 do not know 34712, and 8.14 gives wrong colours for 33005."""

READ_COMPRESSIONS = frozenset({1, 5, 7, 8, 32773, 32946, 50000})
"""None, LZW, JPEG, Deflate, PackBits, Deflate by its older number, Zstd."""

OTHER_FILE = re.compile(r"Reading (?P<file>.+): Unsupported transfer syntax (?P<syntax>[0-9.]+)")
"""OpenSlide's message about a DICOM file that it cannot decode: the named one, or another, such as a
label."""


def why_refused(path: Path, said: str = "") -> str | None:
    """Return why OpenSlide refuses a sound file, and the remedy; None if that is not known.

    Parameters
    ----------
    path : Path
        A file that can be read.
    said : str
        OpenSlide's message, which may be about another file of the slide.
    """
    if is_tiff(path):
        try:
            if not read_pages(path)[0] & (STRIP_TAGS | TILE_TAGS):
                return None
            return _why_tiff(path, read_tiff(path))
        except SlideError:
            return None  # damaged: the caller reports that
    header = read_dicom_header(path)
    if header is None:
        return None
    why, other = _why_dicom(path, header), OTHER_FILE.search(said)
    return why if why or other is None else _why_syntax(other["syntax"], other["file"])


def _why_tiff(path: Path, image: TiffImage) -> str | None:
    compression, command = COMPRESSIONS.get(image.compression, (f"scheme {image.compression}", None))
    reasons = [] if image.tiled else ["in strips, not in tiles"]
    if image.compression in READ_COMPRESSIONS:
        command = VIPS
        if image.big_endian:
            reasons.append("big-endian and not BigTIFF")
            command = LITTLE_ENDIAN
    else:
        reasons.append(f"compressed by {compression}")
    if image.kind != "unsigned" or image.bits not in (8, 16):
        reasons.append(f"of {image.bits}-bit {image.kind} samples")
        remedy = "export it again with 8 bits per channel, in tiles of JPEG, LZW, Deflate or Zstd"
    elif command is None:
        remedy = "export it again in tiles of JPEG, LZW, Deflate or Zstd"
    else:
        name = f"{path.name}{FAIL}" if command is VIPS else path.name
        remedy = f"convert it, for example with `{command.format(slide=shlex.quote(name))}`"
    if not reasons:
        return None
    return f"a sound TIFF, but {' and '.join(reasons)}, which OpenSlide does not read: {remedy}"


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
