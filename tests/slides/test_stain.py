"""Dyes are found again in what they were mixed to."""

from __future__ import annotations

import numpy as np
import pytest

from wsi_seg.slides.stain import Dyes, densities, stained

DIRECTIONS = np.array([[0.65, 0.70, 0.29], [0.07, 0.95, 0.30]])
UNIT = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)


def mixed(count: int, seed: int = 0) -> np.ndarray:
    """Pixels of each dye alone and of both, as densities."""
    rng = np.random.default_rng(seed)
    amounts = rng.uniform(0.4, 1.2, (count, 2))
    amounts[: count // 4, 0] = amounts[count // 4 : count // 2, 1] = 0
    found: np.ndarray = amounts @ UNIT
    return found


def test_densities_are_those_of_beer_and_lambert() -> None:
    assert densities(np.array([255, 127, 0], np.uint8)) == pytest.approx([0, np.log(2), np.log(256)])


def test_glass_is_not_stained() -> None:
    rgb = np.array([[[240, 241, 239], [150, 60, 140]]], np.uint8)
    assert stained(densities(rgb)) == pytest.approx(densities(rgb[0, 1:]))


def test_dyes_are_found_again() -> None:
    dyes = Dyes.of(mixed(8000))
    assert dyes is not None
    assert dyes.directions == pytest.approx(UNIT, abs=0.02)
    assert dyes.amounts == pytest.approx([1.19, 1.19], abs=0.03)


@pytest.mark.parametrize("density", [mixed(999), np.full((2000, 3), 0.5)], ids=["few", "one colour"])
def test_two_dyes_need_enough_pixels_of_two_colours(density: np.ndarray) -> None:
    assert Dyes.of(density) is None
