"""Paint classes, outlines and masks over a picture of the slide, pixel by pixel.

Colours and opacities are painted at twice the requested size and halved, which smooths every edge. Then they
are composited over the slide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wsi_seg.models.classes import OUTSIDE_ID, UNPROCESSED_ID
from wsi_seg.results.labels.halving import halve_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from wsi_seg.models.classes import ClassSchema

FILL = 0.48
"""Opacity of a class's colour inside its outline."""

OUTLINE = 3
"""Width of outlines, in pixels of twice the size."""

OUTLINE_SHADE = 0.72
"""Brightness of a class's outline, as a share of its colour's."""

VEIL = 0.55
"""Opacity of the white outside of the region of interest."""

STRIPE = 10
"""Width of the stripes that mark unprocessed pixels, in pixels of twice the size."""

STRIPE_GREYS = (228, 150)

GLASS = (240, 240, 240)
"""Colour of an empty slide."""

BORDER = 256
"""Added to the label values of pixels at a border."""


def paint_slide(rgb: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    """Return the slide itself, shape (h, w, 3), at `size` (width, height)."""
    return Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS)


def paint_classes(
    rgb: NDArray[np.uint8], labels: NDArray[np.uint8], schema: ClassSchema, size: tuple[int, int]
) -> Image.Image:
    """Paint classes over the slide.

    The slide below the colours is made pale and grey, so that the colours look as in the legend while the
    tissue stays readable. The background class is not painted; white covers the area outside of the region of
    interest, and unprocessed pixels are striped.

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
    large = _enlarged(labels, (2 * size[0], 2 * size[1]))
    state = large + np.uint16(BORDER) * _borders(large)
    unprocessed = large == UNPROCESSED_ID
    if unprocessed.any():
        state[unprocessed] = _stripes(large.shape)[unprocessed]
    return _laid_over(_pale(paint_slide(rgb, size)), _inks(schema).take(state, mode="clip"))


def paint_swatch(
    value: int, schema: ClassSchema, size: tuple[int, int], slide: ArrayLike = GLASS
) -> Image.Image:
    """Paint a swatch of one label value for a legend, as it looks where the slide has one colour."""
    below = np.full((size[1] + 2, size[0] + 2, 3), slide, dtype=np.uint8)
    labels = np.full(below.shape[:2], schema.outside_id, dtype=np.uint8)
    labels[1:-1, 1:-1] = value
    picture = paint_classes(below, labels, schema, (size[0] + 2, size[1] + 2))
    return picture.crop((1, 1, size[0] + 1, size[1] + 1))


def mean_color(rgb: NDArray[np.uint8], where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the mean colour of the pixels of a mask, shape (3,); that of glass if there are none."""
    pixels = rgb[where]
    return pixels.mean(axis=0).round().astype(np.uint8) if len(pixels) else np.array(GLASS, np.uint8)


def paint_mask(
    rgb: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    size: tuple[int, int],
    color: tuple[int, int, int],
) -> Image.Image:
    """Outline a mask on the slide.

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
    """
    large = _enlarged(mask.astype(np.uint8), (2 * size[0], 2 * size[1]))
    state = large + np.uint8(2) * (_borders(large) & (large == 1))
    inks = _packed([(255, 255, 255, 0), (*color, 0), (0, 0, 0, 0), (*color, 255)])
    return _laid_over(paint_slide(rgb, size), inks.take(state, mode="clip"))


def _inks(schema: ClassSchema) -> NDArray[np.uint32]:
    """Return the colour and opacity of each label value, of its border, and of the two kinds of stripe."""
    inks = np.zeros((BORDER + 256, 4), dtype=np.uint8)
    for tissue_class in schema.classes:
        if tissue_class.id != schema.background_id:
            inks[tissue_class.id] = (*tissue_class.color, round(255 * FILL))
            inks[BORDER + tissue_class.id] = (*(round(OUTLINE_SHADE * c) for c in tissue_class.color), 255)
    inks[[OUTSIDE_ID, BORDER + OUTSIDE_ID]] = (255, 255, 255, round(255 * VEIL))
    inks[[UNPROCESSED_ID, BORDER + UNPROCESSED_ID]] = [(grey, grey, grey, 204) for grey in STRIPE_GREYS]
    return _packed(inks)


def _packed(inks: ArrayLike) -> NDArray[np.uint32]:
    """Pack red, green, blue and opacity, shape (n, 4), into one number each, for a faster look-up.

    A look-up that clips is twice as fast again; there is nothing to clip.
    """
    return np.array(inks, dtype=np.uint8).view(np.uint32)[:, 0]


def _laid_over(picture: Image.Image, inks: NDArray[np.uint32]) -> Image.Image:
    """Composite packed colours with opacities, shape (2 h, 2 w), over a picture of h x w."""
    height, width = inks.shape
    smooth = Image.frombuffer("RGBA", (width, height), inks).reduce(2)
    return Image.alpha_composite(picture.convert("RGBA"), smooth).convert("RGB")


def _pale(picture: Image.Image) -> Image.Image:
    """Remove most of the colour from a picture, and brighten it a little."""
    # Each row: the shares of red, green and blue in one channel, and an offset.
    muted = [
        [0.85 * (0.75 * grey + 0.25 * (i == j)) for j, grey in enumerate((0.299, 0.587, 0.114))]
        for i in range(3)
    ]
    return picture.convert("RGB", [share for row in muted for share in (*row, 0.15 * 255)])


def _enlarged(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize labels to `size` (width, height) without mixing values."""
    while labels.shape[0] >= 2 * size[1] and labels.shape[1] >= 2 * size[0]:
        labels = halve_labels(labels)
    return np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))


def _borders(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the pixels within `OUTLINE` of another label, up, down, left or right."""
    borders = np.zeros(labels.shape, dtype=np.bool_)
    for step in range(1, OUTLINE + 1):
        below = labels[step:] != labels[:-step]
        borders[step:] |= below
        borders[:-step] |= below
        right = labels[:, step:] != labels[:, :-step]
        borders[:, step:] |= right
        borders[:, :-step] |= right
    return borders


def _stripes(shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Return diagonal stripes of the two states of unprocessed pixels, shape (height, width)."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    stripes: NDArray[np.uint16] = np.uint16(UNPROCESSED_ID) + np.uint16(BORDER) * ((x + y) // STRIPE % 2 == 1)
    return stripes
