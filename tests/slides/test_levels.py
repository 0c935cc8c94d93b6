from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from conftest import damage_tile, tissue_rgb
from helpers.pyramids import mean, nearest, write_pyramid, ycbcr

from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.levels import LEVEL_0, LevelRead, remarks_on_levels
from wsi_seg.slides.slide import Slide


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of 0.5 um whose levels of 1/2 and 1/8 are in wrong colours."""
    rgb = tissue_rgb(1024, 1024)
    path = tmp_path_factory.mktemp("slide") / "faulty.tiff"
    return write_pyramid(path, rgb, ycbcr(rgb, 2), mean(rgb, 4), ycbcr(rgb, 8), mpp=0.5)


@pytest.mark.parametrize(("mpp", "level"), [(0.5, 0), (1.0, 0), (2.0, 2), (4.0, 2), (8.0, 2)])
def test_the_coarsest_level_in_order_is_read(faulty: Path, mpp: float, level: int) -> None:
    with Slide(faulty) as slide:
        frames = slide.frames(mpp)
        assert slide.level_for(frames) == level
        width, height = frames.label_size
        rgb = slide.read(Rect(0, 0, height, width), frames).rgb
    expected = mean(tissue_rgb(1024, 1024), 1024 // width).astype(int)
    assert np.abs(rgb - expected).max() <= 1


def test_what_was_read_is_told(faulty: Path) -> None:
    with Slide(faulty) as slide:
        read = LevelRead.of(slide, slide.frames(4.0))
        assert (read.level, read.downsample) == (2, (4.0, 4.0))
        assert read.mpp == pytest.approx((2.0, 2.0))
        assert str(read) == "level 2 (1/4, 2 um per px)"
        (remark,) = remarks_on_levels(slide)
    assert remark == (
        f"{faulty}: levels 1, 3 of the file show something else than level 0 and are not read: "
        "convert the slide again"
    )


def test_level_0_alone_is_read_where_that_is_asked_for(tmp_path: Path) -> None:
    rgb = tissue_rgb(1024, 1024)
    path = write_pyramid(tmp_path / "slide.tiff", rgb, nearest(rgb, 2), nearest(rgb, 4), mpp=0.5)
    alone = write_pyramid(tmp_path / "alone.tiff", rgb, mpp=0.5)
    whole = Rect(0, 0, 256, 256)
    with Slide(path) as slide, Slide(path, levels_read=LEVEL_0) as level_0, Slide(alone) as single:
        frames = slide.frames(2.0)
        assert (slide.level_for(frames), level_0.level_for(frames)) == (2, 0)
        expected = single.read(whole, frames).rgb
        assert (slide.read(whole, frames).rgb != expected).any()
        np.testing.assert_array_equal(level_0.read(whole, frames).rgb, expected)
        with pickle.loads(pickle.dumps(level_0)) as copy:
            np.testing.assert_array_equal(copy.read(whole, frames).rgb, expected)
        assert remarks_on_levels(level_0) == remarks_on_levels(single) == ()


def test_levels_that_could_not_be_compared_are_named(tmp_path: Path) -> None:
    rgb = tissue_rgb(512, 512)
    path = write_pyramid(tmp_path / "slide.tiff", rgb, mean(rgb, 2))
    for tile in range(16):
        damage_tile(path, tile)
    with Slide(path) as slide:
        (remark,) = remarks_on_levels(slide)
    assert f"{path}: level 1 could not be compared with a finer level" in remark
