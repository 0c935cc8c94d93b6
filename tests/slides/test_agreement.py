from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import damage_tile, tissue_rgb
from pyramids import BAD, GOOD, Picture, mean, write_pyramid, ycbcr

from wsi_seg.slides.agreement import LIMIT, Agreement
from wsi_seg.slides.slide import Slide

SLIDES = ["breast_A03.tiff", "no_mpp.svs", "test3-DAPI.ndpi", "Mirax2-Fluorescence-2.mrxs"]


def on_glass(height: int = 1010, width: int = 1403) -> Picture:
    """Make a slide of odd sides with tissue on a third of it: purple to the left, pink to the right."""
    rgb = np.full((height, width, 3), 243, np.uint8)
    rgb[100:700, 150:700] = tissue_rgb(600, 550)
    rgb[100:700, 425:700] = np.clip(rgb[100:700, 425:700].astype(int) + 40, 0, 255)
    return rgb


def agreements(path: Path, *levels: Picture) -> tuple[Agreement, ...]:
    with Slide(write_pyramid(path, *levels)) as slide:
        return slide.agreements


@pytest.mark.parametrize("factors", [(2, 4), (4, 16)])
@pytest.mark.parametrize("making", GOOD)
def test_however_a_good_level_is_made_it_agrees(
    tmp_path: Path, making: str, factors: tuple[int, ...]
) -> None:
    rgb = on_glass()
    found = agreements(tmp_path / "slide.tiff", rgb, *(GOOD[making](rgb, factor) for factor in factors))
    assert [one.differs for one in found] == [False, False]
    assert max(one.difference for one in found) < LIMIT * 0.6
    assert [one.against for one in found] == [0, 1]


@pytest.mark.parametrize("factors", [(2, 4), (4, 16)])
@pytest.mark.parametrize("fault", BAD)
def test_what_shows_something_else_differs(tmp_path: Path, fault: str, factors: tuple[int, ...]) -> None:
    rgb = on_glass()
    found = agreements(tmp_path / "slide.tiff", rgb, *(BAD[fault](rgb, factor) for factor in factors))
    assert [one.differs for one in found] == [True, True]
    assert [one.against for one in found] == [0, 0]


def test_another_picture_differs(tmp_path: Path) -> None:
    found = agreements(tmp_path / "slide.tiff", tissue_rgb(800, 1000), mean(tissue_rgb(800, 1000, seed=3), 2))
    assert found[0].differs


def test_good_levels_between_and_behind_bad_ones_are_read(tmp_path: Path) -> None:
    rgb = on_glass()
    path = write_pyramid(tmp_path / "slide.tiff", rgb, ycbcr(rgb, 2), mean(rgb, 4), ycbcr(rgb, 8))
    with Slide(path) as slide:
        assert slide.levels_read == (0, 2)
        assert [one.against for one in slide.agreements] == [0, 0, 2]


@pytest.mark.parametrize("value", [0, 255])
def test_blank_levels_are_found_where_little_of_the_slide_is_tissue(tmp_path: Path, value: int) -> None:
    rgb = np.full((1500, 2000, 3), 243, np.uint8)
    rgb[1100:1300, 1500:1800] = tissue_rgb(200, 300)
    found = agreements(
        tmp_path / "slide.tiff", rgb, np.full((750, 1000, 3), value, np.uint8), mean(rgb, 4), mean(rgb, 8)
    )
    assert [one.differs for one in found] == [True, False, False]


def test_a_missing_level_is_no_glass(tmp_path: Path) -> None:
    """OpenSlide gives tiles that a file leaves out as transparent."""
    rgb = tissue_rgb(512, 512)
    path = write_pyramid(tmp_path / "slide.tiff", rgb, mean(rgb, 2))
    with tifffile.TiffFile(path, mode="r+") as tiff:
        counts = tiff.pages[1].tags["TileByteCounts"]
        counts.overwrite([0] * counts.count)
    with Slide(path) as slide:
        assert slide.levels_read == (0,)


def test_damage_in_level_0_is_no_reason_to_refuse_or_to_doubt_the_others(tmp_path: Path) -> None:
    rgb = tissue_rgb(1024, 1024)
    path = write_pyramid(tmp_path / "slide.tiff", rgb, mean(rgb, 2), mean(rgb, 4))
    for tile in range(0, 64, 9):
        damage_tile(path, tile)
    with Slide(path) as slide:
        assert slide.levels_read == (0, 1, 2)
        assert slide.agreements[0].places > 0
    for tile in range(64):
        damage_tile(path, tile)
    with Slide(path) as slide:
        assert slide.levels_read == (0, 1, 2)
        assert slide.agreements[0].places == 0
        assert "could not be compared with level 0" in str(slide.agreements[0])
        assert slide.agreements[1].places > 0


@pytest.mark.parametrize("name", SLIDES)
def test_the_levels_of_real_slides_agree(shared_data: Path, name: str) -> None:
    with Slide(shared_data / "slides" / name, 0.5) as slide:
        assert slide.levels_read == tuple(range(len(slide.levels)))
        assert max(one.difference for one in slide.agreements) < 3
        assert slide.agreements[-1].places > 0


def test_whoever_opens_a_slide_comes_to_the_same(tmp_path: Path) -> None:
    rgb = on_glass()
    path = write_pyramid(tmp_path / "slide.tiff", rgb, ycbcr(rgb, 2), mean(rgb, 4))
    with Slide(path) as slide, pickle.loads(pickle.dumps(slide)) as fresh:
        assert slide.agreements == fresh.agreements
        with pickle.loads(pickle.dumps(slide)) as copy:
            assert copy.agreements == slide.agreements
            assert copy.levels_read == (0, 2)
