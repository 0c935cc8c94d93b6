"""The stored pieces of a TIFF's page, tiles or strips: where each lies in the file, and how it is decoded.

A strip that is not compressed is cut into strips of fewer rows, so that a picture stored as one strip can be
read piece by piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from wsi_seg.slides.readers.compressions import JPEG, stored_as_ycbcr
from wsi_seg.slides.readers.strict_jpeg import GREY, NoPlainJpegError, StrictJpeg
from wsi_seg.slides.readers.tiff_pages import ERRORS, quiet

if TYPE_CHECKING:
    from threading import Lock

    from numpy.typing import NDArray

CUT_BYTES = 1 << 20
"""Size of the strips that uncompressed ones are cut into."""

RGB = 2
JFIF_RGB = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]])
"""Red, green and blue from Y, Cb - 128 and Cr - 128."""


class DamagedTileError(Exception):
    """A tile, or a strip, cannot be decoded."""


@dataclass(frozen=True)
class Layout:
    """How the pixels of a page are cut into pieces: from the top left, row by row.

    Attributes
    ----------
    width, height : int
        Of the page.
    piece_width, piece_height : int
    strip_height : int or None
        Where the pieces are parts of stored strips: the height of those.
    """

    width: int
    height: int
    piece_width: int
    piece_height: int
    strip_height: int | None = None

    @classmethod
    def of(cls, page: Any) -> Layout:
        """Find how the pixels of a page are cut."""
        key = page.keyframe
        width, height = int(key.imagewidth), int(key.imagelength)
        tile = (int(key.tilewidth), int(key.tilelength)) if key.is_tiled else (width, int(key.rowsperstrip))
        if min(width, height, *tile) < 1:
            raise ValueError("it states a size of 0")
        if key.is_tiled:
            return cls(width, height, *tile)
        strip = min(tile[1], height)
        if key.compression != 1 or key.predictor != 1 or key.fillorder != 1:
            return cls(width, height, width, strip)
        rows = max(1, CUT_BYTES // _row_bytes(key))
        if strip < height:  # a piece must not lie in two strips
            rows = next(n for n in range(min(rows, strip), 0, -1) if strip % n == 0)
        return cls(width, height, width, min(rows, strip), strip)

    @property
    def columns(self) -> int:
        """Number of pieces side by side."""
        return -(-self.width // self.piece_width)

    @property
    def rows(self) -> int:
        """Number of pieces one below the other."""
        return -(-self.height // self.piece_height)


def read_piece(
    page: Any, layout: Layout, place: tuple[int, int], plane: int, lock: Lock
) -> NDArray[Any] | None:
    """Read and decode a piece of a page.

    Parameters
    ----------
    page : TiffPage or TiffFrame
    layout : Layout
        The page's.
    place : (int, int)
        The piece's row and column.
    plane : int
        For samples in planes: which; else 0.
    lock : Lock
        Held while the file is read.

    Returns
    -------
    array, shape (piece height, piece width, samples), or None
        As stored; zero beyond the page's edge. None if the file leaves the piece out.

    Raises
    ------
    DamagedTileError
    """
    try:
        if layout.strip_height is None:
            index = (plane * layout.rows + place[0]) * layout.columns + place[1]
            offset, count = page.dataoffsets[index], page.databytecounts[index]
            data = _read(page, offset, count, lock) if count else None
            decoded = None if data is None else _decode(page, data, index)
        else:
            decoded = _rows(page, layout, place[0] * layout.piece_height, plane, lock)
        if decoded is None or decoded.shape[:2] == (layout.piece_height, layout.piece_width):
            return decoded  # a piece may have 128 MiB: no copy of it is made
        whole = np.zeros((layout.piece_height, layout.piece_width, decoded.shape[-1]), dtype=decoded.dtype)
        inside = decoded[: layout.piece_height, : layout.piece_width]
        whole[: inside.shape[0], : inside.shape[1]] = inside
    except ERRORS as error:
        raise DamagedTileError from error
    return whole


def _decode(page: Any, data: bytes, index: int) -> NDArray[Any]:
    """Decode a stored tile or strip, shape (height, width, samples)."""
    key = page.keyframe
    if key.compression == JPEG and key.bitspersample == 8:
        try:
            return _decode_jpeg(page, data)
        except NoPlainJpegError:  # such as a lossless one
            pass
    with quiet():
        decoded = key.decode(data, index, jpegtables=page.jpegtables)[0]
    if decoded is None:
        raise DamagedTileError
    pixels: NDArray[Any] = decoded[0]
    return from_ycbcr(pixels) if stored_as_ycbcr(int(key.compression)) else pixels


def _decode_jpeg(page: Any, data: bytes) -> NDArray[np.uint8]:
    """Decode a JPEG, as strictly as OpenSlide does: a damaged one is not filled up."""
    key = page.keyframe
    alone = key.samplesperpixel == 1 or key.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    if not alone and key.samplesperpixel != 3:
        raise NoPlainJpegError
    jpeg = StrictJpeg.of(page.jpegtables, GREY if alone else int(key.photometric))
    if jpeg is None:
        raise NoPlainJpegError
    pixels = jpeg.decode(data, "GRAY" if alone else "RGB")
    if pixels is None:
        raise DamagedTileError
    return pixels


def from_ycbcr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert full-range YCbCr, as JPEG files hold it, to RGB."""
    yuv = pixels.astype(np.float32) - np.array([0, 128, 128], dtype=np.float32)
    return np.clip(np.rint(yuv @ JFIF_RGB.T.astype(np.float32)), 0, 255).astype(np.uint8)


def _rows(page: Any, layout: Layout, y: int, plane: int, lock: Lock) -> NDArray[Any] | None:
    """Read rows of an uncompressed strip, from `y` on."""
    assert layout.strip_height is not None  # the page is cut so
    key = page.keyframe
    strip, above = divmod(y, layout.strip_height)
    strip += plane * -(-layout.height // layout.strip_height)
    offset, count = page.dataoffsets[strip], page.databytecounts[strip]
    if not count:
        return None
    row_bytes = _row_bytes(key)
    rows = min(layout.piece_height, layout.height - y)
    if (above + rows) * row_bytes > count:
        raise DamagedTileError
    data = _read(page, offset + above * row_bytes, rows * row_bytes, lock)
    dtype = key.dtype.newbyteorder(page.parent.byteorder)
    pixels = np.frombuffer(data, dtype).reshape(rows, layout.width, -1)
    return pixels.astype(key.dtype, copy=False)


def _read(page: Any, offset: int, count: int, lock: Lock) -> bytes:
    file = page.parent.filehandle
    with lock:
        file.seek(offset)
        data: bytes = file.read(count)
    if len(data) < count:
        raise DamagedTileError
    return data


def _row_bytes(key: Any) -> int:
    samples = 1 if key.planarconfig == tifffile.PLANARCONFIG.SEPARATE else key.samplesperpixel
    return int(key.imagewidth) * int(samples) * int(key.dtype.itemsize)
