"""What is said of how a slide is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import tissue_rgb
from helpers.pyramids import mean, write_pyramid, ycbcr

from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.progress import Progress
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.slides.remarks import remarks_on_reading
from wsi_seg.slides.slide import Slide


@pytest.fixture
def stating(tmp_path: Path) -> Path:
    """A slide that states 0.5 um per px."""
    return write_pyramid(tmp_path / "slide.tiff", tissue_rgb(512, 512), mpp=0.5)


@pytest.mark.parametrize("given", [None, 0.5, 0.503])
def test_a_resolution_as_stated_is_no_matter(stating: Path, given: float | None) -> None:
    with Slide(stating, mpp=given) as slide:
        assert remarks_on_reading(slide) == ()


def test_where_the_file_states_what_no_slide_has_nothing_is_said_against_it(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "slide.tiff", tissue_rgb(512, 512), mpp=25_400 / 300)
    with Slide(path, mpp=0.5) as slide:
        assert remarks_on_reading(slide) == ()


def test_a_resolution_against_the_files_is_said_with_what_it_does_to_areas(stating: Path) -> None:
    with Slide(stating, mpp=2.0) as slide:
        assert remarks_on_reading(slide) == (
            f"{stating}: states 0.5 um per px, but 2 was given and counts, so areas are 16 times as large: "
            "to work at another resolution, give --working-mpp",
        )


def test_it_comes_before_what_is_said_of_levels(tmp_path: Path) -> None:
    rgb = tissue_rgb(1024, 1024)
    path = write_pyramid(tmp_path / "slide.tiff", rgb, mean(rgb, 2), ycbcr(rgb, 4), mpp=0.5)
    with Slide(path, mpp=1.0) as slide:
        ours, levels = remarks_on_reading(slide)
    assert "areas are 4 times" in ours
    assert "level 2 of the file" in levels


def test_predict_says_it_first_and_keeps_it(stating: Path, model_path: Path, tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(Progress):
        def say(self, line: str) -> None:
            said.append(line)

    labels = LabelSettings(mpp=1.0, patch=192, overlap=64, region_cores=1)
    settings = PredictSettings(model=str(model_path), labels=labels, run=RunSettings(workers=2))
    summary = predict_slide(stating, tmp_path / "result", settings, Listening())

    (line,) = summary.level_remarks
    assert "states 0.5 um per px, but 1 was given" in line
    assert said.index(line) < min(i for i, other in enumerate(said) if "network" in other)
