"""Results whose slide is there, has moved, is another or is damaged; and what is no result."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import tissue_rgb, write_tiff
from helpers.predictions import SMALL, settings
from helpers.written_results import write_labels
from PIL import Image

from wsi_seg.errors import OutputError, UsageError, WsiSegError
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.notices import notices
from wsi_seg.results.summary import read_summary
from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide
from wsi_seg.view.finding import Asked, find_site
from wsi_seg.view.open_to_view import open_result, open_slide
from wsi_seg.view.overview_tiles import OverviewTiles
from wsi_seg.view.slide_tiles import SlideTiles


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, model_path: Path) -> Path:
    """A folder with a slide of two levels and its result, with confidence."""
    folder = tmp_path_factory.mktemp("made")
    slide = write_tiff(folder / "slide.tiff", tissue_rgb(500, 700), levels=2)
    labels = SMALL.model_copy(update={"confidence": True})
    predict_slide(slide, folder / "results" / "slide", settings(model_path, labels))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it elsewhere, whose slide is still where it was."""
    shutil.copytree(made / "results", tmp_path / "results")
    return tmp_path


def opened(tile: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(tile)).convert("RGB")).astype(float)


def test_a_result_shows_its_slide_and_all_that_is_known(made: Path) -> None:
    shown = open_result(made / "results" / "slide")
    assert isinstance(shown.picture, SlideTiles)
    assert shown.notices == ()
    about = json.loads(json.dumps(shown.about()))
    summary = json.loads((made / "results" / "slide" / "summary.json").read_text())
    assert [(c["name"], c["mm2"], c["share"]) for c in about["legend"]] == [
        (c["name"], c["mm2"], c["share"]) for c in summary["classes"]
    ]
    assert about["labels"]["confidence"]
    assert about["slide"] == {"width": 700, "height": 500, "finest": 0, "coarsest": 1}
    assert about["remarks"] == list(notices(read_summary(made / "results" / "slide" / "summary.json")))
    assert about["remarks"]
    assert shown.polygons is not None
    shown.polygons.wait()
    at = shown.at((350.5, 250.5))
    polygon = at["polygon"]
    assert 0 < at["confidence"] <= 1  # type: ignore[operator]
    assert isinstance(polygon, dict)
    assert polygon["area_um2"] > 0  # type: ignore[operator]
    assert shown.at((700, 10)) == shown.at((-1, 10)) == {}
    shown.close()


def test_tiles_are_the_slides_pixels_at_every_level(made: Path) -> None:
    shown = open_result(made / "results" / "slide")
    with Slide(made / "slide.tiff") as slide:
        for level, rect in ((0, Rect(0, 512, 500, 700)), (1, Rect(0, 0, 250, 350))):
            assert shown.picture.grid.rect(level, rect.x0 // 512, 0) == rect
            frames = Frames.of_cells(slide.bounds, (1, 1)).coarsened(2**level)
            wanted = slide.read(rect, frames).rgb.astype(float)
            seen = opened(shown.picture.tile(level, rect))
            off = np.abs(seen - wanted).mean()
            assert off < 8  # JPEG, of noise
            assert all(np.abs(np.roll(seen, 1, axis) - wanted).mean() > 1.5 * off for axis in (0, 1))
    shown.close()


def test_a_slide_that_moved_is_found_beside_the_result(made: Path, folder: Path) -> None:
    moved = folder / "slide.tiff"
    (made / "slide.tiff").rename(moved)
    try:
        shown = open_result(folder / "results" / "slide")
        assert isinstance(shown.picture, SlideTiles)
        assert shown.picture.slide.path == moved
        assert shown.notices == ()
        shown.close()
        elsewhere = folder / "elsewhere.tiff"
        moved.rename(elsewhere)
        shown = open_result(folder / "results" / "slide")
        assert isinstance(shown.picture, OverviewTiles)
        assert "the slide is no longer there" in shown.notices[0]
        named = open_result(folder / "results" / "slide", slide=elsewhere)
        assert isinstance(named.picture, SlideTiles)
        with Slide(elsewhere) as slide:  # the overview, enlarged, is in place
            frames = Frames.of_cells(slide.bounds, (1, 1)).coarsened(2)
            whole = slide.read(Rect(0, 0, 250, 350), frames).rgb.astype(float)
        seen = opened(shown.picture.tile(1, Rect(0, 0, 250, 350)))
        off = [np.abs(np.roll(seen, x, axis=1) - whole).mean() for x in (-2, -1, 0, 1, 2)]
        assert int(np.argmin(off)) == 2
        named.close()
        elsewhere.rename(made / "slide.tiff")
    finally:
        for path in (moved, folder / "elsewhere.tiff"):
            if path.exists():
                path.rename(made / "slide.tiff")


def test_another_slide_is_not_shown_under_a_results_classes(folder: Path) -> None:
    other = write_tiff(folder / "slide.tiff", tissue_rgb(500, 700, seed=1), levels=2)
    shown = open_result(folder / "results" / "slide", slide=other)
    assert isinstance(shown.picture, OverviewTiles)
    assert shown.notices[0].startswith(f"{other}: is not the slide that the result was made from")


def test_outlines_lie_beside_and_those_of_another_slide_are_refused(made: Path, tmp_path: Path) -> None:
    ring = [[10, 10], [60, 10], [60, 60], [10, 60], [10, 10]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "T<i>", "color": [1, 2, 3]}},
    }
    path = tmp_path / "drawn.geojson"
    path.write_text(json.dumps(feature))
    shown = open_slide(made / "slide.tiff", [path])
    assert shown.outlines.about() == {"files": ["drawn.geojson"], "shapes": 1}
    (drawn,) = json.loads(json.dumps(shown.outlines.drawn()))
    assert (drawn["class"], drawn["color"], drawn["area_px"]) == ("T<i>", [1, 2, 3], 2500)
    (points,) = drawn["rings"]
    assert {tuple(points[i : i + 2]) for i in range(0, 10, 2)} == set(map(tuple, ring))
    feature["geometry"] = {"type": "Polygon", "coordinates": [[[x + 9000, y] for x, y in ring]]}
    path.write_text(json.dumps(feature))
    with pytest.raises(WsiSegError, match=r"no shape lies on slide\.tiff: was it drawn on another slide"):
        open_slide(made / "slide.tiff", [path])


def test_what_cannot_be_shown_is_a_line(folder: Path, slide_path: Path, tmp_path: Path) -> None:
    result = ResultFolder(folder / "results" / "slide")
    record = result.read_record()
    assert record is not None
    zarr = result.zarr / "labels" / "tissue" / "zarr.json"
    stored = json.loads(zarr.read_text())
    stored["attributes"]["wsi_seg"]["format_version"] = 99
    zarr.write_text(json.dumps(stored))
    with pytest.raises(OutputError, match="written by a newer wsi-seg"):
        open_result(result.folder)
    with pytest.raises(UsageError, match="--slide: goes with a result"):
        find_site(Asked(slide_path, slide=tmp_path / "other.svs"))


def test_what_is_nothing_to_show_is_refused_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, what in (("none.svs", "no such file or folder"), ("empty", "holds no result")):
        with pytest.raises(UsageError, match=rf"{name}: {what}: name a result, a folder of results"):
            find_site(Asked(tmp_path / name))


def test_a_copy_without_summary_and_record_is_shown_and_says_so(tmp_path: Path) -> None:
    labels = np.ones((64, 96), dtype=np.uint8)
    result = ResultFolder(write_labels(tmp_path / "a", labels))
    copy = shutil.copytree(result.zarr, tmp_path / "copy.zarr")
    shown = open_result(Path(copy))
    assert shown.summary is None
    assert "the result does not say where its slide is" in shown.notices[0]
    assert "areas are not shown" in shown.notices[1]
    assert all(c["mm2"] is None for c in shown.about()["legend"])  # type: ignore[index,call-overload,union-attr]


def test_an_unprocessed_part_is_told(tmp_path: Path, model_path: Path) -> None:
    from conftest import damage_tile

    slide = damage_tile(write_tiff(tmp_path / "s.tiff", tissue_rgb(500, 700)), 2)
    predict_slide(slide, tmp_path / "r", settings(model_path))
    shown = open_result(tmp_path / "r")
    assert "could not be read and are not processed (hatched)" in shown.notices[0]
    tile = opened(shown.picture.tile(0, Rect(0, 0, 500, 512)))
    damaged = tile[:128, 256:384]
    assert {round(v / 78) for v in (damaged.mean(axis=-1).ravel() - 150).tolist()} == {0, 1}  # stripes
    shown.close()
