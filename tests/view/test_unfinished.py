"""A result while it is being written: what is done is shown as it will be, the rest is hatched."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tissue_rgb, write_tiff
from helpers.browser import Browser
from helpers.predictions import SMALL, settings
from helpers.results import Recorder
from helpers.served_pages import TOKEN, ask, served

from wsi_seg.models.classes import UNPROCESSED_ID
from wsi_seg.predict.batch import BatchSummary
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.halving import halve_known, halve_labels
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.slides.lattice import Rect
from wsi_seg.view import unfinished
from wsi_seg.view.finding import Asked
from wsi_seg.view.listing import Listing
from wsi_seg.view.open_to_view import open_result
from wsi_seg.view.shelf import Shelf
from wsi_seg.view.slide_tiles import SlideTiles
from wsi_seg.view.unfinished import QUIET_SECONDS, GrowingLabels

STOPPED_AFTER = 5


class StopAfter(Recorder):
    def advance(self, megapixels: float) -> None:
        super().advance(megapixels)
        if self.regions == STOPPED_AFTER:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, model_path: Path) -> tuple[Path, Path]:
    """A finished result, and one whose run was stopped."""
    folder = tmp_path_factory.mktemp("made")
    slide = write_tiff(folder / "slide.tiff", tissue_rgb(500, 700), levels=2)
    asked = settings(model_path, SMALL.model_copy(update={"confidence": True}))
    predict_slide(slide, folder / "whole", asked)
    with pytest.raises(KeyboardInterrupt):
        predict_slide(slide, folder / "stopped", asked, StopAfter())
    return folder / "whole", folder / "stopped"


@pytest.fixture
def stopped(made: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the stopped one, which may be changed."""
    return shutil.copytree(made[1], tmp_path / "results" / "slide")


def finish(made: tuple[Path, Path], stopped: Path) -> None:
    shutil.rmtree(stopped)
    shutil.copytree(made[0], stopped)


@pytest.mark.parametrize("kept", [1, 4])
def test_what_is_done_is_as_it_will_be_at_every_level(
    made: tuple[Path, Path], stopped: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(unfinished, "KEPT", kept)
    shown = open_result(stopped)
    assert isinstance(shown.picture, SlideTiles)
    assert shown.classes is not None
    assert shown.run is not None
    growing, whole = shown.classes.labels, read_labels(made[0] / "slide.ome.zarr")
    assert isinstance(growing, GrowingLabels)
    height, width = whole.shape
    classes = whole.read(Rect(0, 0, height, width))
    sure = whole.read_confidence(Rect(0, 0, height, width))
    lattice = shown.run.lattice
    assert lattice is not None
    there = {region.name for region in lattice.regions()} & shown.run.done
    assert STOPPED_AFTER <= len(there) < len(lattice)
    for region in lattice.regions():
        if region.name not in there:
            classes[region.label_rect.slices] = UNPROCESSED_ID
            sure[region.label_rect.slices] = 0
    for level in range(len(whole.levels)):
        rect = Rect(0, 0, *classes.shape)
        np.testing.assert_array_equal(growing.read(rect, level), classes)
        np.testing.assert_array_equal(growing.read_confidence(rect, level), sure)
        part = Rect(3, 5, min(90, rect.y1), min(101, rect.x1))
        np.testing.assert_array_equal(growing.read(part, level), classes[part.slices])
        classes, sure = halve_labels(classes), halve_known(sure)
    assert (classes == UNPROCESSED_ID).any()
    shown.close()


def test_more_is_shown_when_more_is_done(made: tuple[Path, Path], stopped: Path) -> None:
    result = ResultFolder(stopped)
    entries = sorted(result.ledger.iterdir())
    hidden = entries[0].rename(result.work / "hidden")
    shown = open_result(stopped)
    assert shown.classes is not None
    before = shown.version
    coarsest = len(shown.classes.labels.levels) - 1
    hidden.rename(entries[0])
    assert shown.version == before + 1
    rect = shown.classes.grid.rect(coarsest, 0, 0)
    assert rect is not None
    assert (shown.classes.labels.read(rect, coarsest) != UNPROCESSED_ID).any()
    shown.close()


def test_the_page_says_how_far_it_is_and_begins_anew_when_it_is_whole(
    made: tuple[Path, Path], stopped: Path
) -> None:
    with served(Asked(stopped)) as address:
        about: Any = ask(address, f"/{TOKEN}/s/0/about.json").json
        done = len(list(ResultFolder(stopped).ledger.iterdir()))
        line = f"still being written: {done} of 24 regions are segmented; the rest is hatched"
        assert about["run"] == {"stage": "segmenting", "done": done, "running": True, "line": line}
        assert about["notices"] == []
        assert about["legend"][0]["mm2"] is None
        assert ask(address, f"/{TOKEN}/s/0/labels/1/0_0.png").body.startswith(b"\x89PNG")
        assert "Not done yet" in ask(address, f"/{TOKEN}/s/0/at.json?x=699&y=499").json["class"]
        finish(made, stopped)
        about = ask(address, f"/{TOKEN}/s/0/about.json").json
        assert about["run"] is None
        assert about["legend"][0]["mm2"] is not None
        first = ask(address, f"/{TOKEN}/s/0/labels/1/0_0.png").body
    with served(Asked(made[0])) as address:
        assert ask(address, f"/{TOKEN}/s/0/labels/1/0_0.png").body == first


def test_the_page_follows_the_run(
    made: tuple[Path, Path], stopped: Path, shown: Callable[..., Browser]
) -> None:
    result = ResultFolder(stopped)
    entry = max(result.ledger.iterdir())
    hidden = entry.rename(result.work / "hidden")
    browser = shown(stopped, "#qupath=350,250&downsample=1")
    assert browser.run("document.getElementById('run').textContent").startswith("still being written: ")
    assert "Not done yet" in browser.run("document.getElementById('legend').innerText")
    before = browser.run("wsiSeg.classes.done")
    hidden.rename(entry)
    browser.wait(f"wsiSeg.classes.done === {before + 1}", 20)
    finish(made, stopped)
    browser.wait("window.wsiSeg?.about.status === 'finished' && document.getElementById('run').hidden", 20)
    assert "qupath=350,250" in browser.run("location.hash")  # the view stays
    assert "Not done yet" not in browser.run("document.getElementById('legend').innerText")
    assert [line for line in browser.messages if "error" in line] == []
    browser.ask("Page.navigate", url="about:blank")  # before the server ends


def test_a_run_that_has_ended_is_told_from_one_that_goes_on(stopped: Path) -> None:
    long_ago = time.time() - QUIET_SECONDS - 60
    for path in (stopped, *stopped.rglob("*")):
        os.utime(path, (long_ago, long_ago))
    shown = open_result(stopped)
    assert shown.run is not None
    about = shown.run.about()
    assert not about["running"]
    assert str(about["line"]).startswith("not finished, and nothing was written for 3 min")
    assert str(about["line"]).endswith("the same `wsi-seg predict` again resumes it")
    shown.close()


def test_before_there_are_labels_the_slide_is_shown(stopped: Path) -> None:
    shutil.rmtree(ResultFolder(stopped).unfinished_zarr)
    shown = open_result(stopped)
    assert isinstance(shown.picture, SlideTiles)
    assert shown.classes is None
    assert shown.run is not None
    assert shown.run.about()["stage"] == "beginning"
    shown.close()


def test_labels_that_are_whole_are_shown_before_the_rest_is(made: tuple[Path, Path], stopped: Path) -> None:
    finish(made, stopped)
    result = ResultFolder(stopped)
    record = result.read_record()
    assert record is not None
    result.write_record(record.model_copy(update={"progress": "exporting"}))
    shown = open_result(stopped)
    assert shown.run is not None
    assert shown.run.about()["stage"] == "exporting"
    assert not shown.moved_on
    result.write_record(record)
    assert shown.moved_on
    shown.close()


def test_a_folder_tells_what_runs_from_what_waits(made: tuple[Path, Path], stopped: Path) -> None:
    slide = made[0].with_name("slide.tiff")
    BatchSummary(waiting=(str(slide), "/x/next.svs")).write(stopped.with_name("batch.json"))
    listing = Listing(stopped.parent, Shelf())
    about = json.loads(json.dumps(listing.about()))
    assert [(row["slide"], row["state"]) for row in about["rows"]] == [
        ("slide", "running"),
        ("next.svs", "waiting"),
    ]
    assert about["running"]
    (row, _) = about["rows"]
    assert row["line"].startswith("still being written: ")
    before = listing.picture(str(row["number"]))
    assert before.startswith(b"\xff\xd8")
    finish(made, stopped)
    BatchSummary(waiting=("/x/next.svs",)).write(stopped.with_name("batch.json"))
    (row, _) = json.loads(json.dumps(listing.about()))["rows"]
    assert (row["state"], row["line"]) == ("finished", None)
    assert listing.picture(str(row["number"])) != before
