"""The contract of readers, on every container that a slide comes in."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import tissue_rgb
from helpers.containers import CONTAINERS, OMITTED, PAGES, PYRAMIDS, SPOILT, TILE, Container, Picture, name_of
from helpers.pyramids import bicubic, mean
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.readers.contract import Reader
from wsi_seg.slides.readers.reader_choice import open_reader

HEIGHT, WIDTH = 300, 420
RGB = tissue_rgb(HEIGHT, WIDTH)
LEVELS = [RGB, mean(RGB, 2)]
ALL = Rect(0, 0, HEIGHT, WIDTH)
ROW, COLUMN = 1, 1
"""The tile that comes to harm."""

HARMED = Rect(TILE, TILE, 2 * TILE, 2 * TILE)
MARGIN = 40
"""How far rectangles reach beyond a level."""


@pytest.fixture(scope="module", params=CONTAINERS, ids=name_of)
def container(request: pytest.FixtureRequest) -> Container:
    given: Container = request.param
    return given


@pytest.fixture(scope="module")
def slide(container: Container, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return container.make(tmp_path_factory.mktemp("made") / "slide", LEVELS)


@pytest.fixture(scope="module")
def reader(slide: Path) -> Iterator[Reader]:
    opened = open_reader(slide)
    yield opened
    opened.close()


def expected(level: int, rect: Rect) -> np.ndarray:
    """Return a rectangle of a level as its reader should: nothing beyond the edge."""
    rgb = LEVELS[level]
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    padded = np.pad(rgba, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))
    return padded[Rect(*(side + MARGIN for side in (rect.y0, rect.x0, rect.y1, rect.x1))).slices]


def spans(length: int) -> st.SearchStrategy[list[int]]:
    within = st.integers(-MARGIN, length + MARGIN)
    return st.tuples(within, within).map(sorted).filter(lambda span: 0 < span[1] - span[0] < 200)


def rects(level: int) -> st.SearchStrategy[Rect]:
    return st.builds(lambda y, x: Rect(y[0], x[0], y[1], x[1]), *map(spans, LEVELS[level].shape[:2]))


def test_pixels_are_those_of_the_file(container: Container, reader: Reader) -> None:
    held = container.levels_of(LEVELS)
    assert [(level.height, level.width) for level in reader.levels] == [rgb.shape[:2] for rgb in held]
    for index, rgb in enumerate(held):
        rgba, unreadable = reader.read(index, Rect(0, 0, *rgb.shape[:2]))
        assert rgba.dtype == np.uint8
        assert unreadable == []
        np.testing.assert_array_equal(rgba, expected(index, Rect(0, 0, *rgb.shape[:2])))


def test_another_program_reads_the_same(container: Container, slide: Path) -> None:
    np.testing.assert_array_equal(container.decode(slide), RGB)


@settings(max_examples=25)
@given(data=st.data())
def test_a_pixel_has_one_value_whatever_rectangle_it_is_read_in(reader: Reader, data: st.DataObject) -> None:
    level = data.draw(st.integers(0, len(reader.levels) - 1))
    rect = data.draw(rects(level))
    rgba, unreadable = reader.read(level, rect)
    np.testing.assert_array_equal(rgba, expected(level, rect))
    assert unreadable == []


def test_far_beyond_the_slide_there_is_nothing(reader: Reader) -> None:
    for rect in (Rect(-300, -300, -200, -200), Rect(HEIGHT, 0, HEIGHT + 30, 30), Rect(0, 2000, 30, 2030)):
        rgba, unreadable = reader.read(0, rect)
        assert rgba.shape == (rect.height, rect.width, 4)
        assert not rgba.any()
        assert unreadable == []


def test_threads_read_side_by_side(reader: Reader) -> None:
    rects = [Rect(y, x, y + 90, x + 120) for y in (0, 77, 200) for x in (0, 130, 290)] * 4
    with ThreadPoolExecutor(4) as pool:
        for rect, (rgba, _) in zip(rects, pool.map(lambda rect: reader.read(0, rect), rects), strict=True):
            np.testing.assert_array_equal(rgba, expected(0, rect))


def test_it_says_what_the_file_is(container: Container, reader: Reader) -> None:
    scales = container.levels_of([(1.0, 1.0), (2.0, 2.0)])
    assert [(level.scale_x, level.scale_y) for level in reader.levels] == scales
    assert reader.format
    assert reader.how
    assert reader.icc_profile is None


@pytest.mark.parametrize("container", PYRAMIDS, ids=name_of)
@pytest.mark.parametrize("how", [mean, bicubic], ids=["rounded down", "rounded up"])
def test_levels_of_odd_sides_have_whole_scales(
    container: Container, tmp_path: Path, how: Callable[[Picture, int], Picture]
) -> None:
    rgb = tissue_rgb(HEIGHT + 1, WIDTH + 1)
    opened = open_reader(container.make(tmp_path / "slide", [rgb, how(rgb, 2)]))
    assert [(level.scale_x, level.scale_y) for level in opened.levels] == [(1.0, 1.0), (2.0, 2.0)]
    opened.close()


@pytest.mark.parametrize("container", SPOILT, ids=name_of)
def test_damage_costs_the_tile_it_is_in(container: Container, tmp_path: Path) -> None:
    path = container.make(tmp_path / "slide", LEVELS)
    assert container.spoil is not None
    container.spoil(path, ROW, COLUMN)
    opened = open_reader(path)
    for rect in (ALL, Rect(130, 130, 140, 140)):
        rgba, unreadable = opened.read(0, rect)
        assert unreadable == [HARMED]
        right = expected(0, rect)
        right[HARMED.intersection(rect).relative_to(rect).slices] = 0
        np.testing.assert_array_equal(rgba, right)
    assert opened.read(0, Rect(0, 0, 100, 100))[1] == []
    opened.close()


@pytest.mark.parametrize("container", OMITTED, ids=name_of)
def test_a_tile_that_the_file_leaves_out_is_transparent(container: Container, tmp_path: Path) -> None:
    path = container.make(tmp_path / "slide", LEVELS)
    assert container.omit is not None
    container.omit(path, ROW, COLUMN)
    opened = open_reader(path)
    rgba, unreadable = opened.read(0, ALL)
    assert unreadable == []
    right = expected(0, ALL)
    # Interleaved samples go with their tile; of planes only the alpha tells.
    right[HARMED.slices] = rgba[HARMED.slices]
    np.testing.assert_array_equal(rgba, right)
    assert not rgba[HARMED.slices][..., 3].any()
    opened.close()


def test_a_closed_file_is_let_go(container: Container, tmp_path: Path) -> None:
    path = container.make(tmp_path / "slide", LEVELS)
    opened = open_reader(path)
    assert opened.read(0, ALL)[0].any()
    opened.close()
    held = [file.path for file in psutil.Process().open_files()]
    assert not [file for file in held if file.startswith(str(path.parent))]


def test_a_reader_that_is_let_go_closes_its_file(slide: Path) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert open_reader(slide).read(0, ALL)[0].any()
        gc.collect()
    assert not [str(one.message) for one in told if slide.name in str(one.message)]


def test_levels_are_in_order_of_size(tmp_path: Path) -> None:
    """Whatever the order in the file."""
    rgb = [RGB, mean(RGB, 4), mean(RGB, 2)]
    opened = open_reader(PAGES.make(tmp_path / "slide", rgb))
    assert [level.scale_x for level in opened.levels] == [1.0, 2.0, 4.0]
    opened.close()
