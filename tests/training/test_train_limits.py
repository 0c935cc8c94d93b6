"""Trainings that know their limits: few outlines, few minutes, and how to continue."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.networks import provenance_of
from helpers.trainings import STRIPE, draw_boxes, tiny_recipe, write_outlined
from PIL import Image

from wsi_seg.models.bundle import load_bundle
from wsi_seg.progress import TrainingProgress
from wsi_seg.slides.frames import Frames
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide
from wsi_seg.training.data.open_data import DataRequest
from wsi_seg.training.request import TrainRequest
from wsi_seg.training.train_model import train


class Said(TrainingProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def validated(out: Path) -> list[float]:
    rows = json.loads((out / "report" / "report.json").read_text())["history"]
    return [row["val_miou"] for row in rows if row["val_miou"] is not None]


def few_outlines(folder: Path) -> tuple[Path, Path]:
    """A slide of stripes on which two fields are outlined, each over several stripes."""
    slide, drawn = write_outlined(folder, size=(1024, 1024))
    draw_boxes(drawn, ("Stroma", (4, 10, 504, 1000)), ("Tumour", (516, 10, 1016, 1000)))
    return slide, drawn


def test_from_few_outlines_no_best_is_kept_and_nothing_stops_early(tmp_path: Path) -> None:
    pair, listener = few_outlines(tmp_path), Said()
    settings = ("training.epochs=5", "training.epoch_steps=1", "training.early_stop=1")
    recipe = tiny_recipe(*settings, "data.validation=blocks")
    result = train(TrainRequest(DataRequest(pair, working_mpp=2), recipe, tmp_path / "out"), listener)
    assert len(validated(tmp_path / "out")) == 5
    assert "Tumour rests on one outline: " in "\n".join(listener.lines)
    (line,) = [line for line in listener.lines if line.startswith("weights kept: ")]
    assert line.startswith("weights kept: the last, averaged over the last steps, without stopping early: ")
    assert "Stroma: " in line
    assert " needed" in line
    limits = result.limits
    assert [each.outlines for each in limits.classes] == [1, 1]
    assert all(each.doubt for each in limits.classes)
    assert limits.still_rising is None
    training = provenance_of(load_bundle(result.model))
    assert training["limits"] == limits.as_json()
    assert training["limits"]["classes"][1]["trusted"] is False
    assert training["scored"].startswith("weights kept: the last, averaged")
    page = result.report.read_text()
    assert "How far the scores can be trusted" in page
    assert "without stopping early" in page


def test_where_nothing_is_kept_out_the_report_says_what_the_scores_are_on(tmp_path: Path) -> None:
    pair, listener = few_outlines(tmp_path), Said()
    settings = ("training.epochs=3", "training.epoch_steps=1", "training.early_stop=1")
    request = TrainRequest(DataRequest(pair, working_mpp=2), tiny_recipe(*settings), tmp_path / "out")
    result = train(request, listener)
    assert "nothing kept out, because a part of so few outlines could not tell" in "\n".join(listener.lines)
    assert result.limits.weights.endswith("nothing is kept out to tell better weights from worse")
    assert not result.limits.kept_out
    assert result.limits.ranges.mean is None
    assert " trained on" in result.scored
    known = provenance_of(load_bundle(result.model))
    assert "what was trained on" in known["scored"]
    assert known["limits"]["kept_out"] is False
    assert known["limits"]["range"] == "no ranges: nothing was kept out"
    assert [each["kept_out_mm2"] for each in known["limits"]["classes"]] == [0, 0]
    told = (tmp_path / "out" / "report" / "report.md").read_text()
    assert told.index("Nothing was kept out: the scores are on what was trained on") < told.index("## Scores")
    assert "Trained on, the worst first" in told
    assert "validate on" not in told
    assert "Kept out" not in told


def test_with_enough_kept_out_the_best_is_kept(tmp_path: Path) -> None:
    pair = write_outlined(tmp_path, size=(1024, 768))
    settings = ("training.epochs=2", "training.epoch_steps=1", "training.early_stop=1")
    recipe = tiny_recipe(*settings)
    result = train(TrainRequest(DataRequest(pair, working_mpp=2), recipe, tmp_path / "out"))
    assert all(each.doubt is None for each in result.limits.classes)
    assert result.limits.weights.startswith("the best at a validation")
    assert result.limits.steps == 2
    first = json.loads((tmp_path / "out" / "report" / "report.json").read_text())["examples"][0]
    assert ": most errors of " in first["name"]
    x, y, width, height = (round(first["place"][side]) for side in ("x", "y", "width", "height"))
    assert first["name"].startswith(f"slide, around QuPath x {x + width // 2}, y {y + height // 2}: ")
    assert (first["place"]["slide"], first["place"]["series"]) == (str(pair[0]), None)
    with Image.open(tmp_path / "out" / "report" / first["pictures"]["image"]) as panel:
        shown = np.asarray(panel.resize((width, height))).astype(float)
    with Slide(pair[0]) as slide:
        inside = Rect(y, x, y + height, x + width).clipped(slide.bounds.width, slide.bounds.height)
        there = slide.read(inside, Frames.of_cells(slide.bounds, (1, 1))).rgb
    shown = shown[inside.relative_to(Rect(y, x, y + height, x + width)).slices]
    off, elsewhere = (np.abs(shown - np.roll(there, shift, axis=1)).mean() for shift in (0, STRIPE))
    assert off < elsewhere / 2


@pytest.mark.slow
def test_a_finished_training_goes_on_with_more_minutes(tmp_path: Path) -> None:
    pair, out = write_outlined(tmp_path, size=(1024, 768)), tmp_path / "out"
    short = ("training.minutes=0.04", "training.validations=3", "training.enough_steps=100000")
    request = TrainRequest(DataRequest(pair, working_mpp=2), tiny_recipe(*short), out)
    request = TrainRequest(request.data, request.recipe, out, command="wsi-seg train a b --minutes 0.04")
    first = train(request)
    assert first.limits.too_few_steps
    assert first.limits.continue_with is not None
    assert first.limits.continue_with.startswith("wsi-seg train a b --resume --minutes ")
    assert any("this recipe needs about 100000" in line for line in first.limits.verdict())
    more = tiny_recipe("training.minutes=0.1", *short[1:])
    listener = Said()
    second = train(TrainRequest(request.data, more, out, resume=True), listener)
    assert f"{out / 'model-0.04min.safetensors'}: the model so far, kept" in listener.lines
    assert second.limits.steps > first.limits.steps
    assert second.seconds > first.seconds
    earlier = provenance_of(load_bundle(out / "model-0.04min.safetensors"))["limits"]["steps"]
    assert earlier == first.limits.steps
    rows = json.loads((out / "report" / "report.json").read_text())["history"]
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
    assert rows[-1]["learning_rate"] < 1e-4
