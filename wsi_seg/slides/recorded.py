"""Where a scanner recorded pixels, and where a file only fills in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage import morphology

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALLEST_FILLING_UM2 = 250_000.0
"""A flat area of less than this may be an overexposed gap in the tissue."""

COMPRESSION_REACH = 8
"""JPEG lets the edge of what was scanned ripple this far, in overview pixels, into what was filled in."""

RIPPLE = 6
"""By how many grey values."""


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
    window = (3, 3, 1)
    lowest, highest = ndimage.minimum_filter(rgb, window), ndimage.maximum_filter(rgb, window)
    flat = ndimage.binary_dilation((lowest == highest).all(axis=2), np.ones((3, 3), dtype=bool))
    smallest = max(2, round(SMALLEST_FILLING_UM2 / (mpp[0] * mpp[1])))
    filling = morphology.remove_small_objects(flat, max_size=smallest - 1)
    recorded: NDArray[np.bool_] = present & ~_with_ripples(rgb, filling)
    return recorded


def _with_ripples(rgb: NDArray[np.uint8], filling: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add to what was filled in the pixels beside it that compression made to differ a little."""
    if filling.all() or not filling.any():
        return filling
    rows, columns = ndimage.distance_transform_edt(~filling, return_distances=False, return_indices=True)
    alike = (np.abs(rgb.astype(np.int16) - rgb[rows, columns]) <= RIPPLE).all(axis=2)
    around = np.ones((3, 3), dtype=bool)
    return np.asarray(ndimage.binary_dilation(filling, around, iterations=COMPRESSION_REACH, mask=alike))
