"""OME-Zarr images, decoded by zarr: chunks in files, which may be omitted, damaged, or packed in shards."""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from wsi_seg.errors import SlideError
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.channels import names_of, stated_order, without_names
from wsi_seg.slides.readers.contract import SlideLevel
from wsi_seg.slides.readers.decode import level_scale
from wsi_seg.slides.readers.grid_cells import cut_by_grid, enclosing_cells
from wsi_seg.slides.readers.piece_cache import PIECES
from wsi_seg.slides.readers.significant import LOOKED_AT, counted_bits, refuse_unclear, spread_of
from wsi_seg.slides.readers.zarr_array import ERRORS, open_array
from wsi_seg.slides.readers.zarr_images import choose_image, images_of
from wsi_seg.slides.readers.zarr_store import ARRAYS, EXPORT_AGAIN, IMAGE, UNITLESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.slides.readers.ngff_multiscales import NgffImage

STATE_RANGE = "state their range in omero (of 12 bits: the window's min 0 and max 4095 in every channel)"
"""The remedy for samples of 16 bits of which it is not known how many count."""

BLOCK = 512
"""Smaller chunks are read several at a time, up to this side."""

SLACK = 1.01
"""How many of its pixels a level may be longer or shorter than level 0, and twice how many it may be shifted
by: sides are rounded up or down, and some scales are stated with few digits."""


class ZarrReader:
    """An OME-Zarr image: a `wsi_seg.slides.readers.contract.Reader`.

    A chunk whose pixels are all 0, or that is omitted where 0 is the fill value, counts as not recorded: no
    scanner records it. Other fill values are pixels like any others. A chunk of which one channel's file is
    missing counts as damaged.

    Parameters
    ----------
    path : Path
        The store, or the group of an image in it.
    series : int, optional
        Which of its images; by default the largest in colour.

    Raises
    ------
    SlideError
        If it is no OME-Zarr image, or not one of red, green and blue, or grey, or it is not clear how many
        bits of its samples count.
    UsageError
        If it has no image of that number.
    """

    shifts = False

    def __init__(self, path: Path, series: int | None = None) -> None:
        self.path = path
        images = images_of(path)
        chosen = choose_image(path, images, series)
        image = images[chosen]
        self._which = f"image {chosen} of {len(images)}, " if len(images) > 1 else ""
        self._axes = image.axes
        arrays = [open_array(image, level.path) for level in image.levels]
        sizes = [self._size(array) for array in arrays]
        self._stored_bits = 8 * arrays[0].dtype.itemsize
        self._bits = counted_bits(self._stored_bits, image.significant_bits)
        self._order = _channel_order(path, image, self._samples_of(arrays[0]), self._stored_bits)
        if len({(array.ndim, self._samples_of(array), array.dtype.itemsize) for array in arrays}) > 1:
            raise SlideError(f"{path}: its levels hold different channels: {EXPORT_AGAIN}")
        _refuse_disorder(path, sizes)
        scales = [_scale(image, i, sizes) for i in range(len(arrays))]
        found = [
            (array, scale, level.path)
            for array, scale, level in zip(arrays, scales, image.levels, strict=True)
            if scale
        ]
        self._left_out = len(arrays) - len(found)
        self._arrays = [array for array, _, _ in found]
        self._folders = [image.group / name for _, _, name in found]
        self.levels = tuple(self._describe(array, scale) for array, scale, _ in found)
        self._blocks = [_block(level) for level in self.levels]
        self.properties = _properties(image, [path for _, _, path in found])
        if self._stored_bits > 8:
            spread = spread_of(self._looked_at(), self._stored_bits, self._bits)
            refuse_unclear(path, spread, self._stored_bits, image.significant_bits, STATE_RANGE)
        self._owner = PIECES.new_owner()
        self._close = weakref.finalize(self, PIECES.forget, self._owner)

    @property
    def format(self) -> str:
        """The file's format."""
        return "ome-zarr"

    @property
    def how(self) -> str:
        """The software that decodes the pixels, and the samples it takes."""
        what = "grey" if len(set(self._order)) == 1 else "RGB"
        out = f", {self._left_out} misplaced level(s) left out" if self._left_out else ""
        return f"zarr {zarr.__version__}: {self._which}{what}, {self._bits} bits{out}"

    @property
    def icc_profile(self) -> bytes | None:
        """OME-Zarr has no place for a colour profile."""
        return None

    def close(self) -> None:
        """Let go of the decoded chunks; no file is kept open."""
        self._close()

    def read(self, index: int, rect: Rect) -> tuple[NDArray[np.uint8], list[Rect]]:
        """Read a rectangle of a level, in level pixels: see `wsi_seg.slides.readers.contract.Reader.read`."""
        level = self.levels[index]
        rgba = np.zeros((rect.height, rect.width, 4), dtype=np.uint8)
        unreadable: list[Rect] = []
        for piece in cut_by_grid(rect.clipped(level.width, level.height), *self._blocks[index]):
            block = enclosing_cells(piece, *self._blocks[index])
            pixels, bad = self._block(index, block)
            rgba[piece.relative_to(rect).slices] = pixels[piece.relative_to(block).slices]
            unreadable += [tile for tile in bad if tile.intersection(piece).area > 0]
        return rgba, list(dict.fromkeys(unreadable))

    def _block(self, index: int, block: Rect) -> tuple[NDArray[np.uint8], tuple[Rect, ...]]:
        return PIECES.get(self._owner, (index, block), lambda: self._decode(index, block))

    def _decode(self, index: int, block: Rect) -> tuple[NDArray[np.uint8], tuple[Rect, ...]]:
        """Return the RGBA of a block of chunks that lies on their grid, and the chunks that are damaged."""
        level = self.levels[index]
        inside = block.clipped(level.width, level.height)
        rgba = np.zeros((inside.height, inside.width, 4), dtype=np.uint8)
        bad: list[Rect] = []
        tiles = cut_by_grid(inside, level.tile_height, level.tile_width)
        try:
            whole = self._samples(index, inside)
        except ERRORS:
            whole = None
        for tile in tiles:
            window = tile.relative_to(inside).slices
            try:
                stored = self._samples(index, tile) if whole is None else whole[window]
                rgb = self._to_bytes(stored)
            except ERRORS:
                bad.append(tile)
                continue
            fill = int(self._arrays[index].fill_value or 0)
            filled = [bool((stored[..., i] == fill).all()) for i in range(3)]
            if any(filled) and not all(filled) and self._lacks(index, tile, filled):
                bad.append(tile)
            elif fill or not all(filled):
                rgba[window][..., :3] = rgb
                rgba[window][..., 3] = 255
        return rgba, tuple(bad)

    def _lacks(self, index: int, tile: Rect, filled: list[bool]) -> bool:
        """Return whether a file is missing of a chunk in which some channels hold nothing but the fill value.

        Files of the other channels are there, so it may have been omitted, but may have been lost as well.
        """
        array = self._arrays[index]
        stored = array.shards or array.chunks
        for channel in {self._order[i] for i in range(3) if filled[i]}:
            first = {"c": channel, "y": tile.y0, "x": tile.x0}
            place = tuple(first.get(axis, 0) // side for axis, side in zip(self._axes, stored, strict=True))
            if not (self._folders[index] / array.metadata.encode_chunk_key(place)).exists():
                return True
        return False

    def _looked_at(self) -> Iterator[NDArray[Any]]:
        """Yield the samples of chunks of the coarsest level."""
        level = self.levels[-1]
        tiles = cut_by_grid(Rect(0, 0, level.height, level.width), level.tile_height, level.tile_width)
        for number in np.linspace(0, len(tiles) - 1, min(len(tiles), LOOKED_AT)).astype(int).tolist():
            try:
                yield self._samples(len(self.levels) - 1, tiles[number])
            except ERRORS:
                continue  # reported later, when it is read

    def _to_bytes(self, stored: NDArray[Any]) -> NDArray[np.uint8]:
        """Return samples in 8 bits; raise ValueError for those outside of the stated range."""
        if self._bits < self._stored_bits and int(stored.max()) >> self._bits:
            raise ValueError(f"a sample of more than {self._bits} bits")
        return (stored >> (self._bits - 8)).astype(np.uint8, copy=False)

    def _samples(self, index: int, rect: Rect) -> NDArray[Any]:
        """Return the RGB of a rectangle of a level, as it is stored."""
        at: dict[str, slice] = {"y": rect.slices[0], "x": rect.slices[1]}
        stored = np.asarray(self._arrays[index][tuple(at.get(axis, slice(None)) for axis in self._axes)])
        axes = [
            *(a for a in self._axes if a not in ("y", "x", "c")),
            "y",
            "x",
            *("c" for a in self._axes if a == "c"),
        ]
        pixels = stored.transpose([self._axes.index(axis) for axis in axes])
        pixels = pixels.reshape(rect.height, rect.width, -1)
        return pixels[..., list(self._order)]

    def _size(self, array: zarr.Array[Any]) -> tuple[int, int]:
        return array.shape[self._axes.index("x")], array.shape[self._axes.index("y")]

    def _samples_of(self, array: zarr.Array[Any]) -> int:
        return int(array.shape[self._axes.index("c")]) if "c" in self._axes else 1

    def _describe(self, array: zarr.Array[Any], scale: tuple[float, float]) -> SlideLevel:
        width, height = self._size(array)
        return SlideLevel(
            width=width,
            height=height,
            scale_x=scale[0],
            scale_y=scale[1],
            tile_width=min(int(array.chunks[self._axes.index("x")]), width),
            tile_height=min(int(array.chunks[self._axes.index("y")]), height),
            exact=True,
        )


def _channel_order(path: Path, image: NgffImage, count: int, bits: int) -> tuple[int, int, int]:
    """Return which channels are red, green and blue; three times the same for grey.

    Without names, three of 8 bits are. Those of 16 are fluorescence as often.
    """
    if count == 1:
        return 0, 0, 0
    stated = stated_order(image.channels) if count == 3 else None
    if stated is not None:
        return stated
    if count == 3 and bits == 8 and without_names(image.channels):
        return 0, 1, 2
    names = ", ".join(names_of(image.channels))[:200]
    raise SlideError(
        f"{path}: holds {count} channels{f' ({names})' if names else ''}, and does not state that they are "
        "red, green and blue: export it as RGB, or name its channels so in its metadata (omero)"
    )


def _refuse_disorder(path: Path, sizes: list[tuple[int, int]]) -> None:
    for finer, coarser in itertools.pairwise(sizes):
        if coarser[0] > finer[0] or coarser[1] > finer[1]:
            raise SlideError(
                f"{path}: damaged: the sizes of its levels contradict each other: {EXPORT_AGAIN}"
            )


def _scale(image: NgffImage, index: int, sizes: list[tuple[int, int]]) -> tuple[float, float] | None:
    """Return slide pixels per pixel of a level in x and y; None if it does not show all of level 0.

    What is stated of its pixels' size and place decides. Its first pixel may be said to lie at the centre of
    the pixels that it covers, as it should, or of the first of these, as many programs write: both are within
    half of its pixel. Where the same size is stated for all levels, nothing is, and the shapes decide.
    """
    finest, level = image.levels[0], image.levels[index]
    silent = all(other.scale == finest.scale for other in image.levels)
    scales = []
    for axis, full, side in zip("xy", sizes[0], sizes[index], strict=True):
        at = image.axes.index(axis)
        by_shape = level_scale(full, side)
        scale = by_shape if silent else level.scale[at] / finest.scale[at]
        shift = (level.translation[at] - finest.translation[at]) / finest.scale[at]
        if abs(side * scale - full) > SLACK * scale or abs(shift - (scale - 1) / 2) > SLACK * scale / 2:
            return None
        scales.append(by_shape if by_shape.is_integer() else scale)
    return scales[0], scales[1]


def _block(level: SlideLevel) -> tuple[int, int]:
    """Return the height and width of what is read at a time: a whole number of chunks."""
    height, width = level.tile_height, level.tile_width
    return height * max(1, BLOCK // height), width * max(1, BLOCK // width)


def _properties(image: NgffImage, arrays: list[str]) -> dict[str, str]:
    found = {"openslide.vendor": "ome-zarr", IMAGE: image.name, ARRAYS: "\n".join(arrays)}
    found["openslide.background-color"] = "000000"
    if image.mpp is not None:
        found["openslide.mpp-x"], found["openslide.mpp-y"] = (repr(side) for side in image.mpp)
    else:
        found[UNITLESS] = repr(image.levels[0].scale[image.axes.index("x")])
    return found
