"""What a TIFF is: samples, bits, planes, compression, tiles. Looked up before its pixels are believed."""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import tifffile

from wsi_seg.errors import SlideError
from wsi_seg.files.reading import open_plain

if TYPE_CHECKING:
    from pathlib import Path

# What tifffile remarks on odd files would reach the terminal beside our own lines.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

ERRORS = (tifffile.TiffFileError, ValueError, LookupError, TypeError, OSError, RuntimeError, struct.error)
"""What tifffile and imagecodecs raise for damaged files."""

STRIP_TAGS = frozenset({273, 279})
TILE_TAGS = frozenset({322, 323, 324, 325})
"""Where strips and tiles lie, and how large they are."""

MAX_TAGS = 65_535
"""Entries that a page may have: as many as a TIFF that is no BigTIFF can count."""

KINDS: dict[int, Literal["unsigned", "signed", "floating-point"]] = {
    1: "unsigned",
    2: "signed",
    3: "floating-point",
    4: "unsigned",
}
"""Kinds of numbers by the tag SampleFormat; 4 is "not stated"."""


@dataclass(frozen=True)
class TiffImage:
    """The first image of a TIFF.

    Attributes
    ----------
    width, height : int
    big_endian : bool
        Of a TIFF that is no BigTIFF.
    tiled : bool
        In tiles, not in strips.
    compression, photometric : int
        As the TIFF tags have them.
    samples : int
        Per pixel of one page.
    separate : bool
        Samples lie in planes of one page, and not beside one another.
    extra : tuple of int
        The tag ExtraSamples: 0 for one of which nothing is said, 1 and 2 for transparency.
    bits : int
        Per sample.
    kind : {"unsigned", "signed", "floating-point", "complex"}
        What samples are.
    axes : str
        Of all pages of this image, by tifffile's letters: "YXS" for one of interleaved samples, "CYX" for
        channels in pages, "IYX" for pages of which nothing is said.
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
    """Tell whether a file begins as a TIFF does."""
    with open_plain(path) as file:
        return file.read(4) in MAGIC


def is_picture(path: Path) -> bool:
    """Tell whether a TIFF is in strips, as pictures are, and has no tiles in any page, as slides have.

    Raises
    ------
    SlideError
        If the file is damaged.
    """
    pages = read_pages(path)
    return pages[0] >= STRIP_TAGS and not any(page & TILE_TAGS for page in pages)


def read_pages(path: Path) -> list[frozenset[int]]:
    """Read which tags each page of a TIFF has.

    Other readers take a chain of pages that is broken for one that ends.

    Raises
    ------
    SlideError
        If the file is damaged: if a page lies beyond its end, is its own successor, or there is none.
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
                    raise ValueError(f"its page at byte {place} follows itself")
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
    """Read what a TIFF says of its first image; no pixels.

    Raises
    ------
    SlideError
        If the file is damaged.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
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
