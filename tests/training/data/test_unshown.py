"""Tissue that no outline shows: found by its looks, with its share and a place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import write_tiff
from helpers.trainings import striped, tiny_recipe, write_outlined, write_tiles

from wsi_seg.training.data.open_data import DataRequest, open_data
from wsi_seg.training.data.unshown import features, find_unshown, look_of

SIZE = (768, 512)


def flat(color: tuple[int, int, int], noise: int = 0) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(np.array(color) + rng.integers(-noise, noise + 1, (64, 64, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("rgb", "look"),
    [
        (flat((245, 240, 245)), "mostly empty, smooth"),
        (flat((230, 150, 180)), "pink, smooth"),
        (flat((120, 80, 160)), "purple, smooth"),
        (flat((40, 40, 120)), "dark blue, smooth"),
        (flat((190, 150, 100)), "brown or red, smooth"),
        (flat((120, 80, 160), 60), "purple, coarse"),
    ],
)
def test_looks_are_put_into_words(rgb: np.ndarray, look: str) -> None:
    assert look_of(features(rgb)) == look


def test_what_no_outline_shows_is_found_with_its_share_and_a_place(tmp_path: Path) -> None:
    """The left half is striped and outlined as ever; the right half is brown all over."""
    slide, drawn = write_outlined(tmp_path, size=(384, 512))
    rgb, _ = striped(512, 768)
    rgb[:, 384:] = np.tile(flat((190, 150, 100), 10), (8, 6, 1))
    write_tiff(slide, rgb)
    data = open_data(DataRequest((slide, drawn), working_mpp=2), tiny_recipe(), None)
    found = find_unshown(data)
    assert found is not None
    assert found.share == pytest.approx(0.5, abs=0.08)
    (kind,) = found.kinds
    assert kind.look.startswith("brown or red")
    assert kind.share == pytest.approx(found.share)
    assert kind.slide == "slide"
    assert 384 <= kind.qupath_xy[0] <= 768
    assert 0 <= kind.qupath_xy[1] <= 512
    assert find_unshown(data) == found


def test_where_all_is_outlined_there_is_none(tmp_path: Path) -> None:
    slide, drawn = write_outlined(tmp_path, size=SIZE)
    found = find_unshown(open_data(DataRequest((slide, drawn), working_mpp=2), tiny_recipe(), None))
    assert found is not None
    assert (found.share, found.kinds) == (0, ())


def test_of_images_there_is_nothing_to_say(tmp_path: Path) -> None:
    folder = write_tiles(tmp_path / "tiles")
    assert find_unshown(open_data(DataRequest((folder,)), tiny_recipe(), None)) is None


def test_of_a_slide_without_tissue_there_is_nothing_to_say(tmp_path: Path) -> None:
    slide, drawn = write_outlined(tmp_path, size=SIZE)
    noise = np.random.default_rng(0).integers(-2, 3, (512, 768, 3))
    write_tiff(slide, (243 + noise).astype(np.uint8))
    assert find_unshown(open_data(DataRequest((slide, drawn), working_mpp=2), tiny_recipe(), None)) is None
