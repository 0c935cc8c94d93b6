"""Tiles of a slide, read from the file itself, in the frame that QuPath shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import simplejpeg

from wsi_seg.slides.colour import SrgbConverter
from wsi_seg.slides.frames import Frames
from wsi_seg.view.tile_grid import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect
    from wsi_seg.slides.slide import Slide

QUALITY = 90
STRIPE = 8
STRIPE_GREYS = (228, 150)
"""Width and colours of the stripes where the file cannot be decoded."""


class SlideTiles:
    """The tiles of a slide; level 0 has the slide's own pixels, from the corner of its bounds.

    May be used from several threads.
    """

    def __init__(self, slide: Slide) -> None:
        self.slide = slide
        self.grid = Grid.of(slide.bounds.width, slide.bounds.height)
        self._whole = Frames.of_cells(slide.bounds, (1, 1))
        self._srgb = SrgbConverter(slide.icc_profile)

    def pixels(self, level: int, rect: Rect) -> NDArray[np.uint8]:
        """Return the pixels of a rectangle of a level, as a screen shows them; stripes where it is damaged.

        Returns
        -------
        uint8 array, shape (height, width, 3)

        Raises
        ------
        SlideError
            If the file can no longer be opened.
        """
        frames = self._whole.coarsened(1 << level)
        read = self.slide.read(rect, frames)
        rgb = self._srgb(read.rgb)
        if read.unreadable:
            rgb = rgb.copy()
            for part in read.unreadable:
                here = part.intersection(rect).relative_to(rect)
                y, x = np.ogrid[here.y0 : here.y1, here.x0 : here.x1]
                stripes = np.asarray(STRIPE_GREYS, np.uint8)[(y + x + rect.y0 + rect.x0) // STRIPE % 2]
                rgb[here.slices] = stripes[..., None]
        return rgb

    def tile(self, level: int, rect: Rect) -> bytes:
        """Return the same as the bytes of a JPEG file."""
        pixels = np.ascontiguousarray(self.pixels(level, rect))
        return bytes(simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorsubsampling="444"))

    def close(self) -> None:
        """Close the slide's file."""
        self.slide.close()
