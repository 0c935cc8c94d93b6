from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from rasterio.transform import Affine

from wsi_seg.annotations.raster import Painting, rasterise
from wsi_seg.slides.lattice import Rect


@st.composite
def regions(draw: st.DrawFn) -> tuple[shapely.Geometry, int]:
    """Valid multi-part regions with holes, some corners exactly on pixel centres."""
    point = st.tuples(st.integers(-8, 60), st.integers(-8, 60)).map(lambda p: (p[0] / 2, p[1] / 2))
    rings = draw(st.lists(st.lists(point, min_size=3, max_size=7), min_size=1, max_size=4))
    shift = draw(st.sampled_from([0.0, 0.1, 4096.0, 100_000.3]))
    return shapely.affinity.translate(
        shapely.union_all(shapely.make_valid([shapely.Polygon(r) for r in rings])), shift, shift
    ), int(shift)


@settings(deadline=None)
@given(regions(), st.data())
def test_a_pixel_does_not_depend_on_the_rectangle(
    drawn: tuple[shapely.Geometry, int], data: st.DataObject
) -> None:
    region, shift = drawn
    region = shapely.MultiPolygon([p for p in shapely.get_parts(region) if p.geom_type == "Polygon"])
    whole = Rect(shift - 5, shift - 5, shift + 35, shift + 35)
    y0, x0 = (data.draw(st.integers(shift - 5, shift + 34)) for _ in range(2))
    part = Rect(
        y0, x0, data.draw(st.integers(y0 + 1, shift + 35)), data.draw(st.integers(x0 + 1, shift + 35))
    )

    painted = rasterise(region, whole)

    np.testing.assert_array_equal(rasterise(region, part), painted[part.relative_to(whole).slices])


@settings(deadline=None)
@given(regions())
def test_pixels_with_their_centre_inside_are_painted(drawn: tuple[shapely.Geometry, int]) -> None:
    region, shift = drawn
    region = shapely.MultiPolygon([p for p in shapely.get_parts(region) if p.geom_type == "Polygon"])
    rect = Rect(shift - 5, shift - 5, shift + 35, shift + 35)
    x, y = np.meshgrid(np.arange(rect.x0, rect.x1) + 0.5, np.arange(rect.y0, rect.y1) + 0.5)
    on_outline = (
        shapely.distance(shapely.points(x, y), region.boundary) < 1e-6 if not region.is_empty else x < 0
    )

    painted = rasterise(region, rect)

    np.testing.assert_array_equal(painted[~on_outline], shapely.contains_xy(region, x, y)[~on_outline])


def test_painting_agrees_with_gdal() -> None:
    rng = np.random.default_rng(0)
    region = shapely.union_all(
        shapely.buffer(shapely.points(rng.uniform(0, 300, (40, 2))), rng.uniform(3, 30, 40))
    )
    rect = Rect(10, 20, 290, 270)

    expected = rasterize([region], (rect.height, rect.width), transform=Affine.translation(rect.x0, rect.y0))

    np.testing.assert_array_equal(rasterise(region, rect), expected.astype(bool))


def test_the_smaller_shape_wins_and_of_equal_ones_the_later() -> None:
    large, small = shapely.box(0, 0, 10, 10), shapely.box(4, 4, 8, 8)
    shifted = shapely.box(6, 4, 10, 8)
    pixels = np.full((10, 10), 255, np.uint8)

    Painting.of([small, shifted, large], [1, 2, 3]).onto(pixels, Rect(0, 0, 10, 10))

    expected = np.full((10, 10), 3, np.uint8)
    expected[4:8, 4:6] = 1
    expected[4:8, 6:10] = 2
    np.testing.assert_array_equal(pixels, expected)


def test_a_part_of_a_merged_shape_is_as_small_as_it_is_itself() -> None:
    """Lumina that were merged into one object are more than a gland together, and details of glands each."""
    gland, far = shapely.box(0, 0, 6, 6), shapely.box(0, 8, 10, 20)
    lumina = shapely.MultiPolygon([shapely.box(2, 2, 4, 4), far])
    pixels = np.full((10, 10), 255, np.uint8)

    painting = Painting.of([lumina, gland], [1, 2])
    painting.onto(pixels, Rect(0, 0, 10, 10))

    expected = np.full((10, 10), 255, np.uint8)
    expected[:6, :6] = 2
    expected[2:4, 2:4] = expected[8:] = 1
    np.testing.assert_array_equal(pixels, expected)
    assert painting.outlines.tolist() == [1, 2]


def test_what_no_shape_covers_is_left_as_it_is() -> None:
    pixels = np.arange(100, dtype=np.uint8).reshape(10, 10)

    Painting.of([shapely.box(50, 50, 60, 60)], [1]).onto(pixels, Rect(0, 0, 10, 10))
    Painting.of([], []).onto(pixels, Rect(0, 0, 10, 10))

    np.testing.assert_array_equal(pixels, np.arange(100).reshape(10, 10))


@st.composite
def shapes(draw: st.DrawFn) -> list[shapely.Polygon]:
    """Overlapping rectangles and triangles around a place far from the origin."""
    point = st.tuples(st.integers(-8, 60), st.integers(-8, 60)).map(lambda p: (p[0] / 2, p[1] / 2))
    rings = draw(st.lists(st.lists(point, min_size=3, max_size=4), min_size=1, max_size=6))
    hulls = [shapely.MultiPoint(ring).convex_hull for ring in rings]
    return [hull for hull in hulls if hull.geom_type == "Polygon"]


@settings(deadline=None)
@given(shapes(), st.sampled_from([1, 2, 5]), st.data())
def test_a_painted_pixel_does_not_depend_on_the_rectangle(
    outlines: list[shapely.Polygon], factor: int, data: st.DataObject
) -> None:
    painting = Painting.of(outlines, range(1, len(outlines) + 1))
    whole = Rect(-5, -5, 35, 35)
    y0, x0 = (data.draw(st.integers(-5, 34)) for _ in range(2))
    part = Rect(y0, x0, data.draw(st.integers(y0 + 1, 35)), data.draw(st.integers(x0 + 1, 35)))
    pixels, cut = (np.zeros((rect.height, rect.width), np.uint8) for rect in (whole, part))

    painting.onto(pixels, whole, factor)
    painting.onto(cut, part, factor)

    np.testing.assert_array_equal(cut, pixels[part.relative_to(whole).slices])


@settings(deadline=None)
@given(shapes(), st.sampled_from([1, 2, 5]))
def test_painting_is_painting_shape_by_shape(outlines: list[shapely.Polygon], factor: int) -> None:
    rect = Rect(-5, -5, 35, 35)
    pixels, expected = (np.zeros((rect.height, rect.width), np.uint8) for _ in range(2))

    Painting.of(outlines, range(1, len(outlines) + 1)).onto(pixels, rect, factor)

    for i in sorted(range(len(outlines)), key=lambda i: (-outlines[i].area, i)):
        expected[rasterise(shapely.transform(outlines[i], lambda xy: xy / factor), rect)] = i + 1
    np.testing.assert_array_equal(pixels, expected)
