"""Two small pictures of a finished result, for lists of many: the slide, and the classes over it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from wsi_seg.errors import OutputError
from wsi_seg.results.pictures.painting import paint_classes, paint_slide
from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from wsi_seg.results.labels.read_labels import LabelPyramid

SIDE = 240
"""Longest side of a thumbnail in pixels."""

MOST_BYTES = 5000
"""Aimed at for one, so that a page with those of 500 slides has some MB."""

QUALITIES = (80, 65, 50, 35, 20)
"""Of the JPEG: the first that is small enough, or the last."""


class Thumbnail(NamedTuple):
    """A small picture, as the bytes of a JPEG file, and its size in pixels."""

    jpeg: bytes
    width: int
    height: int


def thumbnails(labels: LabelPyramid) -> tuple[Thumbnail, Thumbnail]:
    """Draw the slide, and the classes over it, from levels of the result that are little larger.

    Raises
    ------
    OutputError
        If the files are damaged.
    """
    rgb = labels.read_overview(SIDE)
    height, width = rgb.shape[:2]
    level = next((k for k, array in enumerate(labels.levels) if array.shape == (height, width)), None)
    if level is None:
        raise OutputError(f"{labels.path}: no level of its labels has {width} x {height} pixels")
    values = labels.read(Rect(0, 0, height, width), level)
    size = _fitted(width, height)
    return _packed(paint_slide(rgb, size)), _packed(paint_classes(rgb, values, labels.schema, size))


def thumbnail_of(picture: Image.Image) -> Thumbnail:
    """Make a picture small."""
    return _packed(picture.convert("RGB").resize(_fitted(*picture.size), Image.Resampling.LANCZOS))


def _fitted(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _packed(picture: Image.Image) -> Thumbnail:
    for quality in QUALITIES:
        packed = io.BytesIO()
        picture.save(packed, format="JPEG", quality=quality, optimize=True)
        if packed.tell() <= MOST_BYTES:
            break
    return Thumbnail(packed.getvalue(), *picture.size)
