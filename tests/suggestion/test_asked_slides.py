"""Which slides are asked for, and whose outlines are whose."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import tissue_rgb, write_tiff
from helpers.qupath_projects import write_project_of

from wsi_seg.errors import SlideError, UsageError
from wsi_seg.settings import LabelSettings
from wsi_seg.suggestion.asked_slides import AskedSlide, each_once, read_asked

LABELS = LabelSettings()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    names = ("a.svs", "b.svs", "a.geojson", "b.geojson", "more.geojson")
    for name in names:
        (tmp_path / name).write_bytes(b"")
    return {name: tmp_path / name for name in names}


def test_outlines_belong_to_the_slides_in_their_order(files: dict[str, Path]) -> None:
    a, b, first, second, more = files.values()
    assert read_asked([a, b], [first], LABELS)[0] == [AskedSlide(a, (first,)), AskedSlide(b)]
    assert read_asked([a, b], [first, second], LABELS)[0][1] == AskedSlide(b, (second,))
    assert read_asked([a], [first, second, more], LABELS)[0] == [AskedSlide(a, (first, second, more))]
    with pytest.raises(UsageError, match="is one more than there are slides"):
        read_asked([a, b], [first, second, more], LABELS)


def test_a_csv_file_lists_slides_and_outlines(files: dict[str, Path], tmp_path: Path) -> None:
    listed = tmp_path / "slides.csv"
    listed.write_text("slide,annotations,mpp\na.svs,a.geojson,0.5\nb.svs,b.geojson,\n")
    a, b, first, second, more = files.values()
    assert read_asked([listed], [], LABELS)[0] == [AskedSlide(a, (first,), 0.5), AskedSlide(b, (second,))]
    with pytest.raises(UsageError, match="lists the outlines: leave it out"):
        read_asked([listed], [more], LABELS)


def test_a_slide_and_its_copy_are_one(tmp_path: Path) -> None:
    slide = write_tiff(tmp_path / "slide.tiff", tissue_rgb(200, 200))
    copy = tmp_path / "copy.tiff"
    copy.write_bytes(slide.read_bytes())
    asked = [AskedSlide(slide, (Path("a"),)), AskedSlide(copy, (Path("b"), Path("a")))]
    assert each_once(asked, None) == [AskedSlide(slide, (Path("a"), Path("b")))]
    with pytest.raises(UsageError, match=f"is a folder: name the slides in it, such as {copy}"):
        each_once([AskedSlide(tmp_path)], None)


def test_a_project_stands_for_all_of_its_images_outlined_or_not(tmp_path: Path) -> None:
    slides = [write_tiff(tmp_path / f"{n}.tiff", tissue_rgb(200, 200, n), mpp=0.5) for n in range(2)]
    gone = tmp_path / "gone.svs"
    project = write_project_of(tmp_path / "project.qpproj", *slides, gone)
    outlines = tmp_path / "outlines"
    outlines.mkdir()
    drawn = outlines / "0.geojson"
    drawn.touch()
    asked, remarks = read_asked([project], [outlines], LABELS)
    assert asked == [AskedSlide(slides[0], (drawn,)), AskedSlide(slides[1])]
    assert remarks[0].endswith("2 images without outlines: 1.tiff, gone.svs")
    assert remarks[1].startswith(f"{project}: 'gone.svs': {gone}: no such file: ")
    assert read_asked([project], [], LABELS)[0] == [AskedSlide(slide) for slide in slides]
    (outlines / "gone.geojson").touch()
    with pytest.raises(SlideError, match=r"'gone\.svs'"):
        read_asked([project], [outlines], LABELS)
    with pytest.raises(SlideError, match="no image of it can be taken: "):
        read_asked([write_project_of(tmp_path / "lost.qpproj", gone)], [], LABELS)
