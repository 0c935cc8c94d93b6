"""Windows of a slide: where they lie, and which count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import tissue_rgb, write_tiff
from helpers.drawn import Box, write_boxes

from wsi_seg.annotations.annotation_files import AnnotationFiles
from wsi_seg.settings import LabelSettings
from wsi_seg.suggestion.asked_slides import AskedSlide
from wsi_seg.suggestion.ground import Ground, Window

MPP = 2.0
WINDOW_UM = 200.0


def ground(slide: Path, *drawn: tuple[str, Box]) -> Ground:
    outlines = (write_boxes(slide.with_suffix(".geojson"), *drawn),) if drawn else ()
    return Ground.of(AskedSlide(slide, outlines), MPP, LabelSettings(), AnnotationFiles())


def at(windows: list[Window], x: int, y: int) -> Window:
    (found,) = [w for w in windows if (w.rect.x0, w.rect.y0) == (x, y)]
    return found


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of 640 x 420 px, whose windows of 100 px begin at (20, 10)."""
    return write_tiff(tmp_path_factory.mktemp("ground") / "slide.tiff", tissue_rgb(420, 640))


def test_windows_lie_on_a_grid_in_the_middle(slide: Path) -> None:
    windows = list(ground(slide).windows(WINDOW_UM))
    assert len(windows) == 6 * 4
    assert {(w.rect.width, w.rect.height) for w in windows} == {(100, 100)}
    assert min((w.rect.x0, w.rect.y0) for w in windows) == (20, 10)
    assert all(w.candidate and not w.outlined for w in windows)


def test_a_tenth_of_a_window_may_be_outlined(slide: Path) -> None:
    drawn = ("A", (120, 110, 129, 210)), ("B", (220, 110, 235, 210)), ("Region*", (320, 110, 420, 210))
    windows = list(ground(slide, *drawn).windows(WINDOW_UM))
    assert [at(windows, x, 110).candidate for x in (20, 120, 220, 320)] == [True, True, False, False]
    assert [at(windows, x, 110).outlined for x in (20, 120, 220, 320)] == [False, True, True, True]
    assert len(windows) == 6 * 4  # what is outlined is looked at as well


def test_glass_and_gaps_are_no_windows(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(238, 246, (420, 1040, 3)).astype(np.uint8)
    rgb[:, 520:] = tissue_rgb(420, 520)
    rgb[:, 780:] = 240  # as files fill in what was not scanned
    windows = list(ground(write_tiff(tmp_path / "gap.tiff", rgb)).windows(WINDOW_UM))
    assert {w.rect.x0 for w in windows if w.candidate} == {520, 620, 720}
    assert not [w for w in windows if w.candidate and w.rect.x0 > 780]


def test_a_window_larger_than_the_slide_does_not_fit(slide: Path) -> None:
    known = ground(slide)
    assert known.fits(840)
    assert not known.fits(850)
    assert list(known.windows(2000)) == []
