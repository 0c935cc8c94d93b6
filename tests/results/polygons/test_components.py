from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from skimage.measure import label

from wsi_seg.results.polygons import compiled
from wsi_seg.results.polygons.components import find_by_numpy, find_components

IMAGES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 2))


@given(IMAGES)
def test_components_are_those_of_scikit_image(image: NDArray[np.uint8]) -> None:
    components = find_components(image)
    expected = label(image, background=-1, connectivity=1) - 1

    ids = components.paint(np.arange(len(components)))

    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_array_equal(components.area, np.bincount(expected.reshape(-1)))
    np.testing.assert_array_equal(components.paint(components.value), image)


@given(IMAGES)
def test_neighbours_count_every_shared_pixel_edge(image: NDArray[np.uint8]) -> None:
    components = find_components(image)
    ids = components.paint(np.arange(len(components)))
    expected: Counter[frozenset[int]] = Counter()
    for one, other in ((ids[1:], ids[:-1]), (ids[:, 1:], ids[:, :-1])):
        for a, b in zip(one.reshape(-1).tolist(), other.reshape(-1).tolist(), strict=True):
            if a != b:
                expected[frozenset((a, b))] += 1

    found: Counter[frozenset[int]] = Counter()
    for a, b, length in components.neighbours.tolist():
        found[frozenset((a, b))] += length

    assert found == expected


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 2)))
def test_kernels_and_numpy_find_the_same(image: NDArray[np.uint8]) -> None:
    found, by_numpy = find_components(image), find_by_numpy(image)

    assert compiled.kernels() is not None
    assert found.shape == by_numpy.shape
    for name in ("run_start", "run_component", "value", "area", "neighbours"):
        one, other = getattr(found, name), getattr(by_numpy, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@given(IMAGES)
def test_sides_are_the_components_of_the_first_and_last_pixels(image: NDArray[np.uint8]) -> None:
    components = find_components(image)
    ids = components.paint(np.arange(len(components), dtype=np.int32))

    for found, expected in zip(components.sides(), (ids[0], ids[-1], ids[:, 0], ids[:, -1]), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_values_may_be_larger_than_a_byte() -> None:
    image = np.array([[70_000, 70_000, 1], [4, 70_000, 1]], dtype=np.int32)

    components = find_components(image)

    assert components.value.tolist() == [70_000, 1, 4]
    assert components.area.tolist() == [3, 2, 1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.int64])
def test_runs_are_painted_with_values_of_any_kind(dtype: type) -> None:
    image = np.random.default_rng(1).integers(0, 3, (40, 30)).astype(np.uint8)
    components = find_components(image)
    values: NDArray[Any] = np.arange(len(components)).astype(dtype)[::-1]

    painted = components.paint(values)

    first_of_run = np.searchsorted(components.run_start, np.arange(image.size), "right") - 1
    expected = values[components.run_component[first_of_run]].reshape(image.shape)
    assert painted.dtype == dtype
    np.testing.assert_array_equal(painted, expected)
