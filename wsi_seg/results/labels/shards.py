"""Read and write pixels of label images whose shards have the form of results; zarr does so with all others.

zarr makes each chunk of a shard a task of one event loop for the whole process, which takes five times as
long as to decompress it, and lets no two threads read at once. Files are the same bytes, and what is read is
checked alike: the index of a shard by its checksum, and each chunk by that of Zstandard.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import google_crc32c
import numpy as np
from numcodecs.zstd import compress, decompress
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec, ZstdCodec
from zarr.codecs.sharding import ShardingCodecIndexLocation
from zarr.core.metadata.v3 import ArrayV3Metadata

from wsi_seg.results.labels.storage import SealedStore, ShardStore
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray

ABSENT = 2**64 - 1
"""Offset and length, in a shard's index, of a chunk that holds nothing but the fill value."""


class ShardForm(NamedTuple):
    """The form of an array's shards, which are squares of square chunks.

    Attributes
    ----------
    side : int
        Of a shard, in pixels.
    chunk : int
        Side of a chunk.
    level : int
        Zstandard's.
    fill : int
        Value of the pixels of chunks that are absent.
    """

    side: int
    chunk: int
    level: int
    fill: int

    @property
    def across(self) -> int:
        """Chunks along a side."""
        return self.side // self.chunk

    def rect(self, row: int, column: int) -> Rect:
        """Return the pixels of a shard, beyond the image's end too."""
        return Rect(row * self.side, column * self.side, (row + 1) * self.side, (column + 1) * self.side)

    def index_of(self, content: bytes) -> list[list[list[int]]]:
        """Return offset and length of each chunk, by row and column, from the end of a shard's file.

        Raises
        ------
        ValueError
            If it is damaged.
        """
        length = 16 * self.across**2
        index, checksum = content[-length - 4 : -4], content[-4:]
        if len(index) != length or _checksum(index) != checksum:
            raise ValueError("the index of a shard does not have its checksum")
        places: list[list[list[int]]]
        places = np.frombuffer(index, dtype="<u8").reshape(self.across, self.across, 2).tolist()
        return places

    def packed(self, pixels: NDArray[np.uint8]) -> bytes | None:
        """Return the file of a shard; None for one of nothing but the fill value.

        Parameters
        ----------
        pixels : uint8 array
            The shard, as far as the image goes.
        """
        index = np.full((self.across, self.across, 2), ABSENT, dtype="<u8")
        parts, end = [], 0
        for row, column in _along_curve(self.across):
            y, x = row * self.chunk, column * self.chunk
            part = pixels[y : y + self.chunk, x : x + self.chunk]
            if (part == self.fill).all():
                continue
            chunk = np.full((self.chunk, self.chunk), self.fill, dtype=np.uint8)
            chunk[: part.shape[0], : part.shape[1]] = part
            parts.append(compress(chunk, self.level, True))
            index[row, column] = end, len(parts[-1])
            end += len(parts[-1])
        if not parts:
            return None
        return b"".join((*parts, index.tobytes(), _checksum(index.tobytes())))


def _checksum(index: bytes) -> bytes:
    checksum: int = google_crc32c.value(index)
    return checksum.to_bytes(4, "little")


@lru_cache(maxsize=16)
def _along_curve(across: int) -> list[tuple[int, int]]:
    """Return rows and columns of a shard's chunks along the curve of Morton, as zarr lays them."""

    def position(place: tuple[int, int]) -> int:
        row, column = place
        return sum((row >> bit & 1) << 2 * bit | (column >> bit & 1) << 2 * bit + 1 for bit in range(16))

    return sorted(itertools.product(range(across), range(across)), key=position)


def form_of(array: zarr.Array[Any]) -> ShardForm | None:
    """Return the form of an array's shards; None if it is not that of results."""
    metadata = getattr(array, "metadata", None)  # labels that lie in memory have none
    if not isinstance(metadata, ArrayV3Metadata) or array.dtype != np.uint8 or len(metadata.codecs) != 1:
        return None
    (sharding,) = metadata.codecs
    if not isinstance(sharding, ShardingCodec) or array.shards is None or array.ndim != 2:
        return None
    packing = sharding.codecs[-1]
    usual = (
        len({*array.shards}) == len({*array.chunks}) == 1
        and [type(codec) for codec in sharding.codecs] == [BytesCodec, ZstdCodec]
        and [type(codec) for codec in sharding.index_codecs] == [BytesCodec, Crc32cCodec]
        and sharding.index_location is ShardingCodecIndexLocation.end
        and metadata.chunk_key_encoding.encode_chunk_key((1, 2)) == "c/1/2"
    )
    if not usual or not isinstance(packing, ZstdCodec) or not packing.checksum:
        return None
    return ShardForm(array.shards[0], array.chunks[0], packing.level, int(array.fill_value))


def write_shard(array: zarr.Array[Any], rect: Rect, pixels: NDArray[np.uint8]) -> None:
    """Write a complete shard of an array that `array_to_write` opened.

    Raises
    ------
    OutputError, OSError
        If its file cannot be written.
    """
    store, form = array.store, form_of(array)
    if form is None or not isinstance(store, ShardStore):
        array[rect.slices] = pixels
        return
    store.write(f"c/{rect.y0 // form.side}/{rect.x0 // form.side}", form.packed(pixels))


def read_pixels(array: zarr.Array[Any], rect: Rect) -> NDArray[np.uint8]:
    """Read a rectangle of an array that `array_to_read` opened.

    Raises
    ------
    OSError, ValueError, RuntimeError
        If a file is missing, damaged or cannot be read.
    """
    form = form_of(array)
    if form is None or not isinstance(store := array.store, SealedStore):
        return np.asarray(array[rect.slices], dtype=np.uint8)
    pixels = np.full((rect.height, rect.width), form.fill, dtype=np.uint8)
    shards = rect.in_cells(form.side)
    for row, column in itertools.product(range(shards.y0, shards.y1), range(shards.x0, shards.x1)):
        content = store.read(f"c/{row}/{column}")
        if content is not None:
            shard = form.rect(row, column)
            part = rect.intersection(shard)
            _unpack(content, form, part.relative_to(shard), pixels[part.relative_to(rect).slices])
    return pixels


def _unpack(content: bytes, form: ShardForm, part: Rect, out: NDArray[np.uint8]) -> None:
    """Put a part of a shard, in pixels from its corner, into an array."""
    index, view = form.index_of(content), memoryview(content)
    chunks = part.in_cells(form.chunk)
    for row, column in itertools.product(range(chunks.y0, chunks.y1), range(chunks.x0, chunks.x1)):
        begin, length = index[row][column]
        if begin == length == ABSENT:
            continue
        unpacked = decompress(view[begin : begin + length])
        chunk = np.frombuffer(unpacked, dtype=np.uint8).reshape(form.chunk, form.chunk)
        y, x = row * form.chunk, column * form.chunk
        place = Rect(y, x, y + form.chunk, x + form.chunk)
        seen = place.intersection(part)
        out[seen.relative_to(part).slices] = chunk[seen.relative_to(place).slices]
