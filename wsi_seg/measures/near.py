"""Which pixels lie within a distance of a class's border: an exact Euclidean transform, cut at a radius.

The border of a class is where its pixels meet those of another class. Where they meet unprocessed pixels,
pixels that were not asked for, or the end of the slide, nothing is known of a border. So the distance is, for
a pixel of the class, from its centre to the nearest pixel of another class; and for any other pixel, from its
centre to the nearest pixel of the class; always to the nearest point of that pixel's square.

The square of such a distance is a sum of one part along the column and one along the row, so two passes find
all pixels within a radius: along each column how far the nearest source pixel is, and along each row how far
that one reaches. No distance is rounded, and nothing but the sources within the radius counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STRIP = 512
"""Columns that are looked at together."""

FAR = np.int32(1 << 28)
"""More rows than any radius holds."""

TIES = 1 + 1e-9
"""A distance of the very radius is within it, also after rounding."""

NEARER = -1
"""Pixels nearer than the first band, or further than the last, are in none."""


def within(
    source: NDArray[np.bool_], margin: int, radius_um: float, mpp: tuple[float, float]
) -> NDArray[np.bool_]:
    """Return which pixels have their centre within a radius of the square of any source pixel.

    Parameters
    ----------
    source : bool array, shape (height + 2 * margin, width + 2 * margin)
    margin : int
        Number of source pixels around the pixels that are asked for, at least as many as the radius holds.
    radius_um : float
    mpp : (float, float)
        Micrometres per pixel in x and y.

    Returns
    -------
    bool array, shape (height, width)
    """
    height, width = (side - 2 * margin for side in source.shape)
    if not source.any():
        return np.zeros((height, width), dtype=bool)
    reach = np.concatenate(
        [
            _reach(_gap(source[:, left : left + STRIP], margin), radius_um * TIES, mpp)
            for left in range(0, source.shape[1], STRIP)
        ],
        axis=1,
    )
    column = np.arange(source.shape[1], dtype=np.int32)
    right_end = np.where(reach >= 0, column + reach, np.int32(-1))
    left_end = np.where(reach >= 0, column - reach, np.int32(source.shape[1]))
    from_left = np.maximum.accumulate(right_end, axis=1) >= column
    from_right = np.minimum.accumulate(left_end[:, ::-1], axis=1)[:, ::-1] <= column
    covered: NDArray[np.bool_] = (from_left | from_right)[:, margin : margin + width]
    return covered


def _gap(source: NDArray[np.bool_], margin: int) -> NDArray[np.int32]:
    """Return how many rows away the nearest source pixel in the column is; about `FAR` if there is none.

    The margin of rows is left out of what is returned.
    """
    rows = np.arange(len(source), dtype=np.int32)[:, None]
    above = np.maximum.accumulate(np.where(source, rows, -FAR), axis=0)
    below = np.minimum.accumulate(np.where(source, rows, FAR)[::-1], axis=0)[::-1]
    gap: NDArray[np.int32] = np.minimum(rows - above, below - rows)[margin : len(source) - margin]
    return gap


def _reach(gap: NDArray[np.int32], radius_um: float, mpp: tuple[float, float]) -> NDArray[np.int32]:
    """Return how many columns away from a source pixel a row is still within the radius; -1 for none."""
    x, y = mpp
    across = np.maximum(gap - 0.5, 0) * y
    left = radius_um**2 - across**2
    reach = np.floor(np.sqrt(np.maximum(left, 0)) / x + 0.5)
    return np.where(left >= 0, reach, -1).astype(np.int32)


def bands_of(
    kinds: NDArray[np.uint16],
    margin: int,
    from_class: int,
    classes: int,
    ends_um: Sequence[float],
    mpp: tuple[float, float],
) -> NDArray[np.int8]:
    """Return the band of each pixel around a class's border.

    Parameters
    ----------
    kinds : uint16 array, shape (height + 2 * margin, width + 2 * margin)
    margin : int
        At least as many pixels as the last band is wide.
    from_class : int
        The kind of the class.
    classes : int
        The number of classes, which are the first kinds.
    ends_um : sequence of float
        Ends of the bands, rising. A pixel on the end of two bands belongs to the nearer one.
    mpp : (float, float)

    Returns
    -------
    int8 array, shape (height, width)
        The index of the band; -1 for pixels in none.
    """
    own = kinds == from_class
    others = (kinds < classes) & ~own
    core = (slice(margin, len(own) - margin), slice(margin, own.shape[1] - margin))
    inside = own[core]
    band = np.full(inside.shape, NEARER, dtype=np.int8)
    for index in reversed(range(len(ends_um))):
        near = within(own, margin, ends_um[index], mpp) & ~inside
        near |= within(others, margin, ends_um[index], mpp) & inside
        band[near] = index - 1
    return band
