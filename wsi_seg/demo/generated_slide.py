"""Write generated slides: pyramidal tiled TIFFs that OpenSlide opens, block by block in bounded memory."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from wsi_seg.demo.generated_tissue import Tissue
from wsi_seg.demo.write_tiff import TILE, encode, is_big, reduce, write_level, write_truth
from wsi_seg.errors import UsageError
from wsi_seg.files.files import replacing
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

BLOCK = 512
"""Side in pixels of the blocks in which a slide is drawn; a whole number of tiles."""


@dataclass(frozen=True)
class SlideFormat:
    """How a slide is stored.

    Attributes
    ----------
    step : int
        Factor between a pyramid level and the next coarser one: 2 or 4.
    quality : int
        JPEG quality, 1 to 100.
    workers : int
        Threads that draw and encode.
    """

    step: int = 2
    quality: int = 85
    workers: int = 2

    def __post_init__(self) -> None:
        if self.step not in (2, 4):
            raise UsageError(f"pyramid levels {self.step} times coarser each do not fit: use 2 or 4")

    def level_sizes(self, size: tuple[int, int]) -> list[tuple[int, int]]:
        """Return width and height of each level, down to one that fits in a tile."""
        sizes = [size]
        while max(sizes[-1]) > TILE:
            sizes.append((-(-sizes[-1][0] // self.step), -(-sizes[-1][1] // self.step)))
        return sizes


def truth_path(slide_path: Path) -> Path:
    """Return where a slide's truth lies: ``<stem>.truth.tiff`` beside it."""
    return slide_path.with_name(f"{slide_path.stem}.truth.tiff")


def write_slide(
    path: Path,
    tissue: Tissue,
    size_px: tuple[int, int],
    mpp: float,
    form: SlideFormat | None = None,
    truth: bool = True,
) -> None:
    """Write a generated slide and its truth.

    Memory holds a strip of blocks as wide as the slide; coarser levels and the truth are kept on disk.

    Parameters
    ----------
    path : Path
        The slide, ``.tiff``; replaced in one step once it is whole.
    tissue : Tissue
        The tissue to draw.
    size_px : (int, int)
        Width and height of level 0 in pixels.
    mpp : float
        Micrometres per pixel of level 0.
    form : SlideFormat, optional
        How to store it.
    truth : bool
        Also write class ids at `truth_path`: a single uint8 image in tiles with deflate compression, with
        the pixels of level 0.

    Raises
    ------
    OutputError
        If the files can't be written.
    """
    form = form or SlideFormat()
    width, height = size_px
    with (
        replacing(path) as partial,
        tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch,
        ThreadPoolExecutor(form.workers, "draw") as pool,
    ):
        labels = _map(Path(scratch) / "truth", (height, width)) if truth else None
        sizes = form.level_sizes(size_px)
        coarser = [_map(Path(scratch) / f"level{i}", (h, w, 3)) for i, (w, h) in enumerate(sizes) if i > 0]

        def draw(rect: Rect) -> NDArray[np.uint8]:
            rgb, block_labels = tissue.render(rect, mpp)
            if labels is not None:
                labels[rect.slices] = block_labels
            return rgb

        with tifffile.TiffWriter(partial, bigtiff=is_big(size_px)) as tiff:
            for index, size in enumerate(sizes):
                read = draw if index == 0 else _reader(coarser[index - 1])
                keep = coarser[index] if index < len(coarser) else None
                tiles = _tiles(_LevelJob(size, read, keep, form), pool)
                write_level(tiff, tiles, size, mpp * form.step**index, reduced=index > 0)
        if labels is not None:
            # The truth gets its name before the slide: every slide has its truth.
            with replacing(truth_path(path)) as partial_truth:
                write_truth(partial_truth, labels, mpp)


def write_repeated_slide(
    path: Path,
    block: NDArray[np.uint8],
    size_px: tuple[int, int],
    mpp: float,
    form: SlideFormat | None = None,
) -> None:
    """Write a slide of any size by repeating one block, whose tiles are encoded only once.

    For tests of memory and speed; a gigapixel takes seconds.

    Parameters
    ----------
    path : Path
        The slide, ``.tiff``; replaced in one step once it is whole.
    block : ndarray, shape (height, width, 3), uint8
        Sides are multiples of 256. See `tissue_block` and `constant_block`.
    size_px : (int, int)
        Width and height of level 0 in pixels.
    mpp : float
        Micrometres per pixel of level 0.
    form : SlideFormat, optional
        How to store it.

    Raises
    ------
    OutputError
        If the file can't be written.
    UsageError
        If the block's sides do not fit.
    """
    form = form or SlideFormat()
    if block.shape[0] % TILE or block.shape[1] % TILE:
        raise UsageError(f"a block of {block.shape[1]} x {block.shape[0]} px: use multiples of {TILE}")
    with replacing(path) as partial, tifffile.TiffWriter(partial, bigtiff=is_big(size_px)) as tiff:
        for index, size in enumerate(form.level_sizes(size_px)):
            tiles = _repeated_tiles(block, size, form.quality)
            write_level(tiff, tiles, size, mpp * form.step**index, reduced=index > 0)
            block = _filling_tiles(reduce(block, form.step))


def tissue_block(seed: int, mpp: float, side: int = 1024) -> NDArray[np.uint8]:
    """Draw a square of tissue without glass, shape (side, side, 3), to repeat."""
    extent = side * mpp
    tissue = Tissue(seed, extent, extent, tissue_everywhere=True)
    return tissue.render(Rect(0, 0, side, side), mpp)[0]


def constant_block(rgb: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return a block of one colour, shape (256, 256, 3), to repeat."""
    return np.full((TILE, TILE, 3), rgb, np.uint8)


@dataclass(frozen=True)
class _LevelJob:
    """A level to encode: its size, where its pixels come from, and where the next level is kept."""

    size: tuple[int, int]
    read: Callable[[Rect], NDArray[np.uint8]]
    keep: NDArray[np.uint8] | None
    form: SlideFormat

    def encode(self, rect: Rect) -> list[list[bytes]]:
        """Encode a block's tiles, row by row, and keep its share of the next level."""
        rgb = self.read(rect)
        if self.keep is not None:
            small = reduce(rgb, self.form.step)
            y0, x0 = rect.y0 // self.form.step, rect.x0 // self.form.step
            self.keep[y0 : y0 + small.shape[0], x0 : x0 + small.shape[1]] = small
        return encode(rgb, self.form.quality)


def _tiles(job: _LevelJob, pool: ThreadPoolExecutor) -> Iterator[bytes]:
    """Yield a level's tiles in the file's order; the next row of blocks is drawn at the same time."""
    width, height = job.size
    rows: deque[list[Future[list[list[bytes]]]]] = deque()
    for y0 in range(0, height, BLOCK):
        y1 = min(y0 + BLOCK, height)
        rects = (Rect(y0, x0, y1, min(x0 + BLOCK, width)) for x0 in range(0, width, BLOCK))
        rows.append([pool.submit(job.encode, rect) for rect in rects])
        if len(rows) > 1:
            yield from _row_of_tiles(rows.popleft())
    while rows:
        yield from _row_of_tiles(rows.popleft())


def _row_of_tiles(blocks: list[Future[list[list[bytes]]]]) -> Iterator[bytes]:
    for tiles_across in zip(*(block.result() for block in blocks), strict=True):
        yield from itertools.chain.from_iterable(tiles_across)


def _repeated_tiles(block: NDArray[np.uint8], size: tuple[int, int], quality: int) -> Iterator[bytes]:
    """Yield a level's tiles in the file's order, `block` repeated over it."""
    encoded = encode(block, quality)
    for row in range(-(-size[1] // TILE)):
        across = encoded[row % len(encoded)]
        for column in range(-(-size[0] // TILE)):
            yield across[column % len(across)]


def _filling_tiles(block: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat a block until its sides are multiples of a tile's."""
    down, across = (math.lcm(side, TILE) // side for side in block.shape[:2])
    return np.tile(block, (down, across, 1))


def _reader(level: NDArray[np.uint8]) -> Callable[[Rect], NDArray[np.uint8]]:
    return lambda rect: np.asarray(level[rect.slices])


def _map(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.memmap(path, np.uint8, "w+", shape=shape)
