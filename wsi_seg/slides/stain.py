"""The stain of tissue: optical densities, how they are spread, and the two dyes that they are mixed of.

Dyes add up in optical density (Beer and Lambert). The two are found as Macenko et al. do (ISBI 2009): as the
ends of the fan that the densities of stained pixels span.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DENSITY_OF = -np.log((np.arange(256) + 1) / 256)
"""Optical density (natural logarithm) of each pixel value; white has none."""

STAINED = 0.15
"""Mean density of R, G and B from which on a pixel counts as stained."""

FEWEST = 1000
"""Stained pixels, for two dyes to be found in them."""

ENDS = 1.0
"""Percent of the stained pixels that lie beyond each dye's direction, and above its density; of all pixels,
those that are paler than white."""


def densities(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the optical densities of pixels, shape (..., 3)."""
    return DENSITY_OF[rgb]


def stained(density: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the densities of the stained pixels, shape (n, 3), among those of shape (..., 3)."""
    flat = density.reshape(-1, 3)
    found: NDArray[np.float64] = flat[flat.mean(axis=1) > STAINED]
    return found


@dataclass(frozen=True)
class Dyes:
    """Two dyes: haematoxylin, or what absorbs most red of the two, comes first.

    Attributes
    ----------
    directions : float array, shape (2, 3)
        Densities in R, G and B of each, of length 1.
    amounts : float array, shape (2,)
        Of each, the density along its direction that one stained pixel in a hundred has more of.
    """

    directions: NDArray[np.float64]
    amounts: NDArray[np.float64]

    @classmethod
    def of(cls, density: NDArray[np.float64]) -> Self | None:
        """Find the dyes of stained pixels, shape (n, 3); None where there are too few, or of one colour."""
        if len(density) < FEWEST:
            return None
        spreads, axes = np.linalg.eigh(np.cov(density.T))
        if spreads[1] < 1e-6:
            return None
        plane = axes[:, [2, 1]]
        plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
        angles = np.arctan2(*(density @ plane).T[::-1])
        ends = np.percentile(angles, [ENDS, 100 - ENDS])
        directions = np.abs(np.stack([np.cos(ends), np.sin(ends)], axis=1) @ plane.T)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        directions = directions[np.argsort(-directions[:, 0])]
        if abs(np.cross(*directions)).max() < 1e-3:
            return None
        mixed = np.linalg.lstsq(directions.T, density.T, rcond=None)[0]
        amounts = np.percentile(mixed, 100 - ENDS, axis=1)
        return cls(directions, amounts) if (amounts > 0).all() else None


@dataclass(frozen=True)
class Stain:
    """What the stain of some tissue looks like, and the light of its scanner.

    Attributes
    ----------
    white : float array, shape (3,)
        Density in R, G and B that one pixel in a hundred has less of: of glass, or what is palest.
    mean : float array, shape (3,)
        Of the stained pixels.
    covariance : float array, shape (3, 3)
        Of the stained pixels.
    dyes : Dyes or None
        None where two cannot be distinguished.
    """

    white: NDArray[np.float64]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    dyes: Dyes | None

    @classmethod
    def of(cls, rgb: NDArray[np.uint8]) -> Self | None:
        """Measure the stain of pixels, shape (n, 3); None where too few are stained."""
        density = densities(rgb)
        found = stained(density)
        if len(found) < FEWEST:
            return None
        white = np.percentile(density, ENDS, axis=0)
        return cls(white, found.mean(axis=0), np.cov(found.T), Dyes.of(found))
