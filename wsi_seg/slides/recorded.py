"""Where a scanner recorded pixels, and where a file only fills in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage import morphology

from wsi_seg.slides.lattice import Rect

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wsi_seg.slides.frames import Frames
    from wsi_seg.slides.slide import Slide, SlidePixels

SMALLEST_FILLING_UM2 = 250_000.0
"""A flat area of less than this may be an overexposed gap in the tissue."""

COMPRESSION_REACH = 8
"""JPEG lets the edge of what was scanned ripple this far, in overview pixels, into what was filled in."""

RIPPLE = 6
"""By how many grey values."""

THINNEST = 3
"""Overview pixels across what was scanned, wherever it ends."""

SHORTEST_SLIT_UM = 400.0
"""A slit between two scanned fields is straight, and at least so long."""

SLIT_RANGE = 16
"""By how many grey values a slit of a few overview pixels may differ from what it was filled with."""

SLIT_SAMPLES, SAMPLE_SHARE = 15, 0.25
"""Places at which a slit is looked at as closely as the file allows; and the share of a sample that has to be
of exactly the colour of the filling, in most of them."""


def recorded_in(slide: Slide, overview: SlidePixels, frames: Frames) -> NDArray[np.bool_]:
    """Find what the scanner recorded of a slide.

    Parameters
    ----------
    slide : Slide
    overview : SlidePixels
        All of the slide.
    frames : Frames
        The overview's frame.

    Returns
    -------
    bool array, shape (height, width)
        For each overview pixel. What cannot be read counts as recorded: models are not spared it, and
        training hears of it in reading.
    """
    finest = slide.frames(max(slide.mpp), allow_coarser=True)
    step_x, step_y = (a / b for a, b in zip(frames.downsample, finest.downsample, strict=True))

    def sample(x: int, y: int) -> NDArray[np.uint8]:
        pixel = Rect(int(y * step_y), int(x * step_x), int((y + 1) * step_y), int((x + 1) * step_x))
        return slide.read(pixel.clipped(*finest.label_size), finest).rgb

    recorded = find_recorded(overview.rgb, overview.present, frames.label_mpp)
    recorded = thick(recorded & ~find_slits(overview.rgb, recorded, frames.label_mpp, sample))
    for rect in overview.unreadable:
        recorded[rect.slices] = True
    return recorded


def find_recorded(
    rgb: NDArray[np.uint8], present: NDArray[np.bool_], mpp: tuple[float, float]
) -> NDArray[np.bool_]:
    """Find in an overview what a scanner recorded.

    Files of scanners that skip glass, and files put together of parts, fill the gaps with one colour, which
    no sensor gives over any distance.

    Parameters
    ----------
    rgb : uint8 array, shape (height, width, 3)
    present : bool array, shape (height, width)
        Where the file has pixels.
    mpp : (float, float)
        Micrometres per overview pixel in x and y.

    Returns
    -------
    bool array, shape (height, width)
    """
    flat = _flat(_packed(rgb))
    smallest = max(2, round(SMALLEST_FILLING_UM2 / (mpp[0] * mpp[1])))
    filling = morphology.remove_small_objects(flat, max_size=smallest - 1)
    recorded: NDArray[np.bool_] = present & ~_with_ripples(rgb, filling)
    return recorded


def find_slits(
    rgb: NDArray[np.uint8],
    recorded: NDArray[np.bool_],
    mpp: tuple[float, float],
    sample: Callable[[int, int], NDArray[np.uint8]],
) -> NDArray[np.bool_]:
    """Find the slits between scanned fields that were filled in, too narrow to be flat in an overview.

    Straight lines in nearly the colour of the large fillings are candidates; the finest pixels decide, where
    what was filled in is of exactly that colour.

    Parameters
    ----------
    rgb : uint8 array, shape (height, width, 3)
        The overview.
    recorded : bool array, shape (height, width)
        As `find_recorded` gives it.
    mpp : (float, float)
        Micrometres per overview pixel in x and y.
    sample : callable
        Returns the slide's finest pixels that overview pixel (x, y) covers, uint8 of shape
        (rows, columns, 3).

    Returns
    -------
    bool array, shape (height, width)
    """
    slits = np.zeros_like(recorded)
    if recorded.all() or not recorded.any():
        return slits
    values, counts = np.unique(_packed(rgb[~recorded]), return_counts=True)
    filling = values[[counts.argmax()]].view(np.uint8)[:3]
    alike = recorded & (np.abs(rgb.astype(np.int16) - filling) <= SLIT_RANGE).all(axis=2)
    across, down = (max(2, round(SHORTEST_SLIT_UM / um)) for um in mpp)
    straight = np.logical_or(*(ndimage.grey_opening(alike, size) for size in ((1, across), (down, 1))))
    labels, count = ndimage.label(straight, np.ones((3, 3)))
    for label in range(1, count + 1):
        rows, columns = np.nonzero(labels == label)
        places = np.linspace(0, len(rows) - 1, SLIT_SAMPLES).astype(int)
        samples = (sample(columns[i], rows[i]) for i in places)
        if np.median([(pixels == filling).all(axis=2).mean() for pixels in samples]) >= SAMPLE_SHARE:
            slits |= labels == label
    return slits


def thick(recorded: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out what is thinner than `THINNEST`: ripples that went further than others, no scanned field.

    Parameters
    ----------
    recorded : bool array
    """
    square = np.ones((THINNEST, THINNEST), dtype=bool)
    inner = ndimage.binary_erosion(recorded, square, border_value=1)  # beyond its edge the slide goes on
    kept: NDArray[np.bool_] = recorded & ndimage.binary_dilation(inner, square)
    return kept


def _packed(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return colours, shape (..., 3), as one number each."""
    padding = [(0, 0)] * (rgb.ndim - 1) + [(0, 1)]
    return np.pad(rgb, padding).view(np.uint32)[..., 0]


def _flat(colours: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Find the pixels in any square of 3 x 3 equal ones; beyond its edge the image goes on as it ends."""
    colours = np.pad(colours, 1, mode="edge")
    beside = colours[:, 1:] == colours[:, :-1]
    below = colours[1:] == colours[:-1]
    pairs = beside[:-1] & beside[1:] & below[:, :-1]  # squares of 2 x 2
    squares = np.pad(pairs[:-1, :-1] & pairs[:-1, 1:] & pairs[1:, :-1] & pairs[1:, 1:], 1)
    rows = squares[:-2] | squares[1:-1] | squares[2:]
    flat: NDArray[np.bool_] = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return flat


def _with_ripples(rgb: NDArray[np.uint8], filling: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add to what was filled in the pixels beside it that compression made to differ a little."""
    if filling.all() or not filling.any():
        return filling
    rows, columns = ndimage.distance_transform_edt(~filling, return_distances=False, return_indices=True)
    alike = (np.abs(rgb.astype(np.int16) - rgb[rows, columns]) <= RIPPLE).all(axis=2)
    around = np.ones((3, 3), dtype=bool)
    grown = ndimage.binary_dilation(filling, around, iterations=COMPRESSION_REACH, mask=alike)
    # Single pixels that differ more stay behind in the midst of it.
    return np.asarray(grown | ndimage.binary_closing(grown, around))
