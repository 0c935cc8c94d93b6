"""A folder of results: finished, failed, waiting, unfinished and damaged ones, as they are now."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import SCHEMA
from helpers.predictions import settings
from helpers.served_pages import TOKEN, ask, served

from wsi_seg.errors import MissingError, UsageError
from wsi_seg.predict.batch import BatchSummary, NoResult, Outcome
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.summary import Status
from wsi_seg.view.finding import Asked, find_site
from wsi_seg.view.listing import Listing
from wsi_seg.view.shelf import Shelf
from wsi_seg.view.unfinished import QUIET_SECONDS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, slide_path: Path, model_path: Path) -> Path:
    folder = tmp_path_factory.mktemp("listing") / "results"
    predict_slide(slide_path, folder / "tissue", settings(model_path))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A finished result, one that is under way, one that is damaged; one that failed, and one that waits."""
    folder = shutil.copytree(made, tmp_path / "results")
    unfinished = ResultFolder(shutil.copytree(folder / "tissue", folder / "underway"))
    record = unfinished.read_record()
    assert record is not None
    unfinished.write_record(record.model_copy(update={"progress": "segmenting"}))
    damaged = shutil.copytree(folder / "tissue", folder / "damaged")
    (damaged / "summary.json").write_text("{")
    outcomes = (
        Outcome(slide="/x/tissue.tiff", result="/x/results/tissue", status=Status.FINISHED),
        Outcome(slide="/x/bad.svs", result=None, status=NoResult.FAILED, error="bad.svs: is <b>empty</b>"),
        Outcome(slide="/x/copy.tiff", result="/x/results/tissue", status=NoResult.COPY),
    )
    batch = BatchSummary(outcomes=outcomes, waiting=("/x/next.svs",), passed_over=("notes.txt: skipped",))
    batch.write(folder / "batch.json")
    return folder


def rows_of(listing: Listing) -> dict[str, Any]:
    about = json.loads(json.dumps(listing.about()))
    return {f"{row['slide']} {row['result']}": row for row in about["rows"]}


def test_each_slide_has_a_row_with_what_became_of_it(folder: Path) -> None:
    listing = Listing(folder, Shelf())
    rows = rows_of(listing)
    assert {name: row["state"] for name, row in rows.items()} == {
        "tissue tissue": "finished",
        "underway underway": "running",
        "damaged damaged": "cannot be used",
        "bad.svs None": "failed",
        "copy.tiff None": "copy of a slide before it",
        "next.svs None": "waiting",
    }
    summary = json.loads((folder / "tissue" / "summary.json").read_text())
    good = rows["tissue tissue"]
    shares = {c["name"]: c["share"] for c in summary["classes"] if c["share"] is not None}
    assert {c["name"]: c["share"] for c in good["classes"]} == shares
    colors = {c.name: list(c.color) for c in SCHEMA.classes}
    assert all(c["color"] == colors[c["name"]] for c in good["classes"])
    assert rows["bad.svs None"]["line"] == "bad.svs: is <b>empty</b>"
    assert "damaged (not JSON)" in rows["damaged damaged"]["line"]
    about = listing.about()
    assert about["running"]
    assert about["notices"] == ["notes.txt: skipped"]


def test_what_is_done_meanwhile_is_seen(folder: Path) -> None:
    listing = Listing(folder, Shelf())
    rows_of(listing)
    shutil.rmtree(folder / "underway")
    shutil.copytree(folder / "tissue", folder / "underway")
    shutil.copytree(folder / "tissue", folder / "new")
    rows = rows_of(listing)
    states = {row["result"]: row["state"] for row in rows.values()}
    assert (states["underway"], states["new"]) == ("finished", "finished")
    numbers = [row["number"] for row in json.loads(json.dumps(listing.about()))["rows"] if "number" in row]
    assert len(set(numbers)) == len(numbers) == 3


def test_a_failure_that_was_done_since_is_none(folder: Path) -> None:
    outcome = Outcome(slide="/x/tissue.tiff", result="/x/tissue", status=NoResult.FAILED, error="no memory")
    BatchSummary(outcomes=(outcome,)).write(folder / "batch.json")
    rows = json.loads(json.dumps(Listing(folder, Shelf()).about()))["rows"]
    assert [row["state"] for row in rows if row["result"] == "tissue"] == ["finished"]


def test_what_is_done_of_a_slide_that_failed_can_be_looked_at(folder: Path) -> None:
    outcome = Outcome(slide="/x/a.svs", result="/x/underway", status=NoResult.FAILED, error="no memory")
    BatchSummary(outcomes=(outcome,)).write(folder / "batch.json")
    listing = Listing(folder, Shelf())
    (row,) = [row for row in json.loads(json.dumps(listing.about()))["rows"] if row["result"] == "underway"]
    assert row["state"] == "running"  # again
    long_ago = time.time() - QUIET_SECONDS - 60
    for path in (folder / "underway", *(folder / "underway").rglob("*")):
        os.utime(path, (long_ago, long_ago))
    (row,) = [row for row in json.loads(json.dumps(listing.about()))["rows"] if row["result"] == "underway"]
    assert (row["slide"], row["state"], row["line"]) == ("a.svs", "failed", "no memory")
    assert listing.picture(str(row["number"])).startswith(b"\xff\xd8")


def test_results_of_jobs_with_a_folder_each_are_found_and_trainings_are_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder / "tissue", folder / "7" / "slide")
    (folder / "7" / "tumour" / ".wsi-seg").mkdir(parents=True)
    (folder / "7" / "tumour" / ".wsi-seg" / "training.json").write_text("{}")
    (folder / "batch.json").unlink()
    closed = folder / "closed"
    closed.mkdir()
    scan = Path.iterdir

    def refused(path: Path) -> Iterator[Path]:
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    about = json.loads(json.dumps(Listing(folder, Shelf()).about()))
    assert about["notices"] == [f"{closed}: cannot be read (Permission denied): make it readable"]
    states = {row["result"]: row["state"] for row in about["rows"]}
    assert states == {
        "7/slide": "finished",
        "damaged": "cannot be used",
        "tissue": "finished",
        "underway": "running",
    }


def test_pages_pictures_and_slides_are_served(folder: Path) -> None:
    with served(Asked(folder)) as address:
        assert b"folder.js" in ask(address, f"/{TOKEN}/").body
        rows = ask(address, f"/{TOKEN}/about.json").json["rows"]
        number = next(row["number"] for row in rows if row["state"] == "finished")
        picture = ask(address, f"/{TOKEN}/picture/{number}")
        assert picture.body.startswith(b"\xff\xd8")
        about = ask(address, f"/{TOKEN}/s/{number}/about.json").json
        assert (about["name"], about["back"]) == ("tissue.tiff", "All slides")
        for path in ("picture/99", "picture/x", "picture/..%2fbatch.json", "s/99/", "report.html"):
            assert ask(address, f"/{TOKEN}/{path}").status == 404


def outline(path: Path, x: int = 10) -> Path:
    ring = [[x, 10], [x + 50, 10], [x + 50, 60], [x, 60], [x, 10]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"type": "Feature", "geometry": geometry, "properties": {}}))
    return path


@pytest.mark.parametrize("name", ["tissue.geojson", "TISSUE.tiff.geojson"])
def test_outlines_lie_on_the_slide_that_they_are_named_after(folder: Path, tmp_path: Path, name: str) -> None:
    drawn = outline(tmp_path / "drawn" / name).parent
    other = outline(tmp_path / "stranger.geojson")
    with served(Asked(folder, (drawn, other))) as address:
        about = ask(address, f"/{TOKEN}/about.json").json
        assert {row["result"]: row.get("outlines") for row in about["rows"]}["tissue"] == [name]
        assert f"{other}: no slide here has this name: left out" in about["notices"][-1]
        assert not any(name in line for line in about["notices"])
        number = next(row["number"] for row in about["rows"] if row["result"] == "tissue")
        shown = ask(address, f"/{TOKEN}/s/{number}/about.json").json
        assert shown["outlines"] == {"files": [name], "shapes": 1}


def test_outlines_in_error_are_a_notice_on_their_slide(folder: Path, tmp_path: Path) -> None:
    drawn = outline(tmp_path / "tissue.geojson", 90_000)
    with served(Asked(folder, (drawn,))) as address:
        rows = ask(address, f"/{TOKEN}/about.json").json["rows"]
        number = next(row["number"] for row in rows if row["result"] == "tissue")
        shown = ask(address, f"/{TOKEN}/s/{number}/about.json").json
        assert shown["outlines"]["shapes"] == 0
        assert shown["legend"]
        assert f"{drawn}: no shape lies on tissue.tiff" in shown["notices"][-1]


def test_outlines_that_are_not_there_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"a\.geojson: no such file: name annotation files"):
        find_site(Asked(folder, (tmp_path / "a.geojson",)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty: holds no annotation file: name each after its slide"):
        find_site(Asked(folder, (tmp_path / "empty",)))
