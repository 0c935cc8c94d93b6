from __future__ import annotations

import numpy as np
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
