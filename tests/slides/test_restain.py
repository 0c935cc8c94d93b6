"""Maps between stains: exact, of whole numbers, and right where the stains are known."""

from __future__ import annotations

import numpy as np
import pytest

from wsi_seg.slides.restain import Restaining, restainings
from wsi_seg.slides.stain import Stain

ALL = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)


def made(matrix: np.ndarray, shift: tuple[float, float, float] = (0, 0, 0)) -> Restaining:
    found = Restaining.of(matrix, np.array(shift))
    assert found is not None
    return found


def test_the_same_stain_leaves_every_pixel_as_it_is() -> None:
    assert np.array_equal(made(np.eye(3))(ALL), ALL)


def test_twice_the_dye_squares_the_light() -> None:
    light = (np.arange(256) + 1) / 256
    found = made(2 * np.eye(3))(ALL)[0, :, 1].astype(int)
    assert abs(found - np.clip(np.round(256 * light**2 - 1), 0, 255)).max() <= 1


def test_channels_mix_and_shift() -> None:
    swapped = made(np.eye(3)[[1, 0, 2]], (0, 0, np.log(2)))
    out = swapped(np.array([[[200, 100, 127]]], np.uint8))
    assert out[0, 0, :2].tolist() == [100, 200]
    assert int(out[0, 0, 2]) == pytest.approx(63, abs=1)


def test_rows_are_all_of_a_map() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (130, 40, 3), dtype=np.uint8)
    one = made(np.array([[1.1, -0.2, 0.05], [0, 0.8, 0.1], [0.3, 0, 1]]), (0.01, -0.02, 0))
    assert np.array_equal(Restaining.of_rows(np.array(one.rows))(rgb), one(rgb))
    with pytest.raises(ValueError, match="no map"):
        Restaining.of_rows(np.zeros((3, 3), np.int64))


def test_what_lies_between_no_two_stains_is_no_map() -> None:
    assert Restaining.of(7 * np.eye(3), np.zeros(3)) is None
    assert Restaining.of(np.full((3, 3), np.nan), np.zeros(3)) is None


def test_a_stain_is_turned_into_another() -> None:
    """Pixels of two dyes, thicker and thinner ones; one of the maps brings them back to a few values."""
    rng = np.random.default_rng(1)
    amounts = rng.uniform(0.2, 1.2, (20_000, 2)) * rng.integers(0, 2, (20_000, 2))

    def picture(dyes: list[list[float]]) -> np.ndarray:
        light = np.exp(-amounts @ np.array(dyes))
        return np.asarray(np.round(light * 255), np.uint8).reshape(100, 200, 3)

    here, there = picture([[0.9, 0.7, 0.3], [0.1, 1.0, 0.5]]), picture([[0.6, 0.7, 0.4], [0.2, 0.7, 0.5]])
    source, target = Stain.of(here.reshape(-1, 3)), Stain.of(there.reshape(-1, 3))
    assert source is not None
    assert target is not None
    errors = [abs(found(here).astype(int) - there).mean() for found in restainings(source, target)]
    assert min(errors) < 1
    assert abs(here.astype(int) - there).mean() > 10
