"""Outlines as the page draws them: rings of numbers, with no more points than a browser can take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydantic import JsonValue

COARSEST = 1024.0
"""Largest tolerance, in slide pixels, that outlines are simplified by."""


def rings_of(shape: shapely.Geometry) -> list[JsonValue]:
    """Return the rings of a shape, each as x and y in turn, to hundredths."""
    rings = [ring for part in shapely.get_parts(shape) for ring in shapely.get_rings(part)]
    return [np.round(shapely.get_coordinates(ring), 2).ravel().tolist() for ring in rings]


def fewer_points(shapes: NDArray[np.object_], most: int) -> NDArray[np.object_]:
    """Return shapes with at most so many points together: simplified as little as that takes."""
    drawn, tolerance = shapes, 1.0
    while int(shapely.get_num_coordinates(drawn).sum()) > most and tolerance <= COARSEST:
        drawn = shapely.simplify(shapes, tolerance)
        tolerance *= 2
    return drawn
