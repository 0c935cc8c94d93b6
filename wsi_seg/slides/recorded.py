"""Where the scanner recorded pixels, and where the file only fills gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from wsi_seg.slides.mask_objects import without_small_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from wsi_seg.slides.frames import Frames
    from wsi_seg.slides.slide import Slide, SlidePixels

SMALLEST_FILLING_UM2 = 250_000.0
"""A smaller flat area may be an overexposed gap in the tissue."""

COMPRESSION_REACH = 8
"""How far, in overview pixels, JPEG ripples reach from the scanned area into the fill."""

RIPPLE = 6
"""The height of these ripples in grey values."""

THINNEST = 3
"""Smallest width of a scanned area in overview pixels."""

SHORTEST_SLIT_UM = 400.0
"""A slit between two scanned fields is straight and at least so long."""

SLIT_RANGE = 16
"""Grey values by which a slit of a few overview pixels may differ from the fill colour."""

SLIT_SAMPLES, SAMPLE_SHARE = 15, 0.25
"""Places at which the finest pixels of a slit are looked at; and the share of these pixels that must have
exactly the fill colour, at most of the places."""


def recorded_in(
    slide: Slide, overview: SlidePixels, recorded: NDArray[np.bool_], frames: Frames
) -> NDArray[np.bool_]:
    """Find the parts of a slide that the scanner recorded.

    Parameters
    ----------
    slide : Slide
    overview : SlidePixels
        All of the slide.
    recorded : bool array
        What `find_recorded` finds in it.
    frames : Frames
        The overview's frame.

    Returns
    -------
    bool array, shape (height, width)
        For each overview pixel. Unreadable pixels count as recorded, so that prediction and training meet and
        report them.
    """
    finest = slide.frames(max(slide.mpp), allow_coarser=True)

    def sample(x: int, y: int) -> NDArray[np.uint8]:
        return slide.read(frames.pixel_in(finest, x, y), finest).rgb

    recorded = thick(recorded & ~find_slits(overview.rgb, recorded, frames.label_mpp, sample))
    for rect in overview.unreadable:
        recorded[rect.slices] = True
    return recorded


def find_recorded(
    rgb: NDArray[np.uint8], present: NDArray[np.bool_], mpp: tuple[float, float]
) -> NDArray[np.bool_]:
    """Find the recorded parts in an overview.

    Scanners that skip glass, and files composed of parts, fill the gaps with one colour. No sensor records
    one colour over any distance.

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
    filling = without_small_objects(flat, max_size=smallest - 1)
    recorded: NDArray[np.bool_] = present & ~_with_ripples(rgb, filling)
    return recorded


def find_slits(
    rgb: NDArray[np.uint8],
    recorded: NDArray[np.bool_],
    mpp: tuple[float, float],
    sample: Callable[[int, int], NDArray[np.uint8]],
) -> NDArray[np.bool_]:
    """Find filled slits between scanned fields that are too narrow to be flat in an overview.

    Straight lines in nearly the colour of the large filled areas are candidates. The finest pixels decide:
    there, a filled slit has exactly that colour.

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
    alike = recorded & _near(rgb, filling, SLIT_RANGE)
    across, down = (max(2, round(SHORTEST_SLIT_UM / um)) for um in mpp)
    straight = np.logical_or(*(ndimage.grey_opening(alike, size) for size in ((1, across), (down, 1))))
    labels, _ = ndimage.label(straight, np.ones((3, 3)))
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        candidate = labels[box] == label
        rows, columns = np.nonzero(candidate)
        places = np.linspace(0, len(rows) - 1, SLIT_SAMPLES).astype(int)
        samples = (sample(box[1].start + columns[i], box[0].start + rows[i]) for i in places)
        if _mostly((pixels == filling).all(axis=2).mean() >= SAMPLE_SHARE for pixels in samples):
            slits[box] |= candidate
    return slits


def _mostly(answers: Iterator[np.bool_]) -> bool:
    """Return whether most of `SLIT_SAMPLES` answers are yes; as soon as that is certain."""
    said = [0, 0]
    for answer in answers:
        said[bool(answer)] += 1
        if max(said) > SLIT_SAMPLES // 2:
            break
    return said[True] > said[False]


def thick(recorded: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove parts that are thinner than `THINNEST`: long ripples, not scanned fields.

    Parameters
    ----------
    recorded : bool array
    """
    square = np.ones((THINNEST, THINNEST), dtype=bool)
    inner = ndimage.binary_erosion(recorded, square, border_value=1)  # beyond the edge counts as recorded
    kept: NDArray[np.bool_] = recorded & ndimage.binary_dilation(inner, square)
    return kept


def _near(rgb: NDArray[np.uint8], other: NDArray[np.uint8], reach: int) -> NDArray[np.bool_]:
    """Find the pixels that differ from another colour, or from other pixels, by no more in any channel."""
    near = np.ones(rgb.shape[:2], dtype=bool)
    for channel in range(3):
        one, two = rgb[..., channel].astype(np.int16), other[..., channel]
        near &= np.abs(one - two) <= reach
    return near


def _packed(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return colours, shape (..., 3), as one number each."""
    padding = [(0, 0)] * (rgb.ndim - 1) + [(0, 1)]
    return np.pad(rgb, padding).view(np.uint32)[..., 0]


def _flat(colours: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Find the pixels in any square of 3 x 3 equal ones; the image's edge is extended outwards."""
    colours = np.pad(colours, 1, mode="edge")
    beside = colours[:, 1:] == colours[:, :-1]
    below = colours[1:] == colours[:-1]
    pairs = beside[:-1] & beside[1:] & below[:, :-1]  # squares of 2 x 2
    squares = np.pad(pairs[:-1, :-1] & pairs[:-1, 1:] & pairs[1:, :-1] & pairs[1:, 1:], 1)
    rows = squares[:-2] | squares[1:-1] | squares[2:]
    flat: NDArray[np.bool_] = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return flat


def _with_ripples(rgb: NDArray[np.uint8], filling: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add to the filled area the pixels beside it that differ a little by compression."""
    if filling.all() or not filling.any():
        return filling
    rows, columns = ndimage.distance_transform_edt(~filling, return_distances=False, return_indices=True)
    alike = _near(rgb, rgb[rows, columns], RIPPLE)
    around = np.ones((3, 3), dtype=bool)
    grown = ndimage.binary_dilation(filling, around, iterations=COMPRESSION_REACH, mask=alike)
    # Single pixels inside that differ more would remain.
    return np.asarray(grown | ndimage.binary_closing(grown, around))
