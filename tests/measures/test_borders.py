"""Crofton's formula: against scikit-image, against known lengths, and that lengths add up."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import SCHEMA
from helpers.written_results import Labels, in_memory
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import perimeter_crofton

from wsi_seg.measures.measure_settings import MeasureSettings
from wsi_seg.measures.measured import RegionMeasures, measure
from wsi_seg.measures.region_file import Region
from wsi_seg.measures.walk import count_regions

LABELS = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14),
    elements=st.sampled_from([0, 1, 2, 254, 255]),
)


def measured(labels: Labels, side: int = 2048, mpp: tuple[float, float] = (2.0, 2.0)) -> RegionMeasures:
    pyramid = in_memory(labels, mpp)
    (tally,) = count_regions(pyramid, [Region.whole(pyramid.frames)], MeasureSettings(), side=side)
    return measure(tally, SCHEMA, pyramid.frames)


@settings(max_examples=30)
@given(LABELS, st.integers(1, 15))
def test_it_is_the_formula_of_scikit_image_whatever_the_tiles(labels: Labels, side: int) -> None:
    for found in measured(labels, side).classes:
        # Of square pixels of 2 um, with what ends at the end of the slide.
        alone = np.pad(labels == found.id, 1)
        assert found.perimeter_um + found.cut_um == pytest.approx(2 * perimeter_crofton(alone, 4))


@settings(max_examples=30)
@given(LABELS, st.integers(1, 15))
def test_the_borders_of_a_class_add_up_to_its_perimeter(labels: Labels, side: int) -> None:
    region = measured(labels, side, mpp=(0.5, 0.7))
    for found in region.classes:
        shared = [b.um for b in region.boundaries if found.name in (b.name, b.other)]
        assert sum(shared) == pytest.approx(found.perimeter_um)
    assert len(region.boundaries) == 3 + 2 * 3  # pairs of three classes, and each with two kinds of no class


def test_borders_with_pixels_of_no_class_are_named() -> None:
    labels = np.array([[1, 255], [1, 254]], dtype=np.uint8)
    borders = {(b.name, b.other): b.um for b in measured(labels).boundaries if b.um}
    assert borders.keys() == {("Stroma", "(unprocessed)"), ("Stroma", "(outside)")}
    assert len(set(borders.values())) == 1


HALF = 100


def half_plane(angle: float, mpp: tuple[float, float]) -> Labels:
    """A straight border through the middle of an image, at an angle to its rows."""
    y, x = np.mgrid[-HALF:HALF, -HALF:HALF] + 0.5
    right = x * mpp[0] * np.sin(angle) - y * mpp[1] * np.cos(angle) > 0.1
    return np.where(right, np.uint8(1), np.uint8(2))


@pytest.mark.parametrize("mpp", [(1.0, 1.0), (0.5, 0.5), (1.0, 1.5)])
def test_a_straight_border_is_nearly_right_and_right_in_the_mean(mpp: tuple[float, float]) -> None:
    angles = np.linspace(0, np.pi, 24, endpoint=False)
    ratios = []
    for angle in angles:
        (border,) = (b for b in measured(half_plane(angle, mpp), mpp=mpp).boundaries if b.um)
        across, down = abs(np.cos(angle)) / mpp[0], abs(np.sin(angle)) / mpp[1]
        ratios.append(border.um * max(across, down) / (2 * HALF))
    low, high = (0.94, 1.035) if mpp[0] == mpp[1] else (0.92, 1.07)
    assert low < min(ratios) < 0.955
    assert 1.02 < max(ratios) < high
    assert np.mean(ratios) == pytest.approx(1, abs=0.008)


def test_a_disc_has_its_circumference() -> None:
    y, x = np.mgrid[-120:120, -120:120] + 0.5
    labels = np.where(np.hypot(x, y) < 100, np.uint8(2), np.uint8(1))
    found = measured(labels, side=64).classes[2]
    assert found.perimeter_um == pytest.approx(2 * 2 * np.pi * 100, rel=0.005)
    assert found.cut_um == 0
