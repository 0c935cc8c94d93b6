"""Bands around a class's border, against distances that are measured one by one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from helpers.written_results import Labels
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from wsi_seg.measures.near import bands_of, within

SMALL = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
MPP = st.sampled_from([(1.0, 1.0), (0.467, 0.467), (0.5, 0.8), (2.0, 1.0)])


def distances(source: NDArray[np.bool_], mpp: tuple[float, float]) -> NDArray[np.float64]:
    """The distance from each pixel's centre to the nearest square of a source pixel, one by one."""
    height, width = source.shape
    found = np.full(source.shape, np.inf)
    squares = np.argwhere(source)
    for y in range(height):
        for x in range(width):
            for sy, sx in squares:
                across = max(abs(int(sx) - x) - 0.5, 0) * mpp[0]
                down = max(abs(int(sy) - y) - 0.5, 0) * mpp[1]
                found[y, x] = min(found[y, x], np.hypot(across, down))
    return found


@settings(max_examples=30)
@given(arrays(np.bool_, SMALL), st.floats(0, 9), MPP)
def test_the_pixels_within_a_radius_are_those_within_it(
    source: NDArray[np.bool_], radius: float, mpp: tuple[float, float]
) -> None:
    margin = int(np.ceil(radius / min(mpp))) + 1
    found = within(np.pad(source, margin), margin, radius, mpp)
    assert np.array_equal(found, distances(source, mpp) <= radius * (1 + 1e-9))


def test_a_distance_of_the_very_radius_is_within_it() -> None:
    source = np.zeros((21, 21), dtype=bool)
    source[10, 10] = True
    # From its corner 3 and 4 um away: 5 um, and the pixel beside is further.
    found = within(source, 0, 5.0, (1.0, 1.0))
    assert not found[10 + 4, 10 + 5]
    assert found[10 + 3, 10 + 4]
    assert within(source, 0, 0.5 * 5**0.5 * 5, (0.5, 0.5))[10 + 5, 10 + 10] == (
        np.hypot(9.5, 4.5) <= 5 * 5**0.5
    )


@settings(max_examples=30)
@given(
    arrays(np.uint8, SMALL, elements=st.sampled_from([0, 1, 2, 3, 4])),
    st.lists(st.floats(0, 8), min_size=2, max_size=4, unique=True).map(sorted),
    MPP,
)
def test_each_pixel_lies_in_the_band_of_its_distance(
    labels: Labels, ends: list[float], mpp: tuple[float, float]
) -> None:
    margin = int(np.ceil(ends[-1] / min(mpp))) + 1
    kinds = np.pad(labels.astype(np.uint16), margin, constant_values=5)
    found = bands_of(kinds, margin, 1, 3, ends, mpp)  # kinds 3, 4 and 5 are of no class
    own, others = labels == 1, np.isin(labels, (0, 2))
    distance = np.where(own, distances(others, mpp), distances(own, mpp))
    expected = np.full(labels.shape, -1)
    for index, (low, high) in enumerate(pairwise(ends)):
        expected[(distance > low * (1 + 1e-9)) & (distance <= high * (1 + 1e-9))] = index
    assert np.array_equal(found, expected)


def test_both_sides_of_a_straight_border_have_bands_of_the_same_width() -> None:
    labels = np.ones((5, 60), dtype=np.uint16)
    labels[:, 30:] = 2
    kinds = np.pad(labels, 21, mode="edge")
    found = bands_of(kinds, 21, 2, 3, (0.0, 10.0, 20.0), (1.0, 1.0))
    assert [int((found[0] == band).sum()) for band in (0, 1)] == [20, 20]
    assert np.array_equal(found[0], found[0, ::-1])


@pytest.mark.parametrize("width", [511, 512, 513, 1100])
def test_images_wider_than_a_strip_are_looked_at_as_one(width: int) -> None:
    source = np.zeros((3, width), dtype=bool)
    source[1, width // 2] = True
    assert int(within(source, 0, 100.0, (1.0, 1.0))[1].sum()) == 201
