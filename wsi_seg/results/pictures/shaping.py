"""Letters of a font file, drawn by HarfBuzz: which it has, how they join, and in which order they stand.

HarfBuzz comes in a wheel. (Pillow joins Arabic and orders Indic letters only where the machine has FriBidi.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import uharfbuzz as hb
from PIL import Image

if TYPE_CHECKING:
    from wsi_seg.results.pictures.font_face import Face

SUBPIXELS = 64
"""Positions are in parts of a pixel."""

BOLDER = 0.03
"""How much wider and higher strokes of bold text are, in font sizes."""


class Shaped(NamedTuple):
    """A piece of text as a picture of its ink.

    Attributes
    ----------
    ink : Image.Image
        Grey values: 255 where there is ink.
    left, top : int
        Where its upper left corner goes, in pixels to the right of the text's start and above its baseline.
    width : float
        How far the text reaches, in pixels: where the next piece starts.
    """

    ink: Image.Image
    left: int
    top: int
    width: float


def letters_of(face: Face) -> hb.Set:
    """Return the code points that a font has; none if it cannot be read."""
    return _opened(face).unicodes


@lru_cache(maxsize=256)
def shaped(text: str, face: Face, size: int, bold: bool = False, from_right: bool = False) -> Shaped:
    """Draw letters of one script and direction, given in the order in which they are read."""
    font = hb.Font(_opened(face))
    font.scale = (size * SUBPIXELS, size * SUBPIXELS)
    if bold:
        font.synthetic_bold = (BOLDER, BOLDER, False)
    buffer = hb.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    buffer.direction = "rtl" if from_right else "ltr"
    buffer.language = _language(text) or buffer.language
    hb.shape(font, buffer)
    raster = hb.RasterDraw()
    raster.scale_factor = (SUBPIXELS, SUBPIXELS)
    x = 0
    for glyph, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        raster.transform = (1, 0, 0, 1, x + place.x_offset, place.y_offset)
        raster.draw_glyph(font, glyph.codepoint)
        x += place.x_advance
    return _picture(raster.render(), x / SUBPIXELS)


def _picture(rendered: hb.RasterImage, width: float) -> Shaped:
    extents = rendered.extents
    if not extents.width or not extents.height:
        return Shaped(Image.new("L", (1, 1)), 0, 0, width)
    rows = np.frombuffer(rendered.buffer, np.uint8).reshape(extents.height, extents.stride)
    upright = np.ascontiguousarray(rows[::-1, : extents.width])  # HarfBuzz's first row is the lowest
    return Shaped(Image.fromarray(upright), extents.x_origin, extents.y_origin + extents.height, width)


@lru_cache(maxsize=64)
def _opened(face: Face) -> hb.Face:
    return hb.Face(hb.Blob.from_file_path(face.path), face.number)


def _language(text: str) -> str | None:
    """Say in which language Chinese characters are written: a font may have other forms of them for each."""
    if any("\u3040" <= letter <= "\u30ff" for letter in text):
        return "ja"
    if any("\uac00" <= letter <= "\ud7a3" for letter in text):
        return "ko"
    return "zh-hans" if any("\u4e00" <= letter <= "\u9fff" for letter in text) else None
