"""A training's page: its curves while a row is half written, its scores, and its report without scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.served_pages import TOKEN, ask, served

from wsi_seg.view.finding import Asked
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
    about = json.loads(json.dumps(Training(folder).about()))
    assert about["state"] == "training"
    assert about["running"]
    assert [step for step, _ in about["curves"]["train_loss"]] == [10, 20, 30, 40, 50]
    assert about["curves"]["val_loss"] == []
    with (folder / "logs" / "2-full" / "history.csv").open("a") as file:
        file.write("60,0,6,0.0")  # half written
    assert [s for s, _ in json.loads(json.dumps(Training(folder).about()))["curves"]["train_loss"]][-1] == 50


def test_a_long_curve_has_fewer_points_and_its_last(folder: Path) -> None:
    log = folder / "logs" / "2-full" / "history.csv"
    log.write_text(HEAD + "".join(f"{s},0,{s},0.001,{s / 2},,,,1\n" for s in range(10_001)))
    points = json.loads(json.dumps(Training(folder).about()))["curves"]["train_loss"]
    assert MOST_POINTS / 2 < len(points) <= MOST_POINTS + 1
    assert points[-1] == [10_000, 5000]


def test_a_finished_training_shows_scores_pictures_and_report(folder: Path) -> None:
    report = folder / "report"
    report.mkdir()
    scores = {"mean_iou": 0.5, "classes": [{"id": 3, "name": "<i>", "iou": None}]}
    schema = {"classes": [{"id": 3, "name": "<i>", "color": [1, 2, 3]}]}
    (report / "report.json").write_text(json.dumps({"scores": scores, "schema": schema}))
    (report / "report.html").write_text("<script>alert(1)</script>")
    (report / "examples.png").write_bytes(b"\x89PNG...")
    (folder / "model.safetensors").touch()
    with served(Asked(folder)) as address:
        assert b"training.js" in ask(address, f"/{TOKEN}/").body
        about = ask(address, f"/{TOKEN}/about.json").json
        assert (about["state"], about["running"], about["report"]) == ("finished", False, True)
        assert about["scores"]["classes"] == [{"id": 3, "name": "<i>", "iou": None, "color": [1, 2, 3]}]
        assert about["pictures"] == ["examples.png"]
        assert ask(address, f"/{TOKEN}/picture/examples.png").body == b"\x89PNG..."
        policy = ask(address, f"/{TOKEN}/report.html").headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'")
        assert "script-src" not in policy
        for path in ("picture/report.json", "picture/..%2ftraining.json", "s/0/"):
            assert ask(address, f"/{TOKEN}/{path}").status == 404


def test_damaged_scores_are_a_notice(folder: Path) -> None:
    (folder / "report").mkdir()
    (folder / "model.safetensors").touch()
    for content in ("{", '{"scores": 3}'):
        (folder / "report" / "report.json").write_text(content)
        (line,) = json.loads(json.dumps(Training(folder).about()))["notices"]
        assert str(folder / "report" / "report.json") in line
