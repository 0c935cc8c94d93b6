from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wsi_seg.slides.area import load_area, weigh
from wsi_seg.slides.resample import AxisGrid, _weigh, resample


def brute_force(source: np.ndarray, y: AxisGrid, x: AxisGrid, height: int, width: int) -> np.ndarray:
    """The area-weighted mean, pixel by pixel, from the definition."""
    out = np.zeros((height, width, 4))
    for row in range(height):
        for column in range(width):
            total = 0.0
            for i in range(source.shape[0]):
                for j in range(source.shape[1]):
                    h = min(y.offset + (row + 1) * y.scale, i + 1, y.upper) - max(y.offset + row * y.scale, i)
                    w = min(x.offset + (column + 1) * x.scale, j + 1, x.upper) - max(
                        x.offset + column * x.scale, j
                    )
                    if h > 0 and w > 0:
                        out[row, column] += h * w * source[i, j]
                        total += h * w
            out[row, column] /= total
    return out


@settings(max_examples=25, deadline=None)
@example(3.0, 0.0, 0)
@given(st.floats(0.6, 4.5), st.floats(0, 2), st.integers(0, 2**32 - 1))
def test_it_is_the_area_weighted_mean(scale: float, offset: float, seed: int) -> None:
    source = np.random.default_rng(seed).integers(0, 256, (14, 15, 4), dtype=np.uint8)
    y, x = AxisGrid(offset, scale, offset, 14.0), AxisGrid(offset, scale, offset, 15.0)
    height, width = int((14 - offset) / scale), int((15 - offset) / scale)
    if height < 1 or width < 1:
        return
    rgb, present = resample(source, (0, 0), (y, x), (0, height), (0, width))
    mean = brute_force(source, y, x, height, width)
    # By whole factors, sums of whole numbers are rounded: see the test below.
    spare = 1e-3 + (0.5 / scale**2 if scale.is_integer() and offset.is_integer() else 0)
    assert np.abs(rgb - mean[..., :3]).max() <= 0.5 + spare
    clear = np.abs(mean[..., 3] - 127.5) > spare
    np.testing.assert_array_equal(present[clear], mean[clear, 3] > 127.5)


@pytest.mark.parametrize("scale", [1.0, 2.0, 3.0])
def test_whole_factors_are_block_means(scale: float) -> None:
    source = np.random.default_rng(0).integers(0, 256, (12, 24, 4), dtype=np.uint8)
    n = int(scale)
    y, x = AxisGrid(0, scale, 0, 12), AxisGrid(0, scale, 0, 24)
    got, present = resample(source, (0, 0), (y, x), (0, 12 // n), (0, 24 // n))
    mean = source.reshape(12 // n, n, 24 // n, n, 4).mean((1, 3))
    # Whole-number rounding of a sum of n * n pixels: off the half by half a unit of the sum at most.
    assert np.abs(got - mean[..., :3]).max() <= 0.5 + 0.5 / n**2 + 1e-3
    clear = np.abs(mean[..., 3] - 127.5) > 0.5 / n**2 + 1e-3
    np.testing.assert_array_equal(present[clear], mean[clear, 3] > 127.5)


@settings(max_examples=50, deadline=None)
@given(st.data(), st.sampled_from([1.0, 1.0625, 2.0, 2.1875, 3.3]), st.floats(0, 3))
def test_a_pixel_does_not_depend_on_the_rectangle(data: st.DataObject, scale: float, offset: float) -> None:
    source = np.random.default_rng(1).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    grid = AxisGrid(offset, scale, offset, 64.0)
    size = int((64 - offset) / scale)
    whole = resample(source, (0, 0), (grid, grid), (0, size), (0, size))
    y0, x0 = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, size)), data.draw(st.integers(x0 + 1, size))
    (top, bottom), (left, right) = grid.source_span(y0, y1), grid.source_span(x0, x1)
    part = resample(source[top:bottom, left:right], (top, left), (grid, grid), (y0, y1), (x0, x1))
    for of_part, of_whole in zip(part, whole, strict=True):
        np.testing.assert_array_equal(of_part, of_whole[y0:y1, x0:x1])


def test_the_compiled_form_reads_nothing_beyond_the_source() -> None:
    source = np.zeros((4, 6, 4), dtype=np.uint8)
    inside, weight = np.array([[0, 3]]), np.ones((1, 2), np.float32)
    for outside in (np.array([[0, 6]]), np.array([[-1, 0]])):
        with pytest.raises(IndexError, match="source pixels"):
            weigh(load_area(), source, (inside, weight), (outside, weight))
    with pytest.raises(IndexError, match="0 source pixels"):
        weigh(load_area(), source[:, :0], (inside, weight), (inside, weight))


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(*[st.floats(0.3, 9.5)] * 2),
    st.tuples(*[st.floats(0, 3)] * 2),
    st.integers(0, 2**32 - 1),
)
def test_the_compiled_form_gives_the_same_bytes_as_numpy(
    scales: tuple[float, float], offsets: tuple[float, float], seed: int
) -> None:
    """Also at the edges, where pixels reach beyond the source, and of one pixel."""
    source = np.random.default_rng(seed).integers(0, 256, (40, 60, 4), dtype=np.uint8)
    y, x = (
        AxisGrid(offset, scale, offset, float(side))
        for offset, scale, side in zip(offsets, scales, source.shape[:2], strict=True)
    )
    rows, columns = ((0, max(1, min(int(np.ceil((g.upper - g.offset) / g.scale)), 50))) for g in (y, x))
    library = load_area()
    (index_y, weight_y), (index_x, weight_x) = y.taps(*rows), x.taps(*columns)
    rgb, present = weigh(library, source, (index_y, weight_y), (index_x, weight_x))
    by_numpy = _weigh(source, (0, 0), (y, x), rows, columns)
    np.testing.assert_array_equal(rgb, by_numpy[..., :3])
    np.testing.assert_array_equal(present, by_numpy[..., 3] >= 128)
