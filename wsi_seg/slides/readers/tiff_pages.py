"""The pages of a TIFF: whether they hang together, and whether they are a slide's or a picture's."""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING

import tifffile

from wsi_seg.errors import SlideError
from wsi_seg.files.plain_files import open_plain
from wsi_seg.process import WhileNeeded, silent

if TYPE_CHECKING:
    from pathlib import Path

quiet = WhileNeeded(partial(silent, "tifffile"))
"""Keeps tifffile from logging what it finds odd: what matters reaches users as an error."""

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

ERRORS = (
    tifffile.TiffFileError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    OSError,
    RuntimeError,
    struct.error,
)
"""What tifffile and imagecodecs raise for damaged files."""

STRIP_TAGS = frozenset({273, 279})
TILE_TAGS = frozenset({322, 323, 324, 325})
"""The tags that hold the places and sizes of strips and tiles."""

MAX_TAGS = 65_535
"""Entries that a page may have: as many as a TIFF that is not a BigTIFF can count."""


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
