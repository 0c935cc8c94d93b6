from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_seg.slides.coarse import CoarseMask
from wsi_seg.slides.lattice import Rect


@given(
    seed=st.integers(0, 99),
    factor=st.sampled_from([1, 3, 8, 16, 37]),
    y=st.integers(0, 9),
    x=st.integers(0, 9),
    height=st.integers(1, 8),
    width=st.integers(1, 8),
)
def test_cells_hold_every_pixel_of_the_mask(
    seed: int, factor: int, y: int, x: int, height: int, width: int
) -> None:
    mask = CoarseMask(np.random.default_rng(seed).random((20, 24)) < 0.05, factor)
    cells = mask.cells(Rect(y, x, y + height, x + width), 16)
    pixels = mask.at(Rect(16 * y, 16 * x, 16 * (y + height), 16 * (x + width)))
    held = pixels.reshape(height, 16, width, 16).any(axis=(1, 3))
    assert cells.shape == held.shape
    assert (cells | ~held).all()


def test_cells_far_from_the_mask_hold_nothing() -> None:
    mask = np.zeros((40, 40), dtype=np.bool_)
    mask[10, 20] = True
    cells = CoarseMask(mask, 16).cells(Rect(0, 0, 40, 40), 16)
    expected = np.zeros_like(mask)
    expected[9:12, 19:22] = True
    np.testing.assert_array_equal(cells, expected)


@pytest.mark.parametrize(("factor", "per_pixel"), [(2, 1), (8, 1), (8, 2), (128, 1)])
def test_pixels_that_are_looked_up_are_those_that_are_interpolated(
    factor: int, per_pixel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(factor)
    mask = CoarseMask(rng.random((7, 9)) < 0.5, factor)
    height, width = 7 * factor // per_pixel, 9 * factor // per_pixel
    rects = [Rect(0, 0, height, width), Rect(height - 1, 0, height, 1), Rect(3, 5, 3 + height // 2, width)]

    found = [mask.at(rect, per_pixel) for rect in rects]

    monkeypatch.setattr("wsi_seg.slides.coarse.TABLES", ())
    for rect, pixels in zip(rects, found, strict=True):
        assert pixels.dtype == np.bool_
        np.testing.assert_array_equal(pixels, mask.at(rect, per_pixel))
