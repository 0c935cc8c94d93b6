from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import damage_tile, tissue_rgb
from helpers.pyramids import BAD, GOOD, Making, Picture, mean, write_pyramid, ycbcr
from helpers.tiff_pages import page_of

from wsi_seg.slides.agreement import LIMIT, Agreement, Verdict
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.levels import remarks_on_levels
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


def in_a_corner(height: int, width: int) -> Picture:
    """Make a slide of glass with one piece of tissue that no place of a coarse grid lies in."""
    rgb = np.full((height, width, 3), 243, np.uint8)
    rgb[860:1060, 860:1060] = tissue_rgb(200, 200)
    return rgb


def blank(rgb: Picture, factor: int) -> Picture:
    return np.full((rgb.shape[0] // factor, rgb.shape[1] // factor, 3), 243, np.uint8)


@pytest.mark.parametrize("side", [2000, 2400])
@pytest.mark.parametrize(("good", "read"), [(0, (0,)), (1, (0, 1)), (2, (0, 1, 2))])
def test_blank_levels_are_found_where_the_coarsest_is_blank(
    tmp_path: Path, side: int, good: int, read: tuple[int, ...]
) -> None:
    """Tissue is then looked for in all small levels, and in level 0, small or not."""
    rgb = in_a_corner(side, side)
    levels = [(blank, mean)[level <= good](rgb, 2**level) for level in range(1, 4)]
    with Slide(write_pyramid(tmp_path / "slide.tiff", rgb, *levels)) as slide:
        assert slide.levels_read == read
        assert [one.against for one in slide.agreements] == [min(level, good) for level in range(3)]


def test_glass_alone_is_nothing_to_compare_by(tmp_path: Path) -> None:
    rgb = blank(np.empty((2400, 2400, 3), np.uint8), 1)
    with Slide(write_pyramid(tmp_path / "slide.tiff", rgb, blank(rgb, 2), blank(rgb, 4))) as slide:
        assert slide.levels_read == (0, 1, 2)
        assert [one.verdict for one in slide.agreements] == [Verdict.FLAT, Verdict.FLAT]
        assert str(slide.agreements[1]).startswith("nothing to compare: no contrast here or in level 0")
    with Slide(write_pyramid(tmp_path / "black.tiff", rgb, blank(rgb, 2) * 0)) as slide:
        assert slide.levels_read == (0,)


def damage_level(path: Path, level: int) -> None:
    """Overwrite all tiles of a level, so that none can be decoded."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[level]
        tiles = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    with path.open("r+b") as file:
        for offset, count in tiles:
            file.seek(offset)
            file.write(b"\x5a" * count)


@pytest.mark.parametrize(("making", "read"), [(mean, (0, 1, 3)), (ycbcr, (0, 1))])
def test_a_level_that_cannot_be_read_is_neither_read_nor_compared_with(
    tmp_path: Path, making: Making, read: tuple[int, ...]
) -> None:
    rgb = on_glass()
    path = write_pyramid(tmp_path / "slide.tiff", rgb, mean(rgb, 2), mean(rgb, 4), making(rgb, 8))
    damage_level(path, 2)
    with Slide(path, 0.5) as slide:
        assert slide.levels_read == read
        assert [one.against for one in slide.agreements] == [0, 1, 1]
        assert str(slide.agreements[1]) == "cannot be read: not read"
        assert f"{path}: level 2 of the file cannot be read" in remarks_on_levels(slide)[-1]
        frames = slide.frames(2.0)
        width, height = frames.label_size
        assert slide.read(Rect(0, 0, height, width), frames).unreadable == ()


def test_few_places_with_something_to_see_count_each(tmp_path: Path) -> None:
    """A piece of tissue that only one of the places in level 0 meets."""
    rgb = np.full((3000, 3000, 3), 243, np.uint8)
    rgb[660:700, 660:700] = tissue_rgb(40, 40)
    found = agreements(tmp_path / "slide.tiff", rgb, blank(rgb, 2))
    assert (found[0].places, found[0].differs) == (1, True)


def test_a_missing_level_is_no_glass(tmp_path: Path) -> None:
    """OpenSlide gives tiles that a file leaves out as transparent."""
    rgb = tissue_rgb(512, 512)
    path = write_pyramid(tmp_path / "slide.tiff", rgb, mean(rgb, 2))
    with tifffile.TiffFile(path, mode="r+") as tiff:
        counts = page_of(tiff, 1).tags["TileByteCounts"]
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
