"""Noise: a pure function of position, smooth, of zero mean and unit variance."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsi_seg.demo.noise import hash32, linear_weights, noise, noise_at, salted, uniform


@given(
    first=st.integers(-5000, 5000),
    start=st.integers(0, 40),
    length=st.integers(1, 40),
    scale=st.floats(0.7, 300),
)
def test_noise_does_not_depend_on_the_block(first: int, start: int, length: int, scale: float) -> None:
    xs, ys = np.arange(first, first + 90) * 0.7, np.arange(7, 40) * 0.7
    whole = noise(xs, ys, scale, 5)
    part = noise(xs[start : start + length], ys[3:9], scale, 5)
    assert np.array_equal(whole[3:9, start : start + length], part)


def test_noise_has_zero_mean_and_unit_variance() -> None:
    values = noise(np.arange(700) * 1.0, np.arange(700) * 1.0, 3.7, 1)
    assert abs(values.mean()) < 0.03
    assert abs(values.std() - 1) < 0.03


def test_noise_at_points_is_the_same_noise() -> None:
    xs, ys = np.linspace(-50, 80, 37), np.linspace(-20, 60, 23)
    grid = noise(xs, ys, 11, 9)
    x, y = np.meshgrid(xs, ys)
    assert np.allclose(noise_at(x.ravel(), y.ravel(), 11, 9).reshape(grid.shape), grid, atol=1e-5)


def test_uniform_numbers_fill_their_range_evenly() -> None:
    values = uniform(np.arange(-300, 300)[None, :], np.arange(-300, 300)[:, None], 3)
    counts = np.histogram(values, bins=20, range=(0, 1))[0]
    assert values.min() >= 0
    assert values.max() < 1
    assert np.abs(counts / values.size - 0.05).max() < 0.002


def test_neighbours_purposes_and_seeds_are_unrelated() -> None:
    column, row = np.arange(400)[None, :], np.arange(400)[:, None]
    values = uniform(column, row, salted(1, "a"))
    for other in (
        uniform(column + 1, row, salted(1, "a")),
        uniform(column, row + 1, salted(1, "a")),
        uniform(row, column, salted(1, "a")),
        uniform(column, row, salted(1, "b")),
        uniform(column, row, salted(2, "a")),
    ):
        assert abs(np.corrcoef(values.ravel(), other.ravel())[0, 1]) < 0.02


def test_hash_is_fixed() -> None:
    found = hash32(np.array([0, 1, -7]), np.array([0, 2, 12345]), 42)
    assert found.tolist() == hash32(np.array([0, 1, -7]), np.array([0, 2, 12345]), 42).tolist()
    assert len(set(found.tolist())) == 3


def test_linear_weights_reproduce_a_line() -> None:
    t = np.array([3.0, 3.25, 4.9, 6.999])
    weights = linear_weights(t, 2, 6)
    nodes = 10 * np.arange(2, 8, dtype=np.float32)
    assert np.allclose(weights @ nodes, 10 * t, atol=1e-4)
