from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import ArrayLike, NDArray
from rasterio.features import shapes as gdal_polygonise

from wsi_seg.results.polygons import compiled
from wsi_seg.results.polygons.components import find_components
from wsi_seg.results.polygons.tracing import trace, trace_by_numpy, unite, without_points

IMAGES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=10), elements=st.integers(0, 2))


def traced(
    image: ArrayLike, origin_xy: tuple[int, int] = (0, 0)
) -> tuple[NDArray[np.int32], NDArray[np.object_]]:
    components = find_components(np.asarray(image))
    component = components.paint(np.arange(len(components), dtype=np.int32))
    extra = np.zeros((component.shape[0] + 1, component.shape[1] + 1), dtype=bool)
    return component, trace(components, extra, origin_xy).rings.polygons()


@given(IMAGES)
def test_outlines_are_those_of_gdal(image: NDArray[np.uint8]) -> None:
    component, polygons = traced(image)
    expected = {int(v): shapely.geometry.shape(g) for g, v in gdal_polygonise(component, connectivity=4)}

    assert len(polygons) == len(expected)
    for i, polygon in enumerate(polygons):
        assert shapely.equals(polygon, expected[i])


@given(IMAGES, st.integers(0, 2**32 - 1))
def test_kernels_and_numpy_find_the_same(image: NDArray[np.uint8], seed: int) -> None:
    components = find_components(np.asarray(image))
    extra = np.zeros((image.shape[0] + 1, image.shape[1] + 1), dtype=bool)
    rng = np.random.default_rng(seed)
    for side in (extra[0], extra[-1], extra[:, 0], extra[:, -1]):
        side[:] = rng.random(len(side)) < 0.5

    by_numpy, found = trace_by_numpy(components, extra, (3, 70_000)), trace(components, extra, (3, 70_000))

    assert compiled.kernels() is not None
    np.testing.assert_array_equal(found.top_corners, by_numpy.top_corners)
    np.testing.assert_array_equal(found.left_corners, by_numpy.left_corners)
    assert found.rings.origin_xy == by_numpy.rings.origin_xy == (3, 70_000)
    for name in ("xy", "ring_offsets", "polygon_offsets"):
        np.testing.assert_array_equal(getattr(found.rings, name), getattr(by_numpy.rings, name))


@pytest.mark.parametrize(
    ("starts", "of_runs"),
    [
        ([0, 2, 4], [0, 1, 0]),  # no run begins the second row
        ([0, 3, 2, 5], [0, 1, 0, 1]),  # not in order
        ([0, 3, 9], [0, 1, 0]),  # beyond the image
        ([0, 3], [0, 7]),  # a component that there is not
    ],
)
def test_kernels_refuse_runs_that_are_not_those_of_an_image(starts: list[int], of_runs: list[int]) -> None:
    library = compiled.kernels()
    assert library is not None
    runs = np.array(starts), np.array(of_runs, dtype=np.int32)

    with pytest.raises(ValueError, match="runs that are not those"):
        compiled.trace(library, *runs, 2, np.zeros((3, 4), dtype=bool))
    with pytest.raises(ValueError, match="runs of"):
        compiled.trace(library, runs[0], runs[1][1:], 2, np.zeros((3, 4), dtype=bool))


@given(IMAGES)
def test_polygons_form_a_coverage_of_exact_areas(image: NDArray[np.uint8]) -> None:
    component, polygons = traced(image)

    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)
    np.testing.assert_array_equal(shapely.area(polygons), np.bincount(component.reshape(-1)))


def test_corners_stand_where_outlines_turn_or_neighbours_change() -> None:
    _, polygons = traced([[1, 1, 1, 1], [2, 2, 3, 3]])

    corners = set(map(tuple, shapely.get_coordinates(polygons[0]).tolist()))

    assert corners == {(0, 0), (4, 0), (4, 1), (2, 1), (0, 1)}


def test_a_component_that_meets_itself_diagonally_keeps_its_hole() -> None:
    _, polygons = traced([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 0]])

    assert polygons[0].is_valid
    assert len(polygons[0].interiors) == 1
    assert polygons[0].interiors[0].intersection(polygons[0].exterior).equals(shapely.Point(2, 2))


def test_components_that_meet_diagonally_stay_apart() -> None:
    _, polygons = traced([[1, 0], [0, 1]])

    assert [p.area for p in polygons] == [1, 1, 1, 1]


def test_only_straight_corners_that_are_asked_for_are_dropped_and_only_of_their_polygon() -> None:
    square = shapely.Polygon(
        [(0, 0), (1, 0), (2, 0), (2, 2), (0, 2), (0, 1)], [[(1, 1), (1.5, 1.5), (1, 1.5)]]
    )
    beside = shapely.Polygon([(2, 0), (3, 0), (4, 0), (4, 2), (2, 2)])
    asked = [[(1, 0), (2, 0), (3, 0), (0, 1)], [], [(3, 0)]]

    one, same, other = without_points(np.array([square, square, beside]), asked)

    assert shapely.get_coordinates(one.exterior).tolist() == [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]
    assert shapely.equals_exact(one.interiors[0], square.interiors[0])
    assert same is square
    assert shapely.get_coordinates(other).tolist() == [[2, 0], [4, 0], [4, 2], [2, 2], [2, 0]]


@pytest.mark.parametrize("apart", [0, 1])
def test_united_polygons_tell_whether_they_were_looked_at(apart: int) -> None:
    left, right = shapely.box(0, 0, 2, 2), shapely.box(2, 0, 4, 2)
    crossed = shapely.box(1, 0, 4, 2)  # no coverage

    assert unite([left]) == (left, False)
    united, seen_valid = unite([left, crossed if apart else right])
    assert united.equals(shapely.box(0, 0, 4, 2))
    assert seen_valid == (not apart)


def test_coordinates_are_in_the_frame_of_the_origin() -> None:
    _, polygons = traced([[5]], origin_xy=(2048, 4096))

    assert polygons[0].bounds == (2048, 4096, 2049, 4097)
