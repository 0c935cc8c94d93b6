"""Noise that is a pure function of (seed, position), so that each block of an image can be made by itself.

Random numbers are hashes of lattice coordinates; smooth noise is a quadratic B-spline over such a lattice.
Nothing here depends on where a block begins: neighbouring blocks join exactly.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
"""Values: depths, amounts of dye. float32 on pixels and nodes."""

Coordinates = NDArray[np.floating[Any]]
"""Positions in micrometres. float64."""

_BSPLINE_SD = 0.317
"""Standard deviation of the quadratic B-spline of uniform numbers in [-1, 1], to divide by."""


def hash32(x: NDArray[np.int64], y: NDArray[np.int64], salt: int) -> NDArray[np.uint32]:
    """Hash two integer coordinates (broadcast together) and a salt to 32 bits each."""
    h: NDArray[np.uint32] = (x.astype(np.uint32) + np.uint32(salt & 0xFFFFFFFF)) * np.uint32(0x9E3779B1)
    h = h ^ (h >> np.uint32(16))
    h = (h + y.astype(np.uint32)) * np.uint32(0x85EBCA77)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x2C1B3C6D)
    h ^= h >> np.uint32(12)
    h *= np.uint32(0x297A2D39)
    h ^= h >> np.uint32(15)
    return h


def uniform(x: NDArray[np.int64], y: NDArray[np.int64], salt: int) -> Floats:
    """Give each lattice point a number in [0, 1)."""
    return (hash32(x, y, salt) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def salted(seed: int, purpose: str) -> int:
    """Derive 32 bits for one purpose from a seed, independent of every other purpose."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def noise(xs: Coordinates, ys: Coordinates, scale: float, salt: int) -> Floats:
    """Smooth noise of zero mean and unit variance over the grid that `xs` and `ys` span.

    Parameters
    ----------
    xs, ys : ndarray, shape (width,) and (height,)
        Positions in micrometres, ascending.
    scale : float
        Distance of the lattice points in micrometres; features are about twice as large.
    salt : int
        Which noise, see `salted`.

    Returns
    -------
    ndarray, shape (height, width), float32
    """
    across, x_first, x_count = _bspline(xs / scale)
    down, y_first, y_count = _bspline(ys / scale)
    columns = np.arange(x_first, x_first + x_count)
    rows = np.arange(y_first, y_first + y_count)
    lattice = uniform(columns[None, :], rows[:, None], salt) * 2 - 1
    return interpolate(lattice, down, across) * np.float32(1 / _BSPLINE_SD)


def noise_at(x: Coordinates, y: Coordinates, scale: float, salt: int) -> Coordinates:
    """Evaluate the same smooth noise as `noise` at single points, shape (n,), in micrometres."""
    u, v = x / scale, y / scale
    column, row = np.floor(u + 0.5).astype(np.int64), np.floor(v + 0.5).astype(np.int64)
    across, down = _bspline_weights(u - column), _bspline_weights(v - row)
    total = np.zeros(x.shape)
    for j in range(3):
        for i in range(3):
            node = uniform(column + (i - 1), row + (j - 1), salt).astype(np.float64) * 2 - 1
            total += down[j] * across[i] * node
    return total / _BSPLINE_SD


def interpolate(lattice: Floats, down: sp.csr_array, across: sp.csr_array) -> Floats:
    """Apply separable interpolation: (height, rows) and (width, columns) weights to (rows, columns)."""
    rows = np.ascontiguousarray((across @ np.ascontiguousarray(lattice.T)).T)
    return np.asarray(down @ rows, dtype=np.float32)


def linear_weights(t: Coordinates, first: int, count: int) -> sp.csr_array:
    """Weights, shape (len(t), count), of linear interpolation at `t` between nodes `first`, `first` + 1, ...

    `t` counts nodes from the origin, not from `first`: the weights then do not depend on the block.
    """
    left = np.floor(t)
    t = t - left
    return _rows(np.stack([1 - t, t], axis=1), left.astype(np.int64) - first, count)


def _bspline(t: Coordinates) -> tuple[sp.csr_array, int, int]:
    """Weights at `t` (in lattice units), the first lattice point they need, and how many."""
    nearest = np.floor(t + 0.5).astype(np.int64)
    first = int(nearest[0]) - 1
    count = int(nearest[-1]) + 2 - first
    return _rows(np.stack(_bspline_weights(t - nearest), axis=1), nearest - 1 - first, count), first, count


def _bspline_weights(t: Coordinates) -> tuple[Coordinates, Coordinates, Coordinates]:
    return 0.5 * (0.5 - t) ** 2, 0.75 - t**2, 0.5 * (0.5 + t) ** 2


def _rows(weights: Coordinates, first: NDArray[np.int64], count: int) -> sp.csr_array:
    taps = weights.shape[1]
    indices = first[:, None] + np.arange(taps)
    starts = np.arange(0, weights.size + 1, taps)
    return sp.csr_array(
        (weights.astype(np.float32).ravel(), indices.ravel(), starts), shape=(len(weights), count)
    )
