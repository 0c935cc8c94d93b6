"""Pixels in another stain: an affine map of their optical densities, the same to the bit on every machine.

Whole numbers alone are added and multiplied, so the result depends on no processor's rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from wsi_seg.slides.stain import DENSITY_OF

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wsi_seg.slides.stain import Dyes, Stain

UNIT = 1 << 10
"""Of a density: a thousandth is finer than a step of the lightest pixel value."""

ONE = 1 << 14
"""Of the map's factors; with `UNIT`, sums of three products stay below 2**31."""

LARGEST = 6.0
"""Factors and shifts that a map may have: no two stains differ more."""

ROWS = 64
"""Of an image that are mapped at a time, to save memory."""

DENSITIES = np.round(DENSITY_OF * UNIT).astype(np.int32)
DENSEST = int(DENSITIES[0])
VALUES = np.round(256 * np.exp(-np.arange(DENSEST + 1) / UNIT) - 1).clip(0, 255).astype(np.uint8)
"""The pixel value of each density in units."""


@dataclass(frozen=True)
class Restaining:
    """An affine map of optical densities.

    Attributes
    ----------
    factors : three of (int, int, int)
        What the densities in R, G and B are multiplied by, a row for each density that comes out; in parts
        of `ONE`.
    shifts : (int, int, int)
        What is added, in parts of `UNIT`.
    """

    factors: tuple[tuple[int, int, int], ...]
    shifts: tuple[int, int, int]

    @classmethod
    def of(cls, matrix: NDArray[np.float64], shift: NDArray[np.float64]) -> Self | None:
        """Make the map that gives ``matrix @ density + shift``; None if it is no map between stains."""
        numbers = np.concatenate([matrix.ravel(), shift])
        if not np.isfinite(numbers).all() or abs(numbers).max() > LARGEST:
            return None
        factors = np.round(matrix * ONE).astype(int).tolist()
        first, second, third = np.round(shift * UNIT).astype(int).tolist()
        return cls(tuple((r, g, b) for r, g, b in factors), (first, second, third))

    @classmethod
    def of_rows(cls, rows: NDArray[np.int64]) -> Self:
        """Make the map of its `rows` again.

        Raises
        ------
        ValueError
            If they are none.
        """
        if rows.shape != (4, 3) or abs(rows).max() > LARGEST * ONE:
            raise ValueError("no map of three densities")
        *factors, shifts = (tuple(row) for row in rows.tolist())
        return cls(tuple(factors), shifts)

    @property
    def rows(self) -> tuple[tuple[int, int, int], ...]:
        """Factors and shifts, which are all of it."""
        return (*self.factors, self.shifts)

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Map the pixels of an image, shape (height, width, 3)."""
        out = np.empty_like(rgb)
        factors = np.array(self.factors, np.int32)
        for start in range(0, len(rgb), ROWS):
            density = DENSITIES[rgb[start : start + ROWS]]
            for channel, (row, shift) in enumerate(zip(factors, self.shifts, strict=True)):
                mapped = density[..., 0] * row[0] + density[..., 1] * row[1] + density[..., 2] * row[2]
                mapped += ONE // 2
                mapped >>= ONE.bit_length() - 1
                mapped += shift
                out[start : start + ROWS, :, channel] = VALUES[mapped.clip(0, DENSEST)]
        return out


def restainings(source: Stain, target: Stain) -> Iterator[Restaining]:
    """Yield maps that may turn one stain into another; which of them does best, only a network can tell.

    By the colour of the light alone; by the two dyes, with the light and without; by how the densities of
    stained pixels are spread, in each channel and together.
    """
    plain = np.eye(3)
    maps = [(plain, target.white - source.white)]
    if source.dyes is not None and target.dyes is not None:
        matrix = _between(source.dyes, target.dyes)
        maps += [(matrix, np.zeros(3)), (matrix, target.white - matrix @ source.white)]
    spreads = np.diag(target.covariance) / np.maximum(np.diag(source.covariance), 1e-9)
    for matrix in (np.diag(np.sqrt(spreads)), _transport(source.covariance, target.covariance)):
        maps.append((matrix, target.mean - matrix @ source.mean))
    for matrix, shift in maps:
        found = Restaining.of(matrix, shift)
        if found is not None:
            yield found


def _between(source: Dyes, target: Dyes) -> NDArray[np.float64]:
    """Return the matrix that turns each dye into the other stain's; what is neither dye stays."""
    strengths = np.append(target.amounts / source.amounts, 1.0)
    matrix: NDArray[np.float64] = _basis(target) @ np.diag(strengths) @ np.linalg.inv(_basis(source))
    return matrix


def _basis(dyes: Dyes) -> NDArray[np.float64]:
    across = np.cross(*dyes.directions)
    return np.column_stack([*dyes.directions, across / np.linalg.norm(across)])


def _transport(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric matrix that turns one covariance into another, and moves points least."""
    root = _power(source, 0.5)
    inverse = _power(source, -0.5)
    matrix: NDArray[np.float64] = inverse @ _power(root @ target @ root, 0.5) @ inverse
    return matrix


def _power(covariance: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    values, axes = np.linalg.eigh(covariance)
    matrix: NDArray[np.float64] = axes * np.maximum(values, 1e-6) ** exponent @ axes.T
    return matrix
