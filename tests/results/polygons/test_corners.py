from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from wsi_seg.results.polygons import compiled, compiled_outlines
from wsi_seg.results.polygons.components import find_components
from wsi_seg.results.polygons.corners import Corners, areas, build, hold
from wsi_seg.results.polygons.rings import Rings
from wsi_seg.results.polygons.tracing import trace

IMAGES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=10), elements=st.integers(0, 2))
FRAME = shapely.Polygon([(0, 0), (9, 0), (9, 9), (0, 9)], [[(2, 2), (2, 5), (5, 5), (5, 2)]])


def coverage(image: NDArray[np.uint8]) -> Rings:
    components = find_components(np.asarray(image))
    extra = np.zeros((image.shape[0] + 1, image.shape[1] + 1), dtype=bool)
    return trace(components, extra, (70_000, 90_000)).rings


def everything(corners: Corners) -> NDArray[np.bool_]:
    return np.ones(len(corners.place), dtype=bool)


@pytest.mark.parametrize("around", [[(2, 2), (2, 5), (5, 5), (5, 2)], [(2, 2), (5, 2), (5, 5), (2, 5)]])
def test_holes_are_subtracted_whichever_way_round_they_run(around: int) -> None:
    polygons = np.array([shapely.Polygon(FRAME.exterior, [around]), shapely.box(0, 0, 2, 2)])
    corners = Corners.of(Rings.of(polygons, (0, 0)))
    np.testing.assert_array_equal(corners.area(everything(corners)), [81 - 9, 4])
    np.testing.assert_array_equal(corners.count(everything(corners)), [8, 4])


@settings(deadline=None)
@given(IMAGES, st.integers(0, 2**32 - 1))
def test_areas_and_polygons_of_kept_corners_are_those_that_shapely_makes(
    image: NDArray[np.uint8], seed: int
) -> None:
    rings = coverage(np.kron(image, np.ones((3, 3), dtype=np.uint8)))
    corners = Corners.of(rings)
    rng = np.random.default_rng(seed)
    kept = rng.random(len(corners.place)) < 0.7
    for ring in range(corners.rings):  # three of each ring at least
        kept[rng.permutation(np.flatnonzero(corners.ring == ring))[:3]] = True
    first = np.array([rng.choice(corners.place[(corners.ring == r) & kept]) for r in range(corners.rings)])
    chosen = rng.random(len(rings)) < 0.5
    chosen[rng.integers(len(rings))] = True
    first_xy = np.array([corners.xy[corners.place == place][0] for place in first])

    expected = []
    for number in range(corners.polygons):
        closed = []
        for ring in np.unique(corners.ring[corners.owner == number]):
            mine = (corners.ring == ring) & kept
            points, places = corners.xy[mine] + rings.origin_xy, corners.place[mine]
            closed.append(np.roll(points, -int(np.flatnonzero(places == first[ring])[0]), axis=0))
        expected.append(shapely.Polygon(closed[0], closed[1:]))
    made = corners.build(kept, chosen, first_xy).polygons()
    assert [shapely.to_wkt(p) for p in made] == [shapely.to_wkt(expected[n]) for n in np.flatnonzero(chosen)]

    # A ring that crosses itself has no area that shapely and the sum over corners agree on.
    area, sound = corners.area(kept), shapely.is_valid(np.array(expected))
    np.testing.assert_array_equal(area[sound], shapely.area(np.array(expected))[sound])


def test_corners_of_a_polygon_are_its_neighbours_too() -> None:
    left, right, apart = shapely.box(0, 0, 2, 2), shapely.box(2, 0, 4, 2), shapely.box(8, 8, 9, 9)
    corners = Corners.of(Rings.of(np.array([left, right, apart]), (0, 0)))
    shared = corners.of_any(np.array([True, False, False]))
    assert [int(shared[corners.owner == n].sum()) for n in range(3)] == [4, 2, 0]


@settings(deadline=None)
@given(IMAGES, st.integers(0, 2**32 - 1))
def test_kernels_and_numpy_tell_the_same_of_corners(image: NDArray[np.uint8], seed: int) -> None:
    rings = coverage(np.kron(image, np.ones((3, 3), dtype=np.uint8)))
    rng = np.random.default_rng(seed)
    kept = rng.random(len(rings.xy)) < 0.7
    for begin in rings.ring_offsets[:-1]:
        kept[begin : begin + 3] = True
    chosen = rng.random(len(rings)) < 0.5
    chosen[0] = True
    kept[rings.ring_offsets[1:] - 1] = kept[rings.ring_offsets[:-1]]
    first_xy = rings.xy[rings.ring_offsets[:-1] + rng.integers(0, 3, len(rings.ring_offsets) - 1)]

    def told() -> list[NDArray[np.generic]]:
        built = build(rings, kept, chosen, first_xy)
        of_polygons = (*areas(rings), *areas(rings, kept), hold(rings, kept, chosen))
        return [*of_polygons, built.xy, built.ring_offsets, built.polygon_offsets]

    assert compiled.kernels() is not None
    by_kernels = told()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "kernels", lambda: None)
        by_numpy = told()
    for one, other in zip(by_kernels, by_numpy, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(by_kernels[0], rings.area())


def test_kernels_take_only_arrays_that_fit_together() -> None:
    library = compiled.kernels()
    assert library is not None
    rings = coverage(np.eye(3, dtype=np.uint8))
    all_points, all_polygons = np.ones(len(rings.xy), dtype=bool), np.ones(len(rings), dtype=bool)
    first_xy = rings.xy[rings.ring_offsets[:-1]]
    torn = Rings(rings.xy[:-1], rings.ring_offsets, rings.polygon_offsets, (0, 0))
    back = Rings(
        rings.xy, rings.ring_offsets[[0, 2, 1, *range(3, len(rings) + 1)]], rings.polygon_offsets, (0, 0)
    )

    for wrong in (torn, back):
        with pytest.raises(ValueError, match="offsets that are not those"):
            compiled_outlines.areas(library, wrong, None)
    with pytest.raises(ValueError, match="points kept of"):
        compiled_outlines.areas(library, rings, all_points[1:])
    with pytest.raises(ValueError, match="polygons chosen of"):
        compiled_outlines.hold(library, rings, all_points, all_polygons[1:])
    with pytest.raises(ValueError, match="first points of shape"):
        compiled_outlines.build(library, rings, all_points, all_polygons, first_xy[1:])
    with pytest.raises(ValueError, match="rings that are not those"):
        compiled_outlines.simplify(library, torn.xy, torn.ring_offsets, all_polygons, 1.0)


def test_points_that_a_bitmap_has_no_room_for_are_left_to_numpy() -> None:
    library = compiled.kernels()
    assert library is not None
    square = np.array([[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]], dtype=np.int32)
    offsets = np.array([0, 5]), np.array([0, 1])
    none, chosen = np.zeros(5, dtype=bool), np.ones(1, dtype=bool)
    for xy in (square - 1, square * 4000):
        rings = Rings(xy, *offsets, (0, 0))
        assert compiled_outlines.hold(library, rings, none, chosen) is None
        assert not any(map(len, compiled_outlines.simplify(library, xy, offsets[0], chosen, 1.0)))
