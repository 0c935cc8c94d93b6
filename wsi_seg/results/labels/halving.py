"""Images at half their size: classes by majority, numbers by mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def halve_labels(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve a label image: take the most frequent value of each 2 x 2 pixels, never a value in between.

    Among equally frequent values, the first in reading order wins. If the height or width is odd, the last
    row or column is repeated. Shape (..., h, w) gives (..., ceil(h / 2), ceil(w / 2)).
    """
    a, b, c, d = (np.ascontiguousarray(pixels) for pixels in _quartets(labels))
    alone = (a != b) & (a != c) & (a != d)  # few: a stays in all other squares
    halved = a.copy()
    np.copyto(halved, c, where=alone & (c == d))
    np.copyto(halved, b, where=alone & ((b == c) | (b == d)))
    return halved


def halve_mean(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve an image by the mean of each 2 x 2 pixels, halves rounded up; odd edges as in `halve_labels`."""
    even = _padded(values)
    sums = np.add(even[..., ::2, :], even[..., 1::2, :], dtype=np.uint16)
    pairs = np.ascontiguousarray(sums).view(np.uint32)  # two neighbours in one number: no strides
    total = (pairs >> 16) + (pairs & 0xFFFF)
    total += 2
    total >>= 2
    return total.astype(np.uint8)


def halve_known(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve an image as `halve_mean` does, by the mean of those pixels that are not 0; 0 where none is.

    For numbers where 0 means that nothing is known, such as confidences beside the tissue.
    """
    if values.all():
        return halve_mean(values)
    quartet = np.stack(_quartets(values))
    total = quartet.sum(axis=0, dtype=np.uint16)
    known = np.maximum(np.count_nonzero(quartet, axis=0), 1).astype(np.uint16)
    halved: NDArray[np.uint16] = (2 * total + known) // (2 * known)
    return halved.astype(np.uint8)


def _quartets(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Return the four pixels of every 2 x 2 block, in reading order, as four arrays."""
    even = _padded(image)
    return tuple(even[..., y::2, x::2] for y in (0, 1) for x in (0, 1))


def _padded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image of even height and width: the last row or column of an odd one is repeated."""
    height, width = image.shape[-2:]
    if height % 2 or width % 2:
        planes = [(0, 0)] * (image.ndim - 2)
        return np.pad(image, [*planes, (0, height % 2), (0, width % 2)], mode="edge")
    return image
