"""Read a TIFF by tifffile and imagecodecs, piece by piece: what OpenSlide refuses, or shows otherwise.

That is channels in planes, 16 bits of which fewer count, levels in SubIFDs, strips, and compressions that
OpenSlide does not know. Some pieces are cached.
"""

from __future__ import annotations

import shlex
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from wsi_seg.errors import SlideError
from wsi_seg.slides.readers.contract import SlideLevel
from wsi_seg.slides.readers.decode import level_scale
from wsi_seg.slides.readers.grid_cells import cut_by_grid, enclosing_cells
from wsi_seg.slides.readers.image_levels import levels_of
from wsi_seg.slides.readers.piece_cache import PIECES
from wsi_seg.slides.readers.segments import DamagedTileError, Layout, read_piece
from wsi_seg.slides.readers.significant import LOOKED_AT, Spread, spread_of
from wsi_seg.slides.readers.tiff_pages import ERRORS, quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect
    from wsi_seg.slides.readers.channels import Channels
    from wsi_seg.slides.readers.images import TiffImage

VIPS = "vips tiffsave {slide} slide.tif --tile --pyramid --compression deflate --bigtiff"
"""With "[fail]" after the name: else vips 8.18 silently makes tiles black that it cannot decode."""

MAX_PIECE_BYTES = 128 << 20
"""Of a decoded tile or strip. A larger one is refused: memory must not grow with the slide."""


class TiffReader:
    """An image of a TIFF, red, green and blue at any place in it: a `wsi_seg.slides.readers.contract.Reader`.

    Parameters
    ----------
    path : Path
    image : TiffImage
        Which of the file's images.
    channels : Channels
        Where the colours are.
    properties : mapping of str to str
        The file's own statements.
    why : str
        Why it is read so, in a few words.

    Raises
    ------
    SlideError
        If the file is damaged, parts of the image lie in other files, or a tile or strip is too large.
    """

    format = "generic-tiff"
    shifts = False

    def __init__(
        self, path: Path, image: TiffImage, channels: Channels, properties: Mapping[str, str], why: str
    ) -> None:
        self.path = path
        self.properties = properties
        self._channels, self._why = channels, why
        self._close: weakref.finalize[..., TiffReader] | None = None
        self._lock = threading.Lock()
        self._owner = PIECES.new_owner()
        if not image.here:
            raise SlideError(f"{path}: parts of the image lie in other files: export it as one file")
        with quiet():
            try:
                self._tiff = tifffile.TiffFile(path)
                # Processes keep slides open from region to region, and drop them without closing.
                self._close = weakref.finalize(self, _close, self._tiff, self._owner)
                self._pages = levels_of(self._tiff.series[image.index])
                self._layouts = [Layout.of(pages[0]) for pages in self._pages]
            except ERRORS as error:
                self.close()
                raise SlideError(f"{path}: damaged TIFF ({error}): copy or export it again") from error
        if max(page for page, _ in channels.rgb) >= len(self._pages[0]):
            self.close()
            raise SlideError(f"{path}: stores its channels without pages of their own: export it as RGB")
        self._refuse_huge()
        first = self._layouts[0]
        self.levels = tuple(_describe(layout, first) for layout in self._layouts)

    @property
    def how(self) -> str:
        """The software that decodes the pixels, the samples it takes, and why it is this one."""
        return f"tifffile {tifffile.__version__}: {self._channels}; {self._why}"

    @property
    def icc_profile(self) -> bytes | None:
        """The slide's colour profile, if it carries one."""
        tag = self._pages[0][0].keyframe.tags.get("InterColorProfile")
        return None if tag is None else bytes(tag.value)

    def close(self) -> None:
        """Close the file."""
        if self._close is not None:
            self._close()

    def read(self, index: int, rect: Rect) -> tuple[NDArray[np.uint8], list[Rect]]:
        """Read a rectangle of a level, in level pixels: see `wsi_seg.slides.readers.contract.Reader.read`."""
        level = self.levels[index]
        rgba = np.zeros((rect.height, rect.width, 4), dtype=np.uint8)
        unreadable: list[Rect] = []
        inside = rect.clipped(level.width, level.height)
        for piece in cut_by_grid(inside, level.tile_height, level.tile_width):
            tile = enclosing_cells(piece, level.tile_height, level.tile_width)
            place = tile.y0 // level.tile_height, tile.x0 // level.tile_width
            target, part = rgba[piece.relative_to(rect).slices], piece.relative_to(tile).slices
            try:
                self._fill(target, index, place, part)
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
        return spread_of(self._looked_at(), self._channels.bits, bits)

    def _looked_at(self) -> Iterator[NDArray[Any]]:
        """Yield the samples of tiles of the coarsest level, colour by colour."""
        layout = self._layouts[-1]
        tiles = layout.columns * layout.rows
        for tile in np.linspace(0, tiles - 1, min(tiles, LOOKED_AT)).astype(int).tolist():
            place = divmod(tile, layout.columns)
            for channel in range(3):
                page_index, plane, sample = self._where(-1, channel)
                try:
                    stored = read_piece(self._pages[-1][page_index], layout, place, plane, self._lock)
                except DamagedTileError:
                    continue  # reported later, when it is read
                if stored is not None:
                    yield stored[_inside(layout, place)][..., sample]

    def _fill(
        self, target: NDArray[np.uint8], index: int, place: tuple[int, int], part: tuple[slice, slice]
    ) -> None:
        """Write part of a tile into `target`, shape (height, width, 4), which is zero."""
        whole = True
        for channel in range(3):
            page_index, plane, sample = self._where(index, channel)
            pixels = self._piece(index, page_index, plane, place)
            if pixels is None:
                whole = False
            else:
                target[..., channel] = pixels[part][..., sample]
        target[..., 3] = 255 * whole
        alpha = self._channels.alpha
        if alpha is None or not whole:
            return
        pixels = self._piece(index, alpha[0], 0, place)
        assert pixels is not None  # it holds the colours too
        target[..., 3] = pixels[part][..., alpha[1]]
        if self._channels.premultiplied:
            _unpremultiply(target)

    def _where(self, index: int, channel: int) -> tuple[int, int, int]:
        """Return the page, the plane and the sample of a colour."""
        page_index, sample = self._channels.rgb[channel]
        key = self._pages[index][page_index].keyframe
        separate = key.planarconfig == tifffile.PLANARCONFIG.SEPARATE
        return (page_index, sample, 0) if separate else (page_index, 0, sample)

    def _piece(
        self, index: int, page_index: int, plane: int, place: tuple[int, int]
    ) -> NDArray[np.uint8] | None:
        """Return a tile in 8 bits, shape (tile height, tile width, samples); None if the file omits it."""

        def decode() -> NDArray[np.uint8] | None:
            layout = self._layouts[index]
            stored = read_piece(self._pages[index][page_index], layout, place, plane, self._lock)
            return None if stored is None else self._to_bytes(stored, _inside(layout, place))

        return PIECES.get(self._owner, (index, page_index, plane, place), decode)

    def _to_bytes(self, stored: NDArray[Any], inside: tuple[slice, slice]) -> NDArray[np.uint8]:
        channels = self._channels
        bits = channels.significant_bits or channels.bits
        if bits < channels.bits and stored[inside].max() >> bits:
            raise DamagedTileError  # values outside of the stated range
        pixels: NDArray[np.uint8] = (stored >> max(bits - 8, 0)).astype(np.uint8, copy=False)
        return 255 - pixels if channels.inverted else pixels

    def _refuse_huge(self) -> None:
        """Refuse an image whose tiles or strips are too large to be decoded one by one."""
        for pages, layout in zip(self._pages, self._layouts, strict=True):
            samples = max(page.keyframe.samplesperpixel for page in pages) * self._channels.bits // 8
            size = layout.piece_width * layout.piece_height * samples
            if size > MAX_PIECE_BYTES:
                self.close()
                what = "tiles" if pages[0].keyframe.is_tiled else "strips"
                slide = shlex.quote(f"{self.path.name}[fail]")
                raise SlideError(
                    f"{self.path}: is stored in {what} of {layout.piece_width} x {layout.piece_height} px, "
                    f"{size >> 20} MiB each, of which at most {MAX_PIECE_BYTES >> 20} MiB are decoded at a "
                    f"time: convert it to a tiled TIFF, for example with `{VIPS.format(slide=slide)}`"
                )


def _close(tiff: tifffile.TiffFile, owner: int) -> None:
    tiff.close()
    PIECES.forget(owner)


def _inside(layout: Layout, place: tuple[int, int]) -> tuple[slice, slice]:
    """Return the part of a piece that lies in the picture."""
    y, x = place[0] * layout.piece_height, place[1] * layout.piece_width
    return slice(layout.height - y), slice(layout.width - x)


def _unpremultiply(rgba: NDArray[np.uint8]) -> None:
    """Divide colours by their alpha, in place."""
    alpha = rgba[..., 3:].astype(np.uint16)
    full = (rgba[..., :3].astype(np.uint16) * 255 + alpha // 2) // np.maximum(alpha, 1)
    rgba[..., :3] = np.where(alpha > 0, np.minimum(full, 255), 0)


def _describe(layout: Layout, first: Layout) -> SlideLevel:
    scale_x, scale_y = _scales(layout, first)
    return SlideLevel(
        width=layout.width,
        height=layout.height,
        scale_x=scale_x,
        scale_y=scale_y,
        tile_width=layout.piece_width,
        tile_height=layout.piece_height,
        exact=True,
    )


def _scales(layout: Layout, first: Layout) -> tuple[float, float]:
    """Return slide pixels per level pixel in x and y: the same, where one number explains both sides."""
    found = level_scale(first.width, layout.width), level_scale(first.height, layout.height)
    for one in found:
        factor = int(one)
        sides = ((first.width, layout.width), (first.height, layout.height))
        if factor == one and all(side in (full // factor, -(-full // factor)) for full, side in sides):
            return one, one
    return found
