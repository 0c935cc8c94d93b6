"""How many bits of samples of 16 bits count: as many as are stated, or all, if they are used.

No other number is inferred from pixels, because it would depend on which pixels were looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wsi_seg.errors import SlideError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

LOOKED_AT = 64
"""Number of tiles that are searched for the number of bits in use."""

FEWEST = 0.01
"""Share of the samples that must be so large for a bit to count as used: hot pixels and the rims of white
padding are fewer, the glass around stained tissue is far more."""


class Spread(NamedTuple):
    """The range of the samples.

    Attributes
    ----------
    largest : int
        The largest sample that was found.
    used_bits : int
        Bits that at least `FEWEST` of the samples need. Samples of the largest possible value do not count:
        they are saturated, or padding, and say nothing about the range.
    """

    largest: int
    used_bits: int


def spread_of(pieces: Iterable[NDArray[Any]], stored: int, bits: int) -> Spread:
    """Find the range of samples.

    Parameters
    ----------
    pieces : iterable of arrays of unsigned numbers
    stored : int
        Bits that a sample has.
    bits : int
        How many may count: the largest value of so many bits is left out.
    """
    largest, lengths = 0, np.zeros(stored + 1, dtype=np.int64)
    for piece in pieces:
        largest = max(largest, int(piece.max()))
        counted = piece[piece != (1 << bits) - 1]
        lengths += np.bincount(np.frexp(counted)[1], minlength=len(lengths))
    return Spread(largest, _used(lengths))


def counted_bits(stored: int, stated: int | None) -> int:
    """Return how many bits may count: as many as are stated, if that can be."""
    return stated if stated is not None and 8 <= stated < stored else stored


def refuse_unclear(path: Path, spread: Spread, stored: int, stated: int | None, remedy: str) -> None:
    """Refuse samples of which it is not clear how many bits count.

    Parameters
    ----------
    path : Path
        Named in errors.
    spread : Spread
        With `counted_bits`.
    stored : int
        Bits that a sample has.
    stated : int or None
        How many of them count, as the file says; None where it does not.
    remedy : str
        How to state it.

    Raises
    ------
    SlideError
        If that is so.
    """
    bits, (largest, used) = counted_bits(stored, stated), spread
    if used == bits and not largest >> bits and stated in (None, bits):
        return
    if stated is None:
        raise SlideError(
            f"{path}: holds {stored} bits per sample, uses {used} of them, and does not "
            f"state how many count: {remedy}, or convert it to 8 bits per channel"
        )
    if largest >> stated or stated != bits:
        raise SlideError(
            f"{path}: states {stated} significant bits in {stored}, but holds the value {largest}: "
            "convert it to 8 bits per channel"
        )
    raise SlideError(
        f"{path}: states {stated} significant bits in {stored}, but uses only {used}: "
        "state the number that counts, or convert it to 8 bits per channel"
    )


def _used(lengths: NDArray[np.int64]) -> int:
    """Return how many bits are used, from the number of samples of each length in bits."""
    at_least = np.cumsum(lengths[::-1])[::-1]
    return int(np.flatnonzero(at_least >= FEWEST * lengths.sum()).max()) if lengths.any() else 0
