"""Decode the JPEG tiles of a TIFF by libjpeg-turbo: the pixels that OpenSlide decodes, several times as fast.

OpenSlide has opened the file, and stays the one that knows it. Tiles that are no plain, sound JPEG are left
to it. The decoder is as strict as OpenSlide: it takes a warning for damage.

Where the sides of a level are no whole fraction of level 0's, OpenSlide shifts what it reads by part of a
pixel, and blends neighbours. Here pixels come as they are stored.
"""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from wsi_seg.slides.readers.grid_cells import cut_by_grid, enclosing_cells
from wsi_seg.slides.readers.piece_cache import PIECES
from wsi_seg.slides.readers.strict_jpeg import GREY, NoPlainJpegError, StrictJpeg
from wsi_seg.slides.readers.tiff_pages import ERRORS, quiet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect
    from wsi_seg.slides.readers.contract import SlideLevel

JPEG = 7
"""Of the TIFF tag Compression."""

LARGEST = 16
"""Bytes that the JPEG of a tile may have for each of its pixels; noise at quality 100 has 4."""


@dataclass(frozen=True)
class _Level:
    """Places and sizes of a level's tiles, both int64 of shape (rows, columns), and what they share."""

    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    jpeg: StrictJpeg


class JpegTiles:
    """Decodes rectangles of levels that are stored as JPEG tiles. May be used from several threads.

    Parameters
    ----------
    path : Path
        A TIFF.
    levels : sequence of SlideLevel
        As OpenSlide describes them.
    """

    def __init__(self, path: Path, levels: Sequence[SlideLevel]) -> None:
        self._path = path
        self._levels = levels
        self._tables: dict[int, _Level | None] = {}
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDONLY)
        self._owner = PIECES.new_owner()
        # Processes keep slides open from region to region, and drop them without closing.
        self._close = weakref.finalize(self, _close, self._file, self._owner)

    def close(self) -> None:
        """Close the file."""
        self._close()

    def decodes(self, index: int) -> bool:
        """Return whether tiles of a level are decoded here."""
        return self._table(index) is not None

    def read(self, index: int, rect: Rect) -> tuple[NDArray[np.uint8], list[Rect]] | None:
        """Decode a rectangle of a level.

        Parameters
        ----------
        index : int
        rect : Rect
            In level pixels; it may reach beyond the level.

        Returns
        -------
        rgba : uint8 array, shape (height, width, 4)
        left : list of Rect
            Whole tiles under it, in level pixels, that are absent, damaged or of another kind: `rgba` is zero
            there, and OpenSlide knows what to do with them.

        None if no tile of the level is decoded here.
        """
        table, level = self._table(index), self._levels[index]
        if table is None or not self._close.alive:
            return None
        inside = rect.clipped(level.width, level.height)
        rgba = (np.empty if inside == rect else np.zeros)((rect.height, rect.width, 4), dtype=np.uint8)
        left: list[Rect] = []
        for piece in cut_by_grid(inside, level.tile_height, level.tile_width):
            whole = enclosing_cells(piece, level.tile_height, level.tile_width)
            tile = self._tile(index, table, whole.y0 // level.tile_height, whole.x0 // level.tile_width)
            if tile is None:
                left.append(whole)
            rgba[piece.relative_to(rect).slices] = (
                0 if tile is None else tile[piece.relative_to(whole).slices]
            )
        return rgba, left

    def _tile(self, index: int, table: _Level, row: int, column: int) -> NDArray[np.uint8] | None:
        """Return a whole tile as RGBA; None if it is absent or cannot be decoded as it should."""
        size, place = int(table.sizes[row, column]), int(table.offsets[row, column])
        level = self._levels[index]
        # A damaged size must not cost the memory that it states.
        if not 0 < size <= LARGEST * level.tile_width * level.tile_height:
            return None
        return PIECES.get(self._owner, (index, row, column), lambda: self._decode(index, table, place, size))

    def _decode(self, index: int, table: _Level, place: int, size: int) -> NDArray[np.uint8] | None:
        level = self._levels[index]
        try:
            data = os.pread(self._file, size, place)
            tile = table.jpeg.decode(data, "RGBA") if len(data) == size else None
        except OSError:  # OpenSlide meets it too, and says so
            return None
        except NoPlainJpegError:
            return None
        return tile if tile is not None and tile.shape == (level.tile_height, level.tile_width, 4) else None

    def _table(self, index: int) -> _Level | None:
        """Return where a level's tiles are; None if they are none to be decoded here."""
        with self._lock:
            if index not in self._tables:
                self._tables[index] = _find_level(self._path, self._levels[index])
            return self._tables[index]


def _close(file: int, owner: int) -> None:
    os.close(file)
    PIECES.forget(owner)


def _find_level(path: Path, level: SlideLevel) -> _Level | None:
    """Find the one page of a TIFF that a level is."""
    try:
        with quiet(), tifffile.TiffFile(path) as tiff:
            pages = [page for page in tiff.pages if _is_level(page, level)]
            return _level_of(pages[0], level) if len(pages) == 1 else None
    except (*ERRORS, OverflowError):  # OpenSlide reads it, and says what is wrong
        return None


def _is_level(page: Any, level: SlideLevel) -> bool:
    return bool(
        page.is_tiled
        and (page.imagewidth, page.imagelength) == (level.width, level.height)
        and (page.tilewidth, page.tilelength) == (level.tile_width, level.tile_height)
    )


def _level_of(page: Any, level: SlideLevel) -> _Level | None:
    plain = (page.compression, page.samplesperpixel, page.bitspersample, page.planarconfig) == (JPEG, 3, 8, 1)
    if not plain:
        return None
    try:
        jpeg = StrictJpeg.of(page.jpegtables, int(page.photometric))
    except NoPlainJpegError:
        return None
    rows, columns = -(-level.height // level.tile_height), -(-level.width // level.tile_width)
    if jpeg is None or page.photometric == GREY or len(page.dataoffsets) != rows * columns:
        return None
    offsets, sizes = (
        np.array(values, dtype=np.int64).reshape(rows, columns)
        for values in (page.dataoffsets, page.databytecounts)
    )
    return _Level(offsets, sizes, jpeg)
