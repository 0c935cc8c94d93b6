"""Paint classes, outlines and masks over a picture of the slide, pixel by pixel.

All of it is done at twice the size that is asked for and halved at the end, which smooths every edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID
from wsi_seg.outputs.pyramid import halve_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema

FILL = 0.48
"""Opacity of a class's colour inside its outline."""

OUTLINE = 3
"""Width of outlines, in pixels of twice the size."""

OUTLINE_SHADE = 0.72
"""Brightness of a class's outline, as a share of its colour's."""

STRIPE = 10
"""Width of the stripes that mark unprocessed pixels, in pixels of twice the size."""


def paint_slide(rgb: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    """Return the slide itself, shape (h, w, 3), at `size` (width, height)."""
    return Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS)


def paint_classes(
    rgb: NDArray[np.uint8], labels: NDArray[np.uint8], schema: ClassSchema, size: tuple[int, int]
) -> Image.Image:
    """Paint classes over the slide.

    The slide is paled to grey below the colours, so that these look as they do in a legend while the
    tissue stays readable. The background class is not painted; what was not asked for is veiled in white,
    what was not analysed is striped.

    Parameters
    ----------
    rgb : array of uint8, shape (h, w, 3)
        The slide.
    labels : array of uint8, shape (h, w)
        Label values of the same pixels.
    schema : ClassSchema
        Colours of the label values.
    size : (int, int)
        Width and height of the picture.
    """
    double = (2 * size[0], 2 * size[1])
    large = _enlarged(labels, double)
    paper = _pale(np.asarray(paint_slide(rgb, double)))

    colors = np.zeros((256, 3), dtype=np.float32)
    painted = np.zeros(256, dtype=np.bool_)
    for tissue_class in schema.classes:
        colors[tissue_class.id] = tissue_class.color
        painted[tissue_class.id] = tissue_class.id != schema.background_id
    color, inside = colors[large], painted[large][..., None]

    paper = np.where(inside, (1 - FILL) * paper + FILL * color, paper)
    paper = np.where(inside & _borders(large)[..., None], OUTLINE_SHADE * color, paper)
    paper = np.where((large == OUTSIDE_ID)[..., None], 255 - 0.45 * (255 - paper), paper)
    paper = np.where((large == UNPROCESSED_ID)[..., None], 0.2 * paper + 0.8 * _stripes(large.shape), paper)
    return Image.fromarray(paper.round().astype(np.uint8)).reduce(2)


def paint_swatch(value: int, schema: ClassSchema, size: tuple[int, int]) -> Image.Image:
    """Paint a small piece of one label value, as it looks on glass, for a legend."""
    glass = np.full((size[1] + 2, size[0] + 2, 3), 240, dtype=np.uint8)
    labels = np.full(glass.shape[:2], schema.outside_id, dtype=np.uint8)
    labels[1:-1, 1:-1] = value
    picture = paint_classes(glass, labels, schema, (size[0] + 2, size[1] + 2))
    return picture.crop((1, 1, size[0] + 1, size[1] + 1))


def paint_mask(
    rgb: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    size: tuple[int, int],
    color: tuple[int, int, int],
    veil: float = 0.0,
) -> Image.Image:
    """Outline a mask on the slide, with all outside it veiled in white to the opacity `veil`.

    Parameters
    ----------
    rgb : array of uint8, shape (h, w, 3)
        The slide.
    mask : array of bool, shape (h, w)
        The same pixels.
    size : (int, int)
        Width and height of the picture.
    color : (int, int, int)
        Colour of the outline.
    veil : float
        0 leaves the slide outside the mask as it is, 1 hides it.
    """
    double = (2 * size[0], 2 * size[1])
    large = _enlarged(mask.astype(np.uint8), double)
    picture = np.asarray(paint_slide(rgb, double)).astype(np.float32)
    picture = np.where(large[..., None] == 0, 255 - (1 - veil) * (255 - picture), picture)
    picture[_borders(large) & (large == 1)] = color
    return Image.fromarray(picture.round().astype(np.uint8)).reduce(2)


def _pale(rgb: NDArray[np.uint8]) -> NDArray[np.floating]:
    """Take most of the colour out of a picture, and lift it a little."""
    picture = rgb.astype(np.float32)
    grey = picture @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    muted = 0.25 * picture + 0.75 * grey[..., None]
    return 255 - 0.85 * (255 - muted)


def _enlarged(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Bring labels to `size` (width, height) without mixing values."""
    while labels.shape[0] >= 2 * size[1] and labels.shape[1] >= 2 * size[0]:
        labels = halve_labels(labels)
    return np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))


def _borders(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the pixels within `OUTLINE` of another label, straight up, down, left or right."""
    borders = np.zeros(labels.shape, dtype=np.bool_)
    for step in range(1, OUTLINE + 1):
        below = labels[step:] != labels[:-step]
        borders[step:] |= below
        borders[:-step] |= below
        right = labels[:, step:] != labels[:, :-step]
        borders[:, step:] |= right
        borders[:, :-step] |= right
    return borders


def _stripes(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Diagonal stripes of two greys, shape (height, width, 1)."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.where((x + y) // STRIPE % 2 == 0, 228, 150).astype(np.float32)[..., None]
