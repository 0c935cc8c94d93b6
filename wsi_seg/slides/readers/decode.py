"""Decode rectangles of a slide's levels; damage costs only the tiles that it is in.

A failed OpenSlide handle refuses all further reads, so one damaged tile would end a run. Here it costs that
tile: the file is opened again and the tiles around it are read one by one.
"""

from __future__ import annotations

import math
import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import openslide

from wsi_seg.errors import SlideError
from wsi_seg.files.plain_files import open_plain, special_in
from wsi_seg.slides.frames import level_to_slide
from wsi_seg.slides.readers.contract import SlideLevel
from wsi_seg.slides.readers.decoded_tiles import share_tiles
from wsi_seg.slides.readers.dicom import read_dicom_header
from wsi_seg.slides.readers.grid_cells import cut_by_grid, enclosing_cells
from wsi_seg.slides.readers.jpeg_tiles import JpegTiles
from wsi_seg.slides.readers.refused import why_refused

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect

BLOCK = 128
"""Side of the blocks in which inexact levels are read: larger blocks are cut, and read again, more often."""

GRID_FORMATS = frozenset({"aperio", "dicom", "generic-tiff", "hamamatsu", "philips-tiff"})
"""Formats whose tiles lie on one grid of whole pixels. In other formats, scanners place each field on its
own."""

TIFF_FORMATS = frozenset({"aperio", "generic-tiff"})
"""Those whose JPEG tiles are decoded without OpenSlide: faster, to the same pixels."""

HAS_PREAD = hasattr(os, "pread")
"""Reading at a place, from several threads: not on Windows."""


class LevelReader:
    """A slide file that OpenSlide opens: a `wsi_seg.slides.readers.contract.Reader`.

    Raises
    ------
    SlideError
        If the file is missing or is not a slide.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self.handle = open_handle(path)
        width, height = self.handle.dimensions
        if not all(0 < w <= width and 0 < h <= height for w, h in self.handle.level_dimensions):
            self.handle.close()
            raise SlideError(
                f"{path}: damaged: the sizes of its levels contradict each other: copy or export it again"
            )
        self.levels = tuple(_describe_level(self.handle, i) for i in range(self.handle.level_count))
        self.properties = dict(self.handle.properties)
        self.format = self.properties[openslide.PROPERTY_NAME_VENDOR]
        self._tiles = JpegTiles(path, self.levels) if self.format in TIFF_FORMATS and HAS_PREAD else None

    @property
    def how(self) -> str:
        """The software that decodes the pixels, and why it is this software."""
        by_turbo = self._tiles is not None and self._tiles.decodes(0)
        beside = ", JPEG tiles by libjpeg-turbo" if by_turbo else ""
        return f"OpenSlide {openslide.__library_version__}, which opens the file{beside}"

    @property
    def shifts(self) -> bool:
        """Whether the pixels of a level would be other ones than are stored, by part of a pixel."""
        return self.format in GRID_FORMATS and not all(
            level.exact or (self._tiles is not None and self._tiles.decodes(index))
            for index, level in enumerate(self.levels)
        )

    @property
    def icc_profile(self) -> bytes | None:
        """The slide's colour profile, if it carries one."""
        profile = self.handle.color_profile
        return None if profile is None else bytes(profile.tobytes())

    def close(self) -> None:
        """Close the file."""
        self.handle.close()
        if self._tiles is not None:
            self._tiles.close()

    def read(self, index: int, rect: Rect) -> tuple[NDArray[np.uint8], list[Rect]]:
        """Read a rectangle of a level.

        Where a level's pixels do not start on whole slide pixels, or its tiles lie anywhere, `read_region`
        shifts by part of a pixel, differently for each origin. Blocks with fixed origins (tiles, where all
        others are decoded without OpenSlide) make a pixel's value independent of the rectangle again.

        Parameters
        ----------
        index : int
            The level.
        rect : Rect
            In level pixels.

        Returns
        -------
        rgba : uint8 array, shape (height, width, 4)
            Not premultiplied; zero where nothing was recorded or nothing could be decoded.
        unreadable : list of Rect
            Tiles, in level pixels, that could not be decoded.
        """
        decoded = None if self._tiles is None else self._tiles.read(index, rect)
        if decoded is not None:
            rgba, blocks = decoded
        elif self.levels[index].exact:
            return self._read_or_rescue(index, rect)
        else:
            rgba = np.zeros((rect.height, rect.width, 4), dtype=np.uint8)
            blocks = [enclosing_cells(piece, BLOCK, BLOCK) for piece in cut_by_grid(rect, BLOCK, BLOCK)]
        unreadable: list[Rect] = []
        for block in blocks:
            piece = block.intersection(rect)
            pixels, bad = self._read_or_rescue(index, block)
            rgba[piece.relative_to(rect).slices] = pixels[piece.relative_to(block).slices]
            unreadable += bad
        return rgba, unreadable

    def _read_or_rescue(self, index: int, rect: Rect) -> tuple[NDArray[np.uint8], list[Rect]]:
        handle = self.handle
        try:
            return _read_region(handle, index, rect), []
        except openslide.OpenSlideError:
            with self._lock:
                if self.handle is handle:
                    # The failed handle is left to the garbage collector: another thread may be inside it.
                    self.handle = open_handle(self.path)
            return self._rescue(index, rect)

    def _rescue(self, index: int, rect: Rect) -> tuple[NDArray[np.uint8], list[Rect]]:
        """Read tile by tile, without those that cannot be decoded."""
        # With a handle of its own: on a shared handle, damage met by one thread would look like damage
        # everywhere.
        level = self.levels[index]
        rgba = np.zeros((rect.height, rect.width, 4), dtype=np.uint8)
        unreadable: list[Rect] = []
        handle = open_handle(self.path)
        for piece in cut_by_grid(
            rect.clipped(level.width, level.height), level.tile_height, level.tile_width
        ):
            # The whole tile, so that the outcome does not depend on the requested rectangle.
            tile = enclosing_cells(piece, level.tile_height, level.tile_width)
            tile = tile.clipped(level.width, level.height)
            try:
                pixels = _read_region(handle, index, tile)
            except openslide.OpenSlideError:
                unreadable.append(tile)
                handle.close()
                handle = open_handle(self.path)
            else:
                rgba[piece.relative_to(rect).slices] = pixels[piece.relative_to(tile).slices]
        handle.close()
        return rgba, unreadable


def open_handle(path: Path) -> openslide.OpenSlide:
    """Open a file with OpenSlide; an error says in one line why that failed.

    Raises
    ------
    SlideError
        If the file is missing, unreadable, damaged or not a slide.
    """
    if not path.exists():
        raise SlideError(f"{path}: no such file")
    if path.is_dir():
        raise SlideError(f"{path}: is a folder: name a slide file in it")
    try:
        with open_plain(path) as file:
            if not file.read(1):
                raise SlideError(f"{path}: is empty: copy or export it again")
        refuse_special(path)
        handle = openslide.OpenSlide(str(path))
    except OSError as error:
        raise SlideError(f"{path}: cannot be read ({error.strerror}): name a slide file") from error
    except openslide.OpenSlideUnsupportedFormatError:
        unknown = "not a slide that OpenSlide can read: wrong format, or damaged: copy or export it again"
        why = why_refused(path) or unknown
        raise SlideError(f"{path}: {why}") from None
    except openslide.OpenSlideError as error:
        why = f"damaged, or in a format that OpenSlide does not read ({error}): copy or export it again"
        raise SlideError(f"{path}: {why_refused(path, str(error)) or why}") from None
    share_tiles(handle)
    return handle


def refuse_special(path: Path) -> None:
    """Refuse a slide in whose folder lies a pipe or the like: OpenSlide would open it, and wait for ever.

    Raises
    ------
    SlideError
        If OpenSlide looks through a folder for the slide's other files, and one of these is no file.
    """
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        folder = path.with_suffix("")
    elif suffix in (".vms", ".vmu") or read_dicom_header(path) is not None:
        folder = path.parent
    else:
        return
    special = special_in(folder)
    if special is not None:
        raise SlideError(
            f"{special.filename}: {special.strerror}: take it out of the folder, which OpenSlide looks "
            f"through for {path.name}"
        )


def _read_region(handle: openslide.OpenSlide, index: int, rect: Rect) -> NDArray[np.uint8]:
    corner_slide_xy = level_to_slide((rect.x0, rect.y0), handle.level_downsamples[index])
    return np.array(handle.read_region(corner_slide_xy, index, (rect.width, rect.height)))


def _describe_level(handle: openslide.OpenSlide, index: int) -> SlideLevel:
    (width, height), (full_width, full_height) = handle.level_dimensions[index], handle.dimensions
    downsample = handle.level_downsamples[index]
    vendor = handle.properties.get(openslide.PROPERTY_NAME_VENDOR)
    tile_width, tile_height = (
        int(handle.properties.get(f"openslide.level[{index}].tile-{side}", 256))
        for side in ("width", "height")
    )
    return SlideLevel(
        width=width,
        height=height,
        scale_x=level_scale(full_width, width),
        scale_y=level_scale(full_height, height),
        tile_width=tile_width,
        tile_height=tile_height,
        exact=vendor in GRID_FORMATS and abs(downsample - round(downsample)) < 1e-9,
    )


def level_scale(full: int, side: int) -> float:
    """Return slide pixels per level pixel along one axis.

    Level sides are rounded up or down. A power of two, or else a whole number, that explains both sides is
    taken as the true factor.
    """
    ratio = full / side
    for factor in (2 ** round(math.log2(ratio)), round(ratio)):
        if side in (full // factor, -(-full // factor)):
            return float(factor)
    return ratio
