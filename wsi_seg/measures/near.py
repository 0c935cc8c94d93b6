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
    return _covered(_gaps(source, margin), margin, radius_um, mpp)


def _covered(
    gaps: NDArray[np.int32], margin: int, radius_um: float, mpp: tuple[float, float]
) -> NDArray[np.bool_]:
    """Return which pixels are within a radius, from `_gaps`."""
    by_gap = _reach_by_gap(radius_um * TIES, mpp)
    reach = by_gap[np.minimum(gaps, len(by_gap) - 1)]
    column = np.arange(gaps.shape[1], dtype=np.int32)
    right_end = np.where(reach >= 0, column + reach, np.int32(-1))
    left_end = np.where(reach >= 0, column - reach, np.int32(gaps.shape[1]))
    covered: NDArray[np.bool_] = np.maximum.accumulate(right_end, axis=1) >= column
    covered |= np.minimum.accumulate(left_end[:, ::-1], axis=1)[:, ::-1] <= column
    return covered[:, margin : gaps.shape[1] - margin]


def _gaps(source: NDArray[np.bool_], margin: int) -> NDArray[np.int32]:
    """Return how many rows away the nearest source pixel in the column is; about `FAR` if there is none.

    The margin of rows is left out of what is returned, that of columns is not.
    """
    rows = np.arange(len(source), dtype=np.int32)[:, None]
    gaps = np.empty((len(source) - 2 * margin, source.shape[1]), dtype=np.int32)
    for left in range(0, source.shape[1], STRIP):
        strip = source[:, left : left + STRIP]
        above = np.maximum.accumulate(np.where(strip, rows, -FAR), axis=0)
        below = np.minimum.accumulate(np.where(strip, rows, FAR)[::-1], axis=0)[::-1]
        nearest = np.minimum(rows - above, below - rows)
        gaps[:, left : left + STRIP] = nearest[margin : len(source) - margin]
    return gaps


def _reach_by_gap(radius_um: float, mpp: tuple[float, float]) -> NDArray[np.int32]:
    """Return how many columns away from a pixel a row is still within the radius of a source pixel.

    The index is how many rows away that is; the last one, and all beyond it, reach nothing: -1.
    """
    x, y = mpp
    across = np.maximum(np.arange(int(radius_um / y + 0.5) + 2) - 0.5, 0) * y
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
    for source, asked in ((own, ~inside), (others, inside)):
        gaps = _gaps(source, margin)
        for index in reversed(range(len(ends_um))):
            band[_covered(gaps, margin, ends_um[index], mpp) & asked] = index - 1
    return band
