"""The make-up of a TIFF: samples, bits, planes, compression, tiles. Read before its pixels are trusted."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import tifffile

from wsi_seg.errors import SlideError
from wsi_seg.files.reading import open_plain
from wsi_seg.process import WhileNeeded, silent

if TYPE_CHECKING:
    from pathlib import Path

quiet = WhileNeeded(partial(silent, "tifffile"))
"""Keeps tifffile from logging what it finds odd: what matters reaches users as an error."""

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

ERRORS = (tifffile.TiffFileError, ValueError, LookupError, TypeError, OSError, RuntimeError, struct.error)
"""What tifffile and imagecodecs raise for damaged files."""

STRIP_TAGS = frozenset({273, 279})
TILE_TAGS = frozenset({322, 323, 324, 325})
"""The tags that hold the places and sizes of strips and tiles."""

MAX_TAGS = 65_535
"""Entries that a page may have: as many as a TIFF that is not a BigTIFF can count."""

KINDS: dict[int, Literal["unsigned", "signed", "floating-point"]] = {
    1: "unsigned",
    2: "signed",
    3: "floating-point",
    4: "unsigned",
}
"""Kinds of numbers by the tag SampleFormat; 4 means "not stated"."""


@dataclass(frozen=True)
class TiffImage:
    """The first image of a TIFF.

    Attributes
    ----------
    width, height : int
    big_endian : bool
        Only for a TIFF that is not a BigTIFF.
    tiled : bool
        Stored in tiles, not in strips.
    compression, photometric : int
        The values of the TIFF tags.
    samples : int
        Per pixel of one page.
    separate : bool
        Samples lie in planes of one page, not interleaved.
    extra : tuple of int
        The tag ExtraSamples: 0 for an unspecified sample, 1 and 2 for transparency.
    bits : int
        Per sample.
    kind : {"unsigned", "signed", "floating-point", "complex"}
        What samples are.
    axes : str
        Of all pages of this image, in tifffile's letters: "YXS" for one page of interleaved samples, "CYX"
        for channels in pages, "IYX" for undescribed pages.
    shape : tuple of int
        Length along each of `axes`.
    description : str
    """

    width: int
    height: int
    big_endian: bool
    tiled: bool
    compression: int
    photometric: int
    samples: int
    separate: bool
    extra: tuple[int, ...]
    bits: int
    kind: Literal["unsigned", "signed", "floating-point", "complex"]
    axes: str
    shape: tuple[int, ...]
    description: str


def is_tiff(path: Path) -> bool:
    """Return whether a file begins like a TIFF."""
    with open_plain(path) as file:
        return file.read(4) in MAGIC


def is_picture(path: Path) -> bool:
    """Return whether a TIFF is stored in strips, like a picture, and no page has tiles, like a slide.

    Raises
    ------
    SlideError
        If the file is damaged.
    """
    pages = read_pages(path)
    return pages[0] >= STRIP_TAGS and not any(page & TILE_TAGS for page in pages)


def read_pages(path: Path) -> list[frozenset[int]]:
    """Read the tags of each page of a TIFF.

    Other readers silently end at a broken chain of pages.

    Raises
    ------
    SlideError
        If the file is damaged: a page lies beyond its end or follows itself, or there is no page.
    """
    pages: dict[int, frozenset[int]] = {}
    try:
        with path.open("rb") as file:
            order = ">" if file.read(2) == b"MM" else "<"
            big = struct.unpack(f"{order}H", file.read(2))[0] == 43
            count, offset, entry = (8, 8, 20) if big else (2, 4, 12)
            letters = {2: "H", 4: "I", 8: "Q"}
            file.seek(8 if big else 4)
            (place,) = struct.unpack(order + letters[offset], file.read(offset))
            while place:
                if place in pages:
                    raise ValueError(f"its page at byte {place} points to itself")
                file.seek(place)
                (entries,) = struct.unpack(order + letters[count], file.read(count))
                content = file.read(min(entries, MAX_TAGS) * entry + offset)
                pages[place] = frozenset(
                    struct.unpack_from(f"{order}H", content, k * entry)[0] for k in range(entries)
                )
                (place,) = struct.unpack_from(order + letters[offset], content, entries * entry)
        if not pages:
            raise ValueError("it has no pages")
    except (ValueError, OverflowError, OSError, struct.error) as error:
        raise SlideError(f"{path}: damaged TIFF ({error}): copy or export it again") from error
    return list(pages.values())


def read_tiff(path: Path) -> TiffImage:
    """Read what a TIFF states about its first image, without its pixels.

    Raises
    ------
    SlideError
        If the file is damaged.
    """
    try:
        with quiet(), tifffile.TiffFile(path) as tiff:
            page, series = tiff.pages.first, tiff.series[0]
            return TiffImage(
                width=page.imagewidth,
                height=page.imagelength,
                big_endian=tiff.byteorder == ">" and not tiff.is_bigtiff,
                tiled=page.is_tiled,
                compression=int(page.compression),
                photometric=int(page.photometric),
                samples=page.samplesperpixel,
                separate=page.planarconfig == tifffile.PLANARCONFIG.SEPARATE,
                extra=tuple(int(kind) for kind in page.extrasamples),
                bits=page.bitspersample,
                kind=KINDS.get(page.sampleformat, "complex"),
                axes=series.axes,
                shape=tuple(series.shape),
                description=page.description,
            )
    except ERRORS as error:
        raise SlideError(f"{path}: damaged TIFF ({error}): copy or export it again") from error
