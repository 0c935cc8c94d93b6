"""A slide is the same slide, whatever container it comes in."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import tissue_rgb
from helpers.containers import (
    CONTAINERS,
    OMITTED,
    SPOILT,
    STATED,
    TILE,
    Container,
    copy_slide,
    name_of,
)
from helpers.pyramids import mean

from wsi_seg.errors import MppError, SlideError
from wsi_seg.slides.frames import Bounds
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide, SlidePixels

HEIGHT, WIDTH = 301, 421
"""Odd, as scanners' are: half of a side is rounded down, and OpenSlide's downsample is no whole number."""
RGB = tissue_rgb(HEIGHT, WIDTH)
LEVELS = [RGB, mean(RGB, 2)]


@pytest.fixture(scope="module", params=CONTAINERS, ids=name_of)
def container(request: pytest.FixtureRequest) -> Container:
    given: Container = request.param
    return given


@pytest.fixture(scope="module")
def slide(container: Container, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slide]:
    path = container.make(tmp_path_factory.mktemp("made") / "slide", LEVELS)
    with Slide(path, mpp=given(container)) as opened:
        yield opened


def given(container: Container) -> float | None:
    """Return the resolution that the user has to give."""
    return None if container.units else 2.0


def whole(slide: Slide, mpp: float) -> SlidePixels:
    frames = slide.frames(mpp)
    return slide.read(Rect(0, 0, frames.label_size[1], frames.label_size[0]), frames)


def test_its_label_pixels_are_those_of_the_level_at_their_resolution(
    container: Container, slide: Slide
) -> None:
    assert slide.size == (WIDTH, HEIGHT)
    assert slide.bounds == Bounds(x=0, y=0, width=WIDTH, height=HEIGHT)
    for index, rgb in enumerate(container.levels_of(LEVELS)):
        check_level(slide, index, rgb)


def check_level(slide: Slide, index: int, rgb: np.ndarray) -> None:
    """Read a slide of 2 um per pixel at the resolution of a level, which are the pixels that are stored."""
    mpp = 2.0 * 2**index
    assert slide.level_for(slide.frames(mpp)) == index
    pixels = whole(slide, mpp)
    np.testing.assert_array_equal(pixels.rgb, rgb)
    assert pixels.present.all()
    assert pixels.unreadable == ()


def test_it_reads_the_same_in_another_process_and_in_threads(slide: Slide) -> None:
    frames = slide.frames(3.0)
    rects = [Rect(y, x, y + 70, x + 90) for y in (0, 57, 130) for x in (0, 101, 190)]
    one_by_one = [slide.read(rect, frames).rgb for rect in rects]
    with pickle.loads(pickle.dumps(slide)) as copy, ThreadPoolExecutor(3) as pool:
        side_by_side = list(pool.map(lambda rect: copy.read(rect, frames).rgb, rects))
    np.testing.assert_array_equal(side_by_side, one_by_one)
    np.testing.assert_array_equal(
        one_by_one[4], whole(slide, 3.0).rgb[rects[4].slices], "whatever rectangle it is read in"
    )


@pytest.mark.parametrize("container", STATED, ids=name_of)
def test_its_resolution_may_be_stated_in_any_unit(container: Container, tmp_path: Path) -> None:
    for unit in container.units:
        sides = (0.5, 0.5) if container.squared else (0.5, 0.4)
        with Slide(container.make(tmp_path / unit / "slide", LEVELS[:1], sides, unit)) as slide:
            assert slide.mpp == pytest.approx(sides, rel=1e-4), unit


def test_a_resolution_that_is_not_stated_is_not_guessed(container: Container, tmp_path: Path) -> None:
    path = container.make(tmp_path / "slide", LEVELS, None)
    with Slide(path) as slide, pytest.raises(MppError, match=f"{path}: .*--mpp"):
        slide.frames(2.0)
    with Slide(path, mpp=2.0) as slide:
        np.testing.assert_array_equal(whole(slide, 2.0).rgb, RGB)


def test_it_is_known_by_its_content(container: Container, slide: Slide, tmp_path: Path) -> None:
    copy = copy_slide(slide.path, tmp_path / "copy")
    other = RGB.copy()
    other[200, 200] ^= 1
    changed = container.make(tmp_path / "changed", [other, LEVELS[1]])
    mpp = given(container)
    with Slide(copy, mpp=mpp) as same, Slide(changed, mpp=mpp) as another:
        assert same.fingerprint == slide.fingerprint
        assert same.files.same_as(slide.files)
        assert another.fingerprint != slide.fingerprint or not another.files.same_as(slide.files)
        assert another.files.content != slide.files.content


def test_a_change_while_it_is_open_is_noticed(slide: Slide, tmp_path: Path) -> None:
    copy = copy_slide(slide.path, tmp_path / "copy")
    with Slide(copy) as opened:
        opened.files.refuse_changed()
        pixels = max(
            (file for file in copy.parent.rglob("*") if file.is_file()), key=lambda f: f.stat().st_size
        )
        with pixels.open("ab") as file:
            file.write(b"\0")
        with pytest.raises(SlideError, match="changed while the slide was read"):
            opened.files.refuse_changed()


@pytest.mark.parametrize("container", SPOILT, ids=name_of)
def test_damage_is_reported_where_it_is(container: Container, tmp_path: Path) -> None:
    path = container.make(tmp_path / "slide", LEVELS[:1])
    assert container.spoil is not None
    container.spoil(path, 1, 1)
    with Slide(path) as slide:
        pixels = whole(slide, 4.0)
    bad = Rect(TILE // 2, TILE // 2, TILE, TILE)
    assert pixels.unreadable == (bad,)
    assert not pixels.present[bad.slices].any()
    outside = np.ones(pixels.present.shape, dtype=bool)
    outside[bad.slices] = False
    np.testing.assert_array_equal(pixels.rgb[outside], LEVELS[1][outside])


@pytest.mark.parametrize("container", OMITTED, ids=name_of)
def test_a_tile_that_is_left_out_is_no_damage(container: Container, tmp_path: Path) -> None:
    path = container.make(tmp_path / "slide", LEVELS[:1])
    assert container.omit is not None
    container.omit(path, 1, 1)
    with Slide(path) as slide:
        pixels = whole(slide, 2.0)
        left_out = Rect(TILE, TILE, 2 * TILE, 2 * TILE)
        assert pixels.unreadable == ()
        assert not pixels.present[left_out.slices].any()
        assert (pixels.rgb[left_out.slices] == slide.background_rgb).all()
        assert pixels.present.sum() == HEIGHT * WIDTH - left_out.area


def test_a_closed_slide_says_so(container: Container, tmp_path: Path) -> None:
    slide = Slide(container.make(tmp_path / "slide", LEVELS), mpp=given(container))
    frames = slide.frames(2.0)
    slide.close()
    slide.close()
    with pytest.raises(SlideError, match=f"^{slide.path}: is closed: open it again$"):
        slide.read(Rect(0, 0, 10, 10), frames)
    with Slide(slide.path, mpp=given(container)) as again:
        assert again.read(Rect(0, 0, 10, 10), frames).present.all()
