"""The contract of readers, on every reader."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import damage_tile
from helpers.drawn_tiffs import HEIGHT, PLANES, RGB, WIDTH, write

from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.contract import Reader
from wsi_seg.slides.readers.decode import LevelReader
from wsi_seg.slides.readers.opening import open_reader
from wsi_seg.slides.readers.tiff_reader import TiffReader

Make = Callable[[Path], Path]
ALL = Rect(0, 0, HEIGHT, WIDTH)
COLUMNS = -(-WIDTH // 128)
TILE = 1 * COLUMNS + 1
"""The second tile of the second row."""

TILE_RECT = Rect(128, 128, 256, 256)


def interleaved(path: Path) -> Path:
    return write(path, RGB, photometric="rgb")


def in_pages(path: Path) -> Path:
    return write(path, PLANES, ome=True, metadata={"axes": "CYX"})


def in_planes(path: Path) -> Path:
    return write(path, PLANES, planarconfig="separate")


MAKES = [(interleaved, LevelReader), (in_pages, TiffReader), (in_planes, TiffReader)]


@pytest.fixture(params=MAKES, ids=lambda param: param[0].__name__)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, type]:
    make, kind = request.param
    return make(tmp_path / "slide.tiff"), kind


@pytest.fixture
def reader(made: tuple[Path, type]) -> Reader:
    opened = open_reader(made[0])
    assert type(opened) is made[1]
    yield opened
    opened.close()


def test_pixels_are_those_of_the_file(reader: Reader) -> None:
    rgba, unreadable = reader.read(0, ALL)
    np.testing.assert_array_equal(rgba[..., :3], RGB)
    assert (rgba[..., 3] == 255).all()
    assert unreadable == []


def test_a_pixel_has_one_value_whatever_rectangle_it_is_read_in(reader: Reader) -> None:
    for rect in (Rect(5, 7, 130, 131), Rect(127, 255, 129, 257), Rect(250, 400, 300, 420)):
        np.testing.assert_array_equal(reader.read(0, rect)[0][..., :3], RGB[rect.slices])


def test_beyond_the_slide_there_is_nothing(reader: Reader) -> None:
    rgba, _ = reader.read(0, Rect(290, 410, 320, 450))
    np.testing.assert_array_equal(rgba[:10, :10, :3], RGB[290:, 410:])
    assert not rgba[10:].any()
    assert not rgba[:, 10:].any()


def test_it_says_what_the_file_is(reader: Reader) -> None:
    (level,) = reader.levels
    assert (level.width, level.height, level.scale_x, level.tile_width) == (WIDTH, HEIGHT, 1.0, 128)
    assert reader.format == "generic-tiff"
    assert float(reader.properties["openslide.mpp-x"]) == pytest.approx(2.0)
    assert reader.icc_profile is None
    assert reader.how


def test_threads_read_side_by_side(reader: Reader) -> None:
    rects = [Rect(y, x, y + 90, x + 120) for y in (0, 77, 200) for x in (0, 130, 290)] * 4
    with ThreadPoolExecutor(4) as pool:
        for rect, (rgba, _) in zip(rects, pool.map(lambda rect: reader.read(0, rect), rects), strict=True):
            np.testing.assert_array_equal(rgba[..., :3], RGB[rect.slices])


def test_damage_costs_the_tile_it_is_in(made: tuple[Path, type]) -> None:
    damage_tile(made[0], TILE)
    reader = open_reader(made[0])
    for rect in (ALL, Rect(130, 130, 140, 140)):
        rgba, unreadable = reader.read(0, rect)
        assert unreadable == [TILE_RECT]
        inside = TILE_RECT.intersection(rect).relative_to(rect).slices
        assert not rgba[inside].any()
    rgba = reader.read(0, ALL)[0]
    rgba[TILE_RECT.slices] = np.dstack([RGB, np.full((HEIGHT, WIDTH), 255)])[TILE_RECT.slices]
    np.testing.assert_array_equal(rgba[..., :3], RGB)
    assert reader.read(0, Rect(0, 0, 100, 100))[1] == []
    reader.close()


def test_a_tile_that_the_file_leaves_out_is_transparent(made: tuple[Path, type]) -> None:
    with tifffile.TiffFile(made[0], mode="r+") as tiff:
        for name in ("TileOffsets", "TileByteCounts"):
            tag = tiff.pages[0].tags[name]
            tag.overwrite([0 if i == TILE else value for i, value in enumerate(tag.value)])
    reader = open_reader(made[0])
    rgba, unreadable = reader.read(0, ALL)
    assert unreadable == []
    assert not rgba[TILE_RECT.slices][..., 3].any()
    assert rgba[..., 3].astype(bool).sum() == ALL.area - TILE_RECT.area
    reader.close()


def test_levels_in_subifds_are_levels(tmp_path: Path) -> None:
    """Of a file that OpenSlide does not show as it is; of others OpenSlide reads level 0 alone."""
    path = tmp_path / "slide.ome.tiff"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(PLANES, tile=(128, 128), photometric="minisblack", subifds=1, metadata={"axes": "CYX"})
        tiff.write(PLANES[:, ::2, ::2], tile=(64, 64), photometric="minisblack", subfiletype=1, metadata=None)
    reader = open_reader(path)
    assert [(level.width, level.scale_x, level.tile_width) for level in reader.levels] == [
        (420, 1.0, 128),
        (210, 2.0, 64),
    ]
    np.testing.assert_array_equal(reader.read(1, Rect(0, 0, 150, 210))[0][..., :3], RGB[::2, ::2])
    reader.close()


def test_a_reader_that_is_let_go_closes_its_file(made: tuple[Path, type]) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert open_reader(made[0]).read(0, ALL)[0].any()
        gc.collect()
    assert not [str(one.message) for one in told if made[0].name in str(one.message)]
