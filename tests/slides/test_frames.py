from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_seg.slides.frames import SNAP_TOLERANCE, Bounds, Frames, snap_downsample

sides = st.integers(1, 200_000)
mpps = st.floats(0.1, 4)


def frames(
    x: int = 9153, y: int = 102_664, mpp: tuple[float, float] = (0.25, 0.5), at: float = 2.0
) -> Frames:
    return Frames.at_mpp(Bounds(x=x, y=y, width=10_000, height=8_000), mpp, at)


def test_a_label_pixel_covers_the_slide_pixels_it_should() -> None:
    f = frames()
    assert f.downsample == (8.0, 4.0)
    assert f.label_size == (1250, 2000)
    assert f.label_mpp == (2.0, 2.0)
    np.testing.assert_array_equal(f.label_to_slide([[0, 0], [1, 1]]), [[9153, 102_664], [9161, 102_668]])
    np.testing.assert_array_equal(f.label_to_qupath([[0, 0], [1, 1]]), [[0, 0], [8, 4]])


@given(
    st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)), min_size=1), mpps, mpps, st.floats(0.2, 8)
)
def test_conversions_undo_each_other(
    points: list[tuple[float, float]], mx: float, my: float, at: float
) -> None:
    f = frames(mpp=(mx, my), at=at)
    np.testing.assert_allclose(f.slide_to_label(f.label_to_slide(points)), points, atol=1e-6)
    np.testing.assert_allclose(f.qupath_to_label(f.label_to_qupath(points)), points, atol=1e-6)


@given(sides, sides, mpps, st.floats(0.2, 8))
def test_the_label_frame_covers_the_bounds_to_within_half_a_pixel(
    w: int, h: int, mpp: float, at: float
) -> None:
    f = Frames.at_mpp(Bounds(x=0, y=0, width=w, height=h), (mpp, mpp), at)
    for side, label, d in zip((w, h), f.label_size, f.downsample, strict=True):
        assert label == 1 or abs(label * d - side) <= d / 2 + 1e-6
    assert abs(f.label_mpp[0] / at - 1) <= SNAP_TOLERANCE + 1e-9


@given(st.floats(0.05, 500))
def test_snapping_moves_little_and_lands_on_round_numbers(downsample: float) -> None:
    snapped = snap_downsample(downsample)
    assert abs(snapped / downsample - 1) <= SNAP_TOLERANCE
    assert snapped == downsample or abs(snapped * 20 - round(snapped * 20)) < 1e-9


@pytest.mark.parametrize(
    ("asked", "given"), [(4.008, 4.0), (6.2016, 6.25), (8.765, 8.75), (4.2827, 4.25), (0.997, 1.0)]
)
def test_real_downsamples(asked: float, given: float) -> None:
    assert snap_downsample(asked) == given


def test_a_coarser_frame_has_the_same_origin_and_covers_all() -> None:
    f = frames()
    coarse = f.coarsened(4)
    assert coarse.label_size == (313, 500)
    np.testing.assert_array_equal(coarse.label_to_slide([3, 5]), f.label_to_slide([12, 20]))
