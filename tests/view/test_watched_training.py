"""A training's page: its curves while a row is half written, its scores, and its report without scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import tissue_rgb, write_tiff
from helpers.browser import Browser
from helpers.drawn import write_boxes
from helpers.served_pages import TOKEN, ask, served
from PIL import Image

from wsi_seg.view.finding import Asked
from wsi_seg.view.shelf import Shelf
from wsi_seg.view.watched_training import MOST_POINTS, Training

HEAD = "step,epoch,seconds,learning_rate,train_loss,val_loss,val_miou,val_diagnosis,stage\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".wsi-seg").mkdir()
    (tmp_path / ".wsi-seg" / "training.json").write_text("{}")
    for stage, rows in (("1-encoder", range(1, 4)), ("2-full", range(4, 6))):
        log = tmp_path / "logs" / stage / "history.csv"
        log.parent.mkdir(parents=True)
        log.write_text(HEAD + "".join(f"{10 * s},0,{s},0.001,{1 / s},,{0.1 * s},,1\n" for s in rows))
    return tmp_path


def test_curves_follow_the_log(folder: Path) -> None:
    about = json.loads(json.dumps(Training(folder, Shelf()).about()))
    assert about["state"] == "training"
    assert about["running"]
    assert [step for step, _ in about["curves"]["train_loss"]] == [10, 20, 30, 40, 50]
    assert about["curves"]["val_loss"] == []
    with (folder / "logs" / "2-full" / "history.csv").open("a") as file:
        file.write("60,0,6,0.0")  # half written
    assert [s for s, _ in json.loads(json.dumps(Training(folder, Shelf()).about()))["curves"]["train_loss"]][
        -1
    ] == 50


def test_a_long_curve_has_fewer_points_and_its_last(folder: Path) -> None:
    log = folder / "logs" / "2-full" / "history.csv"
    log.write_text(HEAD + "".join(f"{s},0,{s},0.001,{s / 2},,,,1\n" for s in range(10_001)))
    points = json.loads(json.dumps(Training(folder, Shelf()).about()))["curves"]["train_loss"]
    assert MOST_POINTS / 2 < len(points) <= MOST_POINTS + 1
    assert points[-1] == [10_000, 5000]


@pytest.fixture
def finished(folder: Path, tmp_path: Path) -> Path:
    """One that is finished: a kept-out place of a slide, and one of a slide that is gone."""
    (tmp_path / "slides").mkdir()
    slide = write_tiff(tmp_path / "slides" / "slide.tiff", tissue_rgb(600, 900))
    place = {"slide": str(slide), "series": None, "x": 300, "y": 200, "width": 320, "height": 160}
    drawn = {"name": "one", "right": 0.25, "known": 1.0, "classes": [{"id": 3, "name": "<i>", "iou": 0.5}]}
    pictures = {what: f"examples/1-{what}.jpg" for what in ("image", "truth", "prediction")}
    examples = [
        {**drawn, "pictures": pictures, "place": place},
        {**drawn, "pictures": pictures, "place": {**place, "slide": "/gone.tiff"}, "right": None},
    ]
    scores = {"mean_iou": 0.5, "classes": [{"id": 3, "name": "<i>", "iou": None}]}
    schema = {"classes": [{"id": 3, "name": "<i>", "color": [1, 2, 3]}]}
    report = folder / "report"
    (report / "examples").mkdir(parents=True)
    for file in pictures.values():
        Image.new("RGB", (480, 240), (1, 200, 3)).save(report / file)
    content = {"scores": scores, "schema": schema, "examples": examples}
    (report / "report.json").write_text(json.dumps(content))
    (report / "report.html").write_text("<script>alert(1)</script>")
    (folder / "model.safetensors").touch()
    return folder


def test_a_finished_training_shows_scores_examples_and_report(finished: Path) -> None:
    with served(Asked(finished)) as address:
        assert b"training.js" in ask(address, f"/{TOKEN}/").body
        about = ask(address, f"/{TOKEN}/about.json").json
        assert (about["state"], about["running"], about["report"]) == ("finished", False, True)
        assert about["scores"]["kept_out"]
        assert about["scores"]["classes"] == [{"id": 3, "name": "<i>", "iou": None, "color": [1, 2, 3]}]
        first, second = about["examples"]
        assert (first["place"]["number"], second["place"]["number"]) == (0, None)
        assert first["pictures"]["truth"] == "examples-1-truth.jpg"
        assert ask(address, f"/{TOKEN}/picture/examples-1-truth.jpg").body.startswith(b"\xff\xd8")
        shown = ask(address, f"/{TOKEN}/s/0/about.json").json
        assert (shown["name"], shown["back"]) == ("slide.tiff", "The training")
        policy = ask(address, f"/{TOKEN}/report.html").headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'")
        assert "script-src" not in policy
        for path in ("report.json", "..%2ftraining.json", "examples-1-..jpg", "examples-9-truth.jpg"):
            assert ask(address, f"/{TOKEN}/picture/{path}").status == 404
        assert ask(address, f"/{TOKEN}/s/1/").status == 404


def test_outlines_of_the_training_lie_on_its_slide(finished: Path) -> None:
    slide = finished / "slides" / "slide.tiff"
    drawn = finished / "drawn.geojson"
    ring = [[10, 10], [60, 10], [60, 60], [10, 60], [10, 10]]
    drawn.write_text(
        json.dumps(
            {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
        )
    )
    (finished / ".wsi-seg" / "training.json").write_text(
        json.dumps({"format_version": 1, "data": [str(slide), str(drawn)]})
    )
    with served(Asked(finished)) as address:
        ask(address, f"/{TOKEN}/about.json")
        assert ask(address, f"/{TOKEN}/s/0/about.json").json["outlines"] == {
            "files": ["drawn.geojson"],
            "shapes": 1,
        }
        write_boxes(drawn, ("A", (10, 10, 60, 60)), ("B", (90, 90, 160, 160)))
        assert ask(address, f"/{TOKEN}/s/0/about.json").json["outlines"]["shapes"] == 2
        drawn.unlink()
        assert ask(address, f"/{TOKEN}/s/0/about.json").json["outlines"]["shapes"] == 0


@pytest.mark.parametrize(
    ("limits", "which"), [(None, "Kept out of training"), ({"kept_out": False}, "Trained on")]
)
def test_the_page_says_what_the_scores_are_on(
    browser: Browser, finished: Path, limits: dict[str, bool] | None, which: str
) -> None:
    report = finished / "report" / "report.json"
    content = json.loads(report.read_text())
    report.write_text(json.dumps(content if limits is None else {**content, "limits": limits}))
    with served(Asked(finished)) as address:
        browser.open(address)
        browser.wait("document.querySelectorAll('article').length === 2")
        headings = browser.run("[...document.querySelectorAll('h2')].map((h) => h.textContent)")
        assert headings[:2] == [f"Scores on what was {which.lower()}", f"{which}, the worst first"]


@pytest.mark.parametrize("width", [1280, 390])
def test_an_example_opens_its_place_in_the_slide(browser: Browser, finished: Path, width: int) -> None:
    with served(Asked(finished)) as address:
        browser.resize(width, 800)
        browser.open(address)
        browser.wait("document.querySelectorAll('article').length === 2")
        browser.wait("[...document.images].slice(0, 3).every((i) => i.complete && i.naturalWidth === 480)")
        assert browser.run("document.documentElement.scrollWidth") == width
        boxes = browser.run(
            "[...document.images].slice(1, 3).map((i) => [i.getBoundingClientRect().y, i.width])"
        )
        assert boxes[0][0] == boxes[1][0]  # truth and prediction side by side
        assert boxes[0][1] > 140
        assert "25.0 % right" in browser.run("document.querySelector('article').innerText")
        assert "no longer there" in browser.run("document.querySelectorAll('article')[1].innerText")
        browser.run("document.querySelector('article a').click()")
        browser.wait("window.wsiSeg && wsiSeg.viewer.world.getItemCount()")
        browser.wait("location.hash.includes('as=') || location.hash.includes('qupath=460,280')")
        browser.wait(
            "Object.values(wsiSeg.viewer.viewport.getCenter()).map((v) => Math.round(900 * v)).join()"
            " === '460,280'"
        )
        assert browser.messages == []
        browser.ask("Page.navigate", url="about:blank")  # before the server ends


def test_damaged_scores_are_a_notice(folder: Path) -> None:
    (folder / "report").mkdir()
    (folder / "model.safetensors").touch()
    for content in ("{", '{"scores": 3}'):
        (folder / "report" / "report.json").write_text(content)
        (line,) = json.loads(json.dumps(Training(folder, Shelf()).about()))["notices"]
        assert str(folder / "report" / "report.json") in line
