"""An image of a QuPath project and its slide: whether they are one, and its resolution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import tissue_rgb, write_tiff
from helpers.drawn_tiffs import write_series
from PIL import Image

from wsi_seg.data.projects.entry import LONGEST, ProjectEntry
from wsi_seg.errors import MppError, SlideError


def entry(
    path: Path, mpp: tuple[float, float] | None = None, size: tuple[int, int] = (96, 64)
) -> ProjectEntry:
    return ProjectEntry(Path("project.qpproj"), 1, "Case 1", path, size=size, mpp=mpp)


@pytest.fixture(params=[None, 2.0], ids=["unstated", "stated"])
def slide(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_tiff(tmp_path / "a.tiff", tissue_rgb(64, 96), mpp=request.param)


def test_the_projects_resolution_counts_where_the_file_states_none(tmp_path: Path) -> None:
    silent = write_tiff(tmp_path / "a.tiff", tissue_rgb(64, 96), mpp=None)
    assert entry(silent, (0.25, 0.25)).mpp_for_slide() == 0.25
    assert entry(silent).mpp_for_slide() is None
    with pytest.raises(
        MppError, match=r"'Case 1': QuPath has it at 0.25 x 0.5 um per px: .* not be square: give"
    ):
        entry(silent, (0.25, 0.5)).mpp_for_slide()
    with pytest.raises(MppError, match=r"at 352\.8 um per px: that is 72 dpi, a printer's setting: give"):
        entry(silent, (25400 / 72, 25400 / 72)).mpp_for_slide()


def test_a_picture_has_the_resolution_that_was_set_in_qupath(tmp_path: Path) -> None:
    Image.fromarray(tissue_rgb(64, 96)).save(tmp_path / "a.png")
    assert entry(tmp_path / "a.png", (0.5, 0.5)).mpp_for_slide() == 0.5


def test_the_files_resolution_counts_if_the_project_agrees(tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "a.tiff", tissue_rgb(64, 96), mpp=2.0)
    assert entry(slide, (2.01, 1.99)).mpp_for_slide() is None
    with pytest.raises(
        MppError, match=r"'Case 1': QuPath has it at 0.5 um per px, but .*a\.tiff states 2: give"
    ):
        entry(slide, (0.5, 0.5)).mpp_for_slide()


def test_a_wrong_statement_of_the_file_is_not_right_because_qupath_took_it(tmp_path: Path) -> None:
    film = 25400 / 4000  # um per px, a film scanner's setting
    slide = write_tiff(tmp_path / "a.tiff", tissue_rgb(64, 96), mpp=film)
    assert entry(slide, (film, film)).mpp_for_slide() is None  # so that the slide's own error is raised


def test_the_users_resolution_counts_before_both(slide: Path) -> None:
    assert entry(slide, (0.5, 0.5)).mpp_for_slide(1.0) == 1.0


@pytest.mark.parametrize("given", [None, 1.0])
def test_another_image_in_the_file_is_refused(slide: Path, given: float | None) -> None:
    with pytest.raises(
        SlideError, match=r"has 96 x 65 px in QuPath, but .*a\.tiff has 96 x 64 px: it is another"
    ):
        entry(slide, size=(96, 65)).mpp_for_slide(given)


def test_an_image_is_the_series_that_the_project_states(tmp_path: Path) -> None:
    slide = write_series(tmp_path / "a.ome.tif", {f"{height}": tissue_rgb(height, 96) for height in (64, 32)})
    second = replace(entry(slide, (0.5, 0.5), (96, 32)), series=1)
    assert second.mpp_for_slide() is None
    with second.open() as opened:
        assert (opened.size, opened.mpp) == ((96, 32), (0.5, 0.5))
    with pytest.raises(SlideError, match=r"has 96 x 32 px in QuPath, but .* has 96 x 64 px"):
        replace(second, series=0).mpp_for_slide()
    with pytest.raises(SlideError, match=r"^project\.qpproj: 'Case 1': .* image"):
        replace(second, series=7).mpp_for_slide()


@pytest.mark.parametrize(
    ("name", "file", "result"),
    [
        ("a.svs", "a.svs", "a"),
        ("a:b.svs", "a:b.svs", "a_b"),
        ("Case 7.svs", "a.svs", "Case 7"),
        ("Case 7.SVS", "a.svs", "Case 7"),
        ("a.svs - Image0", "a.svs", "a.svs - Image0"),
        ("../../etc/x", "a.svs", "_.._etc_x"),
        ("C:\\x\x1b[31m\n", "a.svs", "C__x_[31m_"),
        ("..", "a.svs", "image 1"),
        ("x.", "a.svs", "x"),
        ("ä" * 200, "a.svs", "ä" * (LONGEST // 2)),
    ],
)
def test_a_result_is_named_after_the_image(name: str, file: str, result: str) -> None:
    named = ProjectEntry(Path("project.qpproj"), 1, name, Path(file))
    assert named.result_name == result
    assert "\n" not in str(named)
