"""Components are counted across tiles as on the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.written_results import Labels, in_memory
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import label

from wsi_seg.measures.measure_settings import MeasureSettings
from wsi_seg.measures.region_file import Region
from wsi_seg.measures.walk import count_regions


def components(labels: Labels, side: int) -> list[int]:
    pyramid = in_memory(labels)
    (tally,) = count_regions(pyramid, [Region.whole(pyramid.frames)], MeasureSettings(), side=side)
    return [int(count) for count in tally.components]


def brute(labels: Labels) -> list[int]:
    return [int(label(labels == value, connectivity=1).max()) for value in (0, 1, 2)]


@settings(max_examples=30)
@given(
    arrays(
        np.uint8,
        array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20),
        elements=st.sampled_from([1, 1, 2, 0, 255]),
    ),
    st.integers(1, 9),
)
def test_they_are_those_of_the_whole_image(labels: Labels, side: int) -> None:
    assert components(labels, side) == brute(labels)


@pytest.mark.parametrize("side", [3, 7, 16, 100])
def test_a_spiral_is_one_component_however_often_tiles_cut_it(side: int) -> None:
    y, x = np.mgrid[-40:40, -40:40] + 0.5
    turns = np.hypot(x, y) / 8 - np.arctan2(y, x) / (2 * np.pi)
    labels = np.where(turns % 1 < 0.5, np.uint8(2), np.uint8(1))
    assert components(labels, side) == brute(labels)
    assert brute(labels)[2] < 12


def test_a_corner_connects_nothing() -> None:
    assert components(np.array([[1, 2], [2, 1]], dtype=np.uint8), 1) == [0, 2, 2]


def test_what_is_kept_does_not_grow_with_the_components() -> None:
    labels = np.random.default_rng(0).integers(0, 3, (400, 32), dtype=np.uint8)
    pyramid = in_memory(labels)
    (tally,) = count_regions(pyramid, [Region.whole(pyramid.frames)], MeasureSettings(), side=16)
    assert sum(map(int, tally.components)) > 4000
    assert len(tally._components._kind) <= 32 + 16
