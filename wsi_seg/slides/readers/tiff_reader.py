"""Read a TIFF sample by sample: channels in planes, or 16 bits of which fewer count.

tifffile and imagecodecs decode the tiles one by one; some tiles are cached.
"""

from __future__ import annotations

import threading
import weakref
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tifffile

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.contract import SlideLevel
from wsi_seg.slides.readers.decode import cut_by_grid, enclosing_cells, level_scale
from wsi_seg.slides.readers.tiff import ERRORS, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect
    from wsi_seg.slides.readers.channels import Channels

CACHE_BYTES = 64 << 20
LOOKED_AT = 64
"""Number of tiles that are searched for the number of bits in use."""

FEWEST = 0.01
"""Share of the samples that must be so large for a bit to count as used: hot pixels and the rims of white
padding are fewer, the glass around stained tissue is far more."""


class DamagedTileError(Exception):
    """A tile cannot be decoded."""


class Spread(NamedTuple):
    """The range of the samples.

    Attributes
    ----------
    largest : int
        The largest sample that was found.
    used_bits : int
        Bits that at least `FEWEST` of the samples need. Samples of the largest possible value do not count:
        they are saturated, or padding, and say nothing about the range.
    """

    largest: int
    used_bits: int


class TiffReader:
    """A TIFF with red, green and blue at any place in it: a `wsi_seg.slides.readers.contract.Reader`.

    Parameters
    ----------
    path : Path
    channels : Channels
        Where the colours are.
    properties : mapping of str to str
        The file's own statements.

    Raises
    ------
    SlideError
        If the file is damaged, or parts of the image lie in other files.
    """

    format = "generic-tiff"

    def __init__(self, path: Path, channels: Channels, properties: Mapping[str, str]) -> None:
        self.path = path
        self.properties = properties
        self._channels = channels
        self._lock = threading.Lock()
        with quiet():
            try:
                self._tiff = tifffile.TiffFile(path)
            except ERRORS as error:
                raise SlideError(f"{path}: damaged TIFF ({error}): copy or export it again") from error
            # Processes keep slides open from region to region, and drop them without closing.
            self._close = weakref.finalize(self, self._tiff.close)
            self._pages = _levels(self._tiff, path)
        width, height = self._pages[0][0].imagewidth, self._pages[0][0].imagelength
        self.levels = tuple(_describe(pages[0], width, height) for pages in self._pages)
        largest = max(level.tile_width * level.tile_height for level in self.levels)
        samples = self._pages[0][0].samplesperpixel * channels.bits // 8
        self._segment = lru_cache(max(4, CACHE_BYTES // (largest * samples)))(self._decode)

    @property
    def how(self) -> str:
        """The software that decodes the pixels, and the samples it takes."""
        return f"tifffile {tifffile.__version__}: {self._channels}"

    @property
    def icc_profile(self) -> bytes | None:
        """The slide's colour profile, if it carries one."""
        tag = self._pages[0][0].keyframe.tags.get("InterColorProfile")
        return None if tag is None else bytes(tag.value)

    def close(self) -> None:
        """Close the file."""
        self._close()

    def read(self, index: int, rect: Rect) -> tuple[NDArray[np.uint8], list[Rect]]:
        """Read a rectangle of a level, in level pixels: see `wsi_seg.slides.readers.contract.Reader.read`."""
        level = self.levels[index]
        rgba = np.zeros((rect.height, rect.width, 4), dtype=np.uint8)
        unreadable: list[Rect] = []
        inside = rect.clipped(level.width, level.height)
        for piece in cut_by_grid(inside, level.tile_height, level.tile_width):
            tile = enclosing_cells(piece, level.tile_height, level.tile_width)
            row, column = tile.y0 // level.tile_height, tile.x0 // level.tile_width
            target, part = rgba[piece.relative_to(rect).slices], piece.relative_to(tile).slices
            try:
                planes = [self._plane(index, channel, row, column) for channel in range(3)]
                for channel, plane in enumerate(planes):
                    if plane is not None:
                        target[..., channel] = self._to_bytes(plane[part])
                target[..., 3] = 255 * all(plane is not None for plane in planes)
            except DamagedTileError:
                target[:] = 0
                unreadable.append(tile.clipped(level.width, level.height))
        return rgba, unreadable

    def spread(self, bits: int) -> Spread:
        """Return the range of the samples in `LOOKED_AT` tiles, or all if fewer, of the coarsest level.

        Parameters
        ----------
        bits : int
            How many may count: the largest value of so many bits is left out.
        """
        level = self.levels[-1]
        columns = -(-level.width // level.tile_width)
        tiles = columns * -(-level.height // level.tile_height)
        largest, lengths = 0, np.zeros(self._channels.bits + 1, dtype=np.int64)
        for tile in np.linspace(0, tiles - 1, min(tiles, LOOKED_AT)).astype(int).tolist():
            row, column = divmod(tile, columns)
            height, width = level.height - row * level.tile_height, level.width - column * level.tile_width
            for channel in range(3):
                try:
                    plane = self._plane(-1, channel, row, column)
                except DamagedTileError:
                    continue  # reported later, when it is read
                if plane is not None:
                    inside = plane[:height, :width]
                    largest = max(largest, int(inside.max()))
                    counted = inside[inside != (1 << bits) - 1]
                    lengths += np.bincount(np.frexp(counted)[1], minlength=len(lengths))
        return Spread(largest, _used(lengths))

    def _plane(self, index: int, channel: int, row: int, column: int) -> NDArray[Any] | None:
        """Return one colour of a tile, as stored, shape (tile height, tile width); None if left out."""
        page_index, sample = self._channels.rgb[channel]
        page, level = self._pages[index][page_index], self.levels[index]
        columns = -(-level.width // level.tile_width)
        segment = row * columns + column
        if page.keyframe.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            rows = -(-level.height // level.tile_height)
            segment, sample = segment + sample * rows * columns, 0
        pixels = self._segment(index, page_index, segment)
        return None if pixels is None else pixels[..., sample]

    def _decode(self, index: int, page_index: int, segment: int) -> NDArray[Any] | None:
        """Return a stored tile, shape (tile height, tile width, samples); None if the file omits it."""
        page, level = self._pages[index][page_index], self.levels[index]
        try:
            offset, count = page.dataoffsets[segment], page.databytecounts[segment]
            if count == 0:
                return None
            with self._lock:
                self._tiff.filehandle.seek(offset)
                data = self._tiff.filehandle.read(count)
            with quiet():
                decoded = page.keyframe.decode(data, segment, jpegtables=page.jpegtables)[0]
            if len(data) < count or decoded is None:
                raise DamagedTileError
            whole = np.zeros((level.tile_height, level.tile_width, decoded.shape[-1]), dtype=decoded.dtype)
            whole[: decoded.shape[1], : decoded.shape[2]] = decoded[0]
        except ERRORS as error:
            raise DamagedTileError from error
        return whole

    def _to_bytes(self, plane: NDArray[Any]) -> NDArray[np.uint8]:
        bits = self._channels.significant_bits or self._channels.bits
        if bits < self._channels.bits and plane.max() >> bits:
            raise DamagedTileError  # values outside of the stated range
        return (plane >> max(bits - 8, 0)).astype(np.uint8)


def _used(lengths: NDArray[np.int64]) -> int:
    """Return how many bits are used, from the number of samples of each length in bits."""
    at_least = np.cumsum(lengths[::-1])[::-1]
    return int(np.flatnonzero(at_least >= FEWEST * lengths.sum()).max()) if lengths.any() else 0


def _levels(tiff: tifffile.TiffFile, path: Path) -> list[list[Any]]:
    """Return the pages of each level of the first image, without levels that are stored in another way."""
    levels: list[list[Any]] = [list(level.pages) for level in tiff.series[0].levels]
    if any(page is None or page.parent is not tiff for pages in levels for page in pages):
        raise SlideError(f"{path}: parts of the image lie in other files: export it as one file")
    first = _layout(levels[0])
    return [pages for pages in levels if _layout(pages) == first and pages[0].keyframe.is_tiled]


def _layout(pages: list[Any]) -> list[tuple[Any, ...]]:
    keyframes = [page.keyframe for page in pages]
    return [(k.dtype, k.samplesperpixel, k.planarconfig, k.photometric) for k in keyframes]


def _describe(page: Any, width: int, height: int) -> SlideLevel:
    return SlideLevel(
        width=page.imagewidth,
        height=page.imagelength,
        scale_x=level_scale(width, page.imagewidth),
        scale_y=level_scale(height, page.imagelength),
        tile_width=page.tilewidth,
        tile_height=page.tilelength,
        exact=True,
    )
