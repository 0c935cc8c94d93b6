"""Results, polygons, outlines and slides that change while they are shown: none is shown as it was."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SCHEMA, tissue_rgb, write_tiff
from helpers.browser import Browser
from helpers.drawn import write_boxes
from helpers.predictions import SMALL, settings
from helpers.served_pages import TOKEN, Answer, ask, served
from helpers.written_results import frames_of, write_labels
from shapely import box

from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.polygons.complete_shapes import Shape
from wsi_seg.results.polygons.geojson_writer import write_geojson
from wsi_seg.results.polygons.written_classes import GeoJsonSettings
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.view.finding import Asked
from wsi_seg.view.listing import Listing
from wsi_seg.view.shelf import LATELY, Shelf

TILE = "labels/0/0_0.png?as=areas&hidden="
CHANGED = "the files have changed since this page was opened: reload the page"
OTHER = SCHEMA.model_copy(
    update={
        "classes": (
            SCHEMA.classes[0],
            SCHEMA.classes[1].model_copy(update={"name": "Fat", "color": (250, 200, 20)}),
        )
    }
)


def of_slide(address: str, path: str, opening: object = None, number: int = 0) -> Answer:
    """What a page that shows an opening is answered."""
    more = "" if opening is None else f"{'&' if '?' in path else '?'}opening={opening}"
    return ask(address, f"/{TOKEN}/s/{number}/{path}{more}")


def about(address: str, number: int = 0) -> Any:
    return of_slide(address, "about.json", number=number).json


def write_first(folder: Path) -> Path:
    return write_labels(folder, np.full((96, 128), 2, dtype=np.uint8))


def write_again(folder: Path) -> Path:
    """Make a result again: with other classes, and of another size."""
    shutil.rmtree(folder)
    return write_labels(folder, np.full((64, 80), 1, dtype=np.uint8), OTHER)


def test_a_result_that_is_made_again_is_shown_as_it_is_now(tmp_path: Path) -> None:
    folder = write_first(tmp_path / "slide")
    with served(Asked(folder)) as address:
        before = about(address)
        tile = of_slide(address, TILE, before["opening"]).body
        assert of_slide(address, "opening.json").json == {"opening": before["opening"]}
        write_again(folder)
        assert of_slide(address, "opening.json").json == {"opening": None}
        after = about(address)
        assert after["opening"] != before["opening"]
        assert [c["name"] for c in after["legend"]] == ["Glass", "Fat"]
        assert (after["labels"]["width"], after["labels"]["height"]) == (80, 64)
        for path in (TILE, "slide/0/0_0.jpg", "at.json?x=5&y=5", "outlines.json"):
            old = of_slide(address, path, before["opening"])
            assert (old.status, old.text) == (409, CHANGED)
            assert of_slide(address, path, after["opening"]).status == 200
        now = of_slide(address, TILE, after["opening"]).body
        assert now != tile
    with served(Asked(folder)) as address:
        assert of_slide(address, TILE, about(address)["opening"]).body == now


def test_a_result_that_is_made_again_is_not_called_damaged(tmp_path: Path) -> None:
    folder = write_first(tmp_path / "slide")
    with served(Asked(folder)) as address:
        opening = about(address)["opening"]
        assert of_slide(address, "at.json?x=5&y=5", opening).json["class"] == "Tumour"
        write_again(folder)  # at once: the files are not looked at again for each tile
        found = of_slide(address, "labels/0/0_0.png?as=confidence", opening)
        assert LATELY > 0
        assert (found.status, found.text) == (409, CHANGED)


def test_a_result_that_is_gone_has_no_legend(tmp_path: Path) -> None:
    folder = write_first(tmp_path / "slide")
    with served(Asked(folder)) as address:
        opening = about(address)["opening"]
        shutil.rmtree(folder)
        gone = of_slide(address, "about.json")
        assert gone.status == 422
        assert str(folder) in gone.text
        assert of_slide(address, TILE, opening).status == 409
        write_first(folder)
        assert about(address)["opening"] != opening


def test_other_slides_in_between_make_no_other_opening(tmp_path: Path) -> None:
    for number in range(6):
        write_first(tmp_path / "results" / f"slide {number}")
    with served(Asked(tmp_path / "results")) as address:
        ask(address, f"/{TOKEN}/about.json")
        openings = [about(address, number)["opening"] for number in range(6)]
        for number, opening in enumerate(openings):
            assert of_slide(address, TILE, opening, number).status == 200


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, model_path: Path) -> Path:
    """A result that is still being written, and its slide."""
    folder = tmp_path_factory.mktemp("stopped")
    slide = write_tiff(folder / "slide.tiff", tissue_rgb(500, 700), levels=2)
    predict_slide(slide, folder / "slide", settings(model_path, SMALL))
    result = ResultFolder(folder / "slide")
    result.zarr.rename(result.unfinished_zarr)
    record = result.read_record()
    assert record is not None
    result.write_record(record.model_copy(update={"progress": "segmenting"}))
    return folder


def test_another_run_with_as_many_regions_done_is_another_opening(stopped: Path, tmp_path: Path) -> None:
    result = ResultFolder(shutil.copytree(stopped / "slide", tmp_path / "slide"))
    with served(Asked(result.folder)) as address:
        before = about(address)
        assert before["run"]["stage"] == "segmenting"
        tile = of_slide(address, TILE, before["opening"]).body
        document = result.unfinished_zarr / "labels" / "tissue" / "zarr.json"
        stored = json.loads(document.read_text())
        for c in stored["attributes"]["wsi_seg"]["schema"]["classes"]:
            c["color"] = [1, 2, 3]
        document.write_text(json.dumps(stored))
        record = result.read_record()
        assert record is not None
        result.write_record(record.model_copy(update={"software": {}}))
        after = about(address)
        assert after["run"]["done"] == before["run"]["done"]
        assert after["opening"] != before["opening"]
        assert of_slide(address, TILE, after["opening"]).body != tile
        assert of_slide(address, TILE, before["opening"]).status == 409


def test_a_region_that_is_done_makes_no_other_opening(stopped: Path, tmp_path: Path) -> None:
    result = ResultFolder(shutil.copytree(stopped / "slide", tmp_path / "slide"))
    result.ledger.mkdir(exist_ok=True)
    with served(Asked(result.folder)) as address:
        before = about(address)
        (result.ledger / "one").touch()
        (result.unfinished_zarr / "labels" / "tissue" / "0" / "more").touch()
        assert about(address)["opening"] == before["opening"]


def test_a_slide_that_is_put_back_takes_the_overviews_place(tmp_path: Path) -> None:
    slide = tmp_path / "slide.tiff"
    away = write_tiff(tmp_path / "away.tiff", tissue_rgb(500, 700), levels=2)
    bounds = Bounds(x=0, y=0, width=700, height=500)
    frames = Frames(bounds=bounds, slide_mpp=(1.0, 1.0), downsample=(2.0, 2.0), label_size=(350, 250))
    labels = np.ones((250, 350), dtype=np.uint8)
    result = ResultFolder(write_labels(tmp_path / "results" / "slide", labels, frames=frames))
    record = result.read_record()
    assert record is not None
    result.write_record(record.model_copy(update={"slide": str(slide)}))
    with served(Asked(result.folder)) as address:
        without = about(address)
        assert "the slide is no longer there" in without["notices"][0]
        overview = of_slide(address, "slide/0/0_0.jpg", without["opening"]).body
        away.rename(slide)
        there = about(address)
        assert not any("slide is no longer there" in line for line in there["notices"])
        assert of_slide(address, "slide/0/0_0.jpg", there["opening"]).body != overview


def write_polygon(path: Path, class_id: int) -> None:
    shape = Shape(class_id=class_id, polygon=box(0, 0, 50, 50), area_px=2500, mean_confidence=None)
    frames = frames_of(np.zeros((96, 128), dtype=np.uint8))
    write_geojson(path, [shape], frames, SCHEMA, GeoJsonSettings(gzip=False))


def polygon_at(address: str) -> Any:
    while True:
        polygon = of_slide(address, "at.json?x=10&y=10").json["polygon"]
        if not polygon.get("reading"):
            return polygon


def test_polygons_that_are_exported_again_are_those_at_the_pointer(tmp_path: Path) -> None:
    folder = write_first(tmp_path / "slide")
    path = ResultFolder(folder).geojson(False)
    write_polygon(path, 1)
    with served(Asked(folder)) as address:
        assert polygon_at(address)["class"] == "Stroma"
        write_polygon(path, 2)
        assert polygon_at(address)["class"] == "Tumour"


def test_outlines_that_are_edited_are_drawn_as_they_are_now(slide_path: Path, tmp_path: Path) -> None:
    drawn = write_boxes(tmp_path / "live.geojson", ("A", (10, 10, 60, 60)))
    with served(Asked(slide_path, (drawn,))) as address:
        before = about(address)
        assert before["outlines"]["shapes"] == 1
        drawn.write_text("{")
        assert of_slide(address, "about.json").status == 422
        write_boxes(drawn, ("A", (10, 10, 60, 60)), ("B", (20, 20, 90, 90)))
        after = about(address)
        assert after["outlines"]["shapes"] == 2
        shapes = of_slide(address, "outlines.json", after["opening"]).json
        assert [shape["class"] for shape in shapes] == ["A", "B"]
        assert of_slide(address, "outlines.json", before["opening"]).status == 409


def test_outlines_in_error_on_a_slide_of_a_folder_may_be_mended(tmp_path: Path) -> None:
    write_first(tmp_path / "results" / "slide")
    drawn = write_boxes(tmp_path / "slide.geojson", ("A", (9000, 10, 9060, 60)))
    with served(Asked(tmp_path / "results", (drawn,))) as address:
        ask(address, f"/{TOKEN}/about.json")
        assert "no shape lies on slide.svs" in about(address)["notices"][-1]
        write_boxes(drawn, ("A", (10, 10, 60, 60)))
        assert about(address)["outlines"]["shapes"] == 1


def test_a_card_of_a_result_that_is_made_again_asks_for_its_picture_again(
    stopped: Path, tmp_path: Path
) -> None:
    result = ResultFolder(shutil.copytree(stopped / "slide", tmp_path / "results" / "slide"))
    listing = Listing(tmp_path / "results", Shelf())

    def version() -> object:
        (row,) = json.loads(json.dumps(listing.about()))["rows"]
        return row["version"]

    before = version()
    assert version() == before
    os.utime(result.record_path)
    assert version() != before


def names_of(browser: Browser) -> list[str]:
    return list(browser.run("[...document.querySelectorAll('#legend bdi')].map((b) => b.textContent)"))


def test_an_open_page_begins_anew_with_the_result_that_was_made_again(
    tmp_path: Path, shown: Callable[..., Browser]
) -> None:
    folder = write_first(tmp_path / "slide")
    browser = shown(folder, "#qupath=60,60&downsample=0.5&opacity=1&hidden=")
    assert "Tumour" in names_of(browser)
    browser.run("window.same = true")
    shutil.rmtree(folder)
    browser.wait("document.querySelector('#notices .fault')", 20)
    write_labels(folder, np.full((64, 80), 1, dtype=np.uint8), OTHER)
    browser.wait("window.wsiSeg && !window.same", 20)  # it went on asking after the error
    browser.wait("wsiSeg.classes.settled === wsiSeg.classes.turn && wsiSeg.classes.settled", 20)
    assert sorted(names_of(browser)) == ["Fat", "Glass"]
    assert not browser.run("document.querySelector('#notices .fault')")
    assert "qupath=60,60" in browser.run("location.hash")
    browser.ask("Page.navigate", url="about:blank")  # before the server ends


def test_a_page_whose_result_is_not_there_yet_waits_for_it(tmp_path: Path, browser: Browser) -> None:
    folder = write_first(tmp_path / "slide")
    with served(Asked(folder)) as address:
        aside = folder.rename(tmp_path / "aside")
        browser.open(f"{address}s/0/")
        browser.wait("document.querySelector('#notices .fault')", 20)
        aside.rename(folder)
        browser.wait("window.wsiSeg?.classes && !document.querySelector('#notices .fault')", 20)
        browser.ask("Page.navigate", url="about:blank")


def test_a_folders_page_goes_on_after_an_error(tmp_path: Path, browser: Browser) -> None:
    write_first(tmp_path / "results" / "slide")
    with served(Asked(tmp_path / "results")) as address:
        aside = (tmp_path / "results").rename(tmp_path / "aside")
        browser.open(address)
        browser.wait("document.querySelector('#notices .fault')", 20)
        aside.rename(tmp_path / "results")
        browser.wait("document.querySelectorAll('.result').length === 1", 20)
        assert not browser.run("document.querySelector('#notices .fault')")
        browser.ask("Page.navigate", url="about:blank")
