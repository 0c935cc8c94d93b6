"""Pixels near the edges of shapes, against exact distances."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from wsi_seg.annotations import near_edges as module
from wsi_seg.annotations.near_edges import near_edges
from wsi_seg.annotations.raster import Painting
from wsi_seg.slides.lattice import Rect

RECT = Rect(-20, -10, 60, 90)
HALF_DIAGONAL = 0.5**0.5
LATER = 0.5 + HALF_DIAGONAL
"""An edge in a pixel's corner is found in the next pixel, half a step on."""


def distances(shapes: list[shapely.Geometry]) -> np.ndarray:
    """Return the exact distance of each pixel's centre in `RECT` to the nearest edge."""
    y, x = np.mgrid[RECT.y0 : RECT.y1, RECT.x0 : RECT.x1] + 0.5
    edges = shapely.union_all([shape.boundary for shape in shapes])
    return np.asarray(shapely.distance(shapely.points(x, y), edges))


numbers = st.integers(-640, 1760).map(lambda number: number / 16)
triangles = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=3).map(shapely.Polygon)


@given(
    st.lists(triangles.filter(lambda t: t.is_valid and t.area > 1), min_size=1, max_size=4),
    st.floats(0.1, 30),
)
def test_pixels_are_near_up_to_the_distance(shapes: list[shapely.Geometry], distance: float) -> None:
    exact = distances(shapes)
    near = near_edges(Painting.of(shapes, [1] * len(shapes)), RECT, distance)
    assert near[exact < distance - LATER].all()
    assert not near[exact > distance + HALF_DIAGONAL].any()


def test_it_does_not_matter_in_which_rectangle_a_pixel_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = [shapely.Point(30, 20).buffer(25), shapely.box(-5.5, 3, 12, 70)]
    painting = Painting.of(shapes, [1, 2])
    whole = near_edges(painting, RECT, 6.3)
    assert 0.1 < whole.mean() < 0.9
    monkeypatch.setattr(module, "BATCH_PIXELS", 500)
    np.testing.assert_array_equal(near_edges(painting, RECT, 6.3), whole)
    part = Rect(7, 11, 33, 58)
    np.testing.assert_array_equal(near_edges(painting, part, 6.3), whole[part.relative_to(RECT).slices])


def test_without_shapes_nothing_is_near() -> None:
    assert not near_edges(Painting.of([], []), RECT, 5).any()
