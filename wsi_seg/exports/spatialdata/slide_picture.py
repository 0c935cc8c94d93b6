"""The slide as a picture of a store, at the labels' resolution, and the coarser levels of it.

Its chunks are files that are compressed here, in the thread that reads their pixels: zarr takes chunks of all
threads apart in a thread of its own, which took longer than to read the slide.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numcodecs.zstd import compress
from zarr.codecs import ZstdCodec

from wsi_seg.exports.spatialdata.metadata import raster_attributes
from wsi_seg.exports.spatialdata.rasters import SMALLEST, rgb_channels, squares
from wsi_seg.files.digests import flush
from wsi_seg.results.labels.halving import halve_mean
from wsi_seg.results.labels.storage import array_to_read
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.slides.frames import Frames
    from wsi_seg.slides.slide import Slide

GROUP = "images/slide"

CHUNK = 1024
"""Side of a chunk; an even number, as each level is half of the one before."""

ZSTD_LEVEL = 1


class SlidePicture:
    """The slide, pixel for pixel beside the labels.

    Parameters
    ----------
    slide : Slide
    frames : Frames
        Of the labels.

    Attributes
    ----------
    name : str
        What it is called in the store.
    um : (float, float)
        Micrometres in x and y of a pixel.
    """

    name = "slide"

    def __init__(self, slide: Slide, frames: Frames) -> None:
        self._slide, self._frames = slide, frames
        self.um = frames.label_mpp
        self._damaged: list[Rect] = []

    @property
    def unreadable(self) -> int:
        """How many tiles could not be read so far."""
        return len(self._damaged)

    def write(self, store: Path, pool: Executor) -> None:
        """Write it, a few chunks for each thread at a time: the first two levels together, then the others.

        Raises
        ------
        SlideError
            If the slide cannot be read.
        """
        path, shapes = store / GROUP, self._shapes()
        attributes = raster_attributes(self.name, "cyx", shapes, self.um, rgb_channels())
        zarr.create_group(path, zarr_format=3, attributes=attributes)
        levels = [_Level(path / str(level), shape) for level, shape in enumerate(shapes)]
        first, coarser = levels[0], levels[1:]
        blocks = squares(first.shape, 2 * CHUNK)
        list(pool.map(partial(self._write_finest, first, coarser[:1]), blocks))
        for below, level in pairwise(coarser):
            source = array_to_read(below.path)
            list(pool.map(partial(_write_halved, source, level), squares(level.shape, CHUNK)))

    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        width, height = self._frames.label_size
        shapes: list[tuple[int, ...]] = [(3, height, width)]
        while max(shapes[-1]) > SMALLEST:
            shapes.append((3, *(-(-side // 2) for side in shapes[-1][1:])))
        return tuple(shapes)

    def _write_finest(self, first: _Level, second: list[_Level], block: Rect) -> None:
        """Write a block of the first level, and of the second what is made of it."""
        found = self._slide.read(block, self._frames)
        self._damaged.extend(found.unreadable)
        pixels = np.moveaxis(found.rgb, -1, 0)
        first.write(block, pixels)
        for level in second:
            level.write(_half(block), halve_mean(np.ascontiguousarray(pixels)))


class _Level:
    """An array of the picture, written chunk by chunk from any threads."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape
        self._array = zarr.create_array(
            path,
            shape=shape,
            dtype=np.dtype(np.uint8),
            chunks=(3, CHUNK, CHUNK),
            compressors=ZstdCodec(level=ZSTD_LEVEL, checksum=True),
            fill_value=0,
            zarr_format=3,
            dimension_names=("c", "y", "x"),
        )

    def write(self, block: Rect, pixels: NDArray[np.uint8]) -> None:
        """Write a block that begins and ends with chunks, or with the image."""
        for part in squares(pixels.shape, CHUNK):
            chunk = np.zeros((3, CHUNK, CHUNK), dtype=np.uint8)  # whole, also at the image's end
            chunk[:, : part.height, : part.width] = pixels[:, *part.slices]
            at = 0, (block.y0 + part.y0) // CHUNK, (block.x0 + part.x0) // CHUNK
            file = self.path / self._array.metadata.encode_chunk_key(at)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(compress(chunk, ZSTD_LEVEL, True))
            flush(file)


def _half(rect: Rect) -> Rect:
    """Return a rectangle of even corners, or one that ends with the image, in the next level."""
    return Rect(rect.y0 // 2, rect.x0 // 2, -(-rect.y1 // 2), -(-rect.x1 // 2))


def _write_halved(below: zarr.Array[Any], level: _Level, rect: Rect) -> None:
    height, width = below.shape[-2:]
    under = Rect(2 * rect.y0, 2 * rect.x0, 2 * rect.y1, 2 * rect.x1).clipped(width, height)
    level.write(rect, halve_mean(np.asarray(below[..., *under.slices])))
