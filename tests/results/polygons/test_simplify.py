from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from wsi_seg.results.polygons import compiled
from wsi_seg.results.polygons import simplify as simplify_module
from wsi_seg.results.polygons.components import find_components
from wsi_seg.results.polygons.coverage import Moved, drop_by_geos, drop_corners
from wsi_seg.results.polygons.rings import Rings
from wsi_seg.results.polygons.simplify import STEPS, Simplified, simplify, steps_within
from wsi_seg.results.polygons.tracing import trace

IMAGES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=10), elements=st.integers(0, 2))


def traced(image: NDArray[np.uint8]) -> tuple[Rings, NDArray[np.uint8]]:
    components = find_components(np.asarray(image))
    extra = np.zeros((image.shape[0] + 1, image.shape[1] + 1), dtype=bool)
    return trace(components, extra, (0, 0)).rings, components.value


def simplified(
    image: NDArray[np.uint8], tolerance: float
) -> tuple[NDArray[np.object_], NDArray[np.uint8], Simplified]:
    rings, class_id = traced(image)
    return rings.polygons(), class_id, simplify(rings, class_id, tolerance)


def corners(polygons: NDArray[np.object_]) -> NDArray[np.int32]:
    counts: NDArray[np.int32] = shapely.get_num_coordinates(polygons)
    return counts


def points(polygons: NDArray[np.object_]) -> set[tuple[float, ...]]:
    return set(map(tuple, shapely.get_coordinates(polygons).tolist()))


def enlarged(image: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    return np.kron(image, np.ones((times, times), dtype=np.uint8))


def lump_and_specks(speck_class: int) -> NDArray[np.uint8]:
    """Paint a large disc of class 1 on the left, and small ones on the right."""
    y, x = np.mgrid[:200, :400]
    image: NDArray[np.uint8] = (np.hypot(x - 100, y - 100) < 80).astype(np.uint8)
    image[(np.hypot(x % 18 - 9, y % 18 - 9) < 5.3) & (x > 216) & (y < 198)] = speck_class
    return image


@given(IMAGES, st.floats(0.1, 50))
def test_simplified_polygons_stay_a_coverage(image: NDArray[np.uint8], tolerance: float) -> None:
    polygons, _, (simpler, _, sound, _) = simplified(enlarged(image, 3), tolerance)

    assert sound
    assert shapely.is_valid(simpler).all()
    assert shapely.coverage_is_valid(simpler)
    assert shapely.union_all(simpler).equals(shapely.union_all(polygons))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(2, 12), st.sampled_from([0, 0.03, 0.3]))
def test_more_tolerance_only_drops_corners_and_every_class_keeps_its_area(
    seed: int, block: int, speckled: float
) -> None:
    rng = np.random.default_rng(seed)
    image = enlarged(rng.integers(0, 3, (24 // block, 24 // block), dtype=np.uint8), block)
    image = np.where(rng.random(image.shape) < speckled, rng.integers(0, 4, image.shape), image).astype(
        np.uint8
    )
    rings, class_id = traced(image)
    before = rings.polygons()
    exact = np.bincount(class_id, shapely.area(before))

    for tolerance in (0.9, 1, 1.5, 2, 5, 24):
        after = simplify(rings, class_id, tolerance).polygons
        for fewer, more in zip(after, before, strict=True):
            assert points(fewer) <= points(more)
        assert shapely.coverage_is_valid(after)
        assert (np.abs(np.bincount(class_id, shapely.area(after)) - exact) <= 0.01 * exact).all()
        before = after


def test_steps_do_not_depend_on_what_is_asked() -> None:
    assert steps_within(0) == steps_within(0.9) == ()
    assert steps_within(1.5) == (1.0, 1.5)
    assert steps_within(5.9) == (1.0, 1.5, 2.0, 3.0, 4.0)
    assert steps_within(1e300) == STEPS
    assert STEPS[:8] == (1, 1.5, 2, 3, 4, 6, 8, 12)


def test_a_label_pixel_a_little_too_large_costs_no_step() -> None:
    assert steps_within(4 / 2.019) == steps_within(2)
    assert steps_within(4 / 2.03) == steps_within(1.5)


def test_a_border_dropped_in_one_polygon_is_dropped_in_its_neighbour() -> None:
    image = np.zeros((40, 40), dtype=np.uint8)
    image[np.indices(image.shape).sum(axis=0) > 40] = 1

    polygons, _, (simpler, tolerance, sound, _) = simplified(image, 1.0)

    assert sound
    assert tolerance.tolist() == [1.0, 1.0]
    assert corners(polygons).min() > 70
    assert corners(simpler).max() < 10
    assert shapely.coverage_is_valid(simpler)


def test_tolerance_zero_changes_nothing() -> None:
    polygons, _, (simpler, tolerance, sound, _) = simplified(np.array([[1, 2], [2, 1]], np.uint8), 0)

    assert sound
    assert (tolerance == 0).all()
    assert shapely.equals_exact(simpler, polygons).all()


def test_a_class_of_specks_alone_stays_fine() -> None:
    image = lump_and_specks(2)

    polygons, class_id, (simpler, tolerance, *_) = simplified(image, 3)

    lump, small = class_id == 1, class_id == 2
    assert corners(simpler[lump]).sum() < 0.15 * corners(polygons[lump]).sum()
    assert (tolerance[lump] == 3).all()
    assert (tolerance[small] < 3).mean() > 0.8


def test_specks_of_a_class_stay_fine_and_its_lumps_do_not() -> None:
    image = lump_and_specks(1)

    polygons, class_id, (simpler, tolerance, *_) = simplified(image, 3)

    lump = np.argmax(np.where(class_id == 1, shapely.area(polygons), 0))
    assert corners(simpler[lump]) < 0.15 * corners(polygons[lump])
    assert tolerance[lump] == 3
    assert (tolerance[(class_id == 1) & (np.arange(len(polygons)) != lump)] < 3).any()


def test_the_last_corner_between_two_sides_of_the_tile_stays() -> None:
    image = np.zeros((60, 60), dtype=np.uint8)
    image[:3, :3] = 1  # its corner is worth 4.5 pixels, of 909
    image[20:50, 20:50] = 1

    _, class_id, (simpler, *_) = simplified(image, 3)

    assert (3, 3) in points(simpler[class_id == 1])


def test_a_step_that_would_be_unsound_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    rings, class_id = traced(enlarged(np.eye(2, dtype=np.uint8), 9))
    bowtie = np.array([[0, 0], [18, 18], [18, 0], [0, 18], [0, 0]], dtype=np.int32)
    crossed = Rings(
        np.tile(bowtie, (len(rings), 1)), 5 * np.arange(len(rings) + 1), rings.polygon_offsets, (0, 0)
    )
    all_equal = np.full(len(rings), 81.0), np.full(len(rings), 4)
    monkeypatch.setattr(simplify_module, "areas", lambda rings, kept=None: all_equal)
    sound_until = 2.0

    def first_sound(before: Rings, active: NDArray[np.bool_], step: float) -> Moved:
        return drop_corners(before, active, step) if step < sound_until else Moved(crossed, np.ones(0, bool))

    monkeypatch.setattr(simplify_module, "drop_corners", first_sound)

    polygons, tolerance, sound, _ = simplify(rings, class_id, 4.0)

    assert not sound
    assert (tolerance == 1.5).all()
    assert shapely.equals_exact(polygons, simplify(rings, class_id, 1.5).polygons).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from(STEPS[:14]), st.booleans())
def test_kernels_and_geos_drop_the_same_corners(seed: int, block: int, step: float, all_active: bool) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :80]
    waves = ((y + 3 * np.sin(x / 5)) // (2 * block) + (x + 2 * np.sin(y / 3)) // (3 * block)).astype(np.uint8)
    image = np.where(rng.random(waves.shape) < 0.02 * rng.integers(4), rng.integers(0, 4), waves % 5)
    rings, _ = traced(image.astype(np.uint8))
    active = np.ones(len(rings), dtype=bool) if all_active else rng.random(len(rings)) < 0.7

    for tolerance in (step, 1.5 * step):  # what it makes of its own outlines, too
        by_kernels, by_geos = drop_corners(rings, active, tolerance), drop_by_geos(rings, active, tolerance)
        np.testing.assert_array_equal(by_kernels.rings.xy, by_geos.rings.xy)
        np.testing.assert_array_equal(by_kernels.rings.ring_offsets, by_geos.rings.ring_offsets)
        np.testing.assert_array_equal(by_kernels.kept, by_geos.kept)
        rings = by_kernels.rings
    assert compiled.kernels() is not None


def test_without_kernels_outlines_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    _, class_id, (with_kernels, tolerance, *_) = simplified(lump_and_specks(1), 3)
    monkeypatch.setattr(compiled, "kernels", lambda: None)

    _, ids, (without, reached, sound, _) = simplified(lump_and_specks(1), 3)

    assert sound
    np.testing.assert_array_equal(ids, class_id)
    np.testing.assert_array_equal(reached, tolerance)
    assert shapely.equals_exact(with_kernels, without).all()


def test_outlines_held_back_are_as_if_the_others_were_simplified_without_them() -> None:
    before, class_id = traced(lump_and_specks(1))
    exact, held = before.area(), 0

    for step in steps_within(3):
        taken = simplify_module._take(step, before, class_id, exact, each_sound=True)
        assert taken is not None
        after, active = taken
        expected = before.polygons()
        expected[active] = shapely.coverage_simplify(expected[active], step, simplify_boundary=False)
        assert shapely.equals_exact(shapely.normalize(after.polygons()), shapely.normalize(expected)).all()
        before, held = after, held + (~active).sum()
    assert held > 0
