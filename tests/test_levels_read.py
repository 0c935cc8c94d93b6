"""Slides with faulty levels, from the file to the map: what they show is level 0's."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SCHEMA, tissue_rgb
from helpers.drawn import write_boxes
from helpers.pyramids import mean, nearest, write_pyramid, ycbcr
from helpers.results import labels_of, level_read
from helpers.trainings import tiny_recipe

from wsi_seg.cli.main import main
from wsi_seg.data.annotated_slides import SlideReading, open_labelled_slides
from wsi_seg.data.truth import TruthSettings
from wsi_seg.errors import OutputError, UsageError
from wsi_seg.evaluation.on_slides import evaluate_slides
from wsi_seg.models.bundle import load_bundle
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.summary import Summary
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide
from wsi_seg.training.data.open_data import DataRequest, open_data
from wsi_seg.training.data.training_data import TrainingData

LABELS = LabelSettings(patch=192, overlap=64, region_cores=1)


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Slides of 1 um with one level 0: alone; with a level in wrong colours; with nearest pixels."""
    folder, rgb = tmp_path_factory.mktemp("slides"), np.full((1000, 1400, 3), 243, np.uint8)
    rgb[100:800, 200:1100] = tissue_rgb(700, 900)
    return {
        "alone": write_pyramid(folder / "alone.tiff", rgb, mpp=1.0),
        "faulty": write_pyramid(folder / "faulty.tiff", rgb, ycbcr(rgb, 2), ycbcr(rgb, 4), mpp=1.0),
        "nearest": write_pyramid(folder / "nearest.tiff", rgb, nearest(rgb, 2), mpp=1.0),
        "mean": write_pyramid(folder / "mean.tiff", rgb, mean(rgb, 2), mpp=1.0),
    }


def predict(slide: Path | Slide, out: Path, model: Path, from_level_0: bool = False) -> Summary:
    labels = LABELS.model_copy(update={"from_level_0": from_level_0})
    return predict_slide(
        slide, out, PredictSettings(model=str(model), labels=labels, run=RunSettings(workers=2))
    )


def test_a_level_in_wrong_colours_does_not_change_the_map(
    slides: dict[str, Path], model_path: Path, tmp_path: Path
) -> None:
    right = predict(slides["alone"], tmp_path / "alone", model_path)
    summary = predict(slides["faulty"], tmp_path / "faulty", model_path)
    np.testing.assert_array_equal(labels_of(tmp_path / "faulty"), labels_of(tmp_path / "alone"))
    assert len(np.unique(labels_of(tmp_path / "alone"))) > 1
    assert (level_read(right), right.level_remarks) == (0, ())
    assert level_read(summary) == 0
    assert summary.status == "finished"
    assert "levels 1, 2 of the file show something else than level 0" in summary.level_remarks[0]
    written = json.loads((tmp_path / "faulty" / "summary.json").read_text())
    assert written["read_from"] == {"level": 0, "downsample": [1, 1], "mpp": pytest.approx([1, 1])}
    assert written["level_remarks"] == list(summary.level_remarks)


def test_from_level_0_the_other_levels_have_no_say(
    slides: dict[str, Path], model_path: Path, tmp_path: Path
) -> None:
    assert level_read(predict(slides["nearest"], tmp_path / "nearest", model_path)) == 1
    with pytest.raises(OutputError, match=r"from other levels of the slide \(--from-level-0\).*--overwrite"):
        predict(slides["nearest"], tmp_path / "nearest", model_path, from_level_0=True)
    found = {}
    for name in ("alone", "nearest", "mean"):
        assert level_read(predict(slides[name], tmp_path / "0" / name, model_path, True)) == 0
        found[name] = labels_of(tmp_path / "0" / name)
    np.testing.assert_array_equal(found["nearest"], found["alone"])
    np.testing.assert_array_equal(found["mean"], found["alone"])
    assert (labels_of(tmp_path / "nearest") != found["alone"]).any()
    with Slide(slides["nearest"]) as slide, pytest.raises(UsageError, match=r"levels_read=\(0,\)"):
        predict(slide, tmp_path / "open", model_path, from_level_0=True)


def test_evaluation_and_training_read_the_same_and_say_so(
    slides: dict[str, Path], model_path: Path, tmp_path: Path
) -> None:
    drawn = write_boxes(tmp_path / "drawn.geojson", ("Tumour", (300, 200, 700, 600)))
    rest, bundle = TruthSettings(rest="Stroma"), load_bundle(model_path)
    whole = Rect(0, 0, 500, 700)
    read: dict[str, Any] = {}
    for name, reading in (("alone", None), ("faulty", None), ("nearest", SlideReading(from_level_0=True))):
        _, (labelled,) = open_labelled_slides([(slides[name], drawn)], SCHEMA, 2.0, rest, reading)
        read[name] = labelled.read(whole)
        settings = PredictSettings(model=str(model_path), labels=LABELS)
        done = evaluate_slides([labelled], SCHEMA, bundle, torch.device("cpu"), settings)
        read[name + " counts"] = done.total.confusion.counts
        assert done.details["read_from"] == {name: "level 0 (1/1, 1 um per px)"}
        remarks = [line for line in done.remarks if "something else than level 0" in line]
        assert len(remarks) == (name == "faulty")
        assert labelled.remarks == tuple(remarks)
    for name in ("faulty", "nearest"):
        np.testing.assert_array_equal(read[name].rgb, read["alone"].rgb)
        np.testing.assert_array_equal(read[name].classes, read["alone"].classes)
        np.testing.assert_array_equal(read[name + " counts"], read["alone counts"])


def test_a_training_knows_what_it_was_read_from(slides: dict[str, Path], tmp_path: Path) -> None:
    drawn = write_boxes(tmp_path / "drawn.geojson", ("Tumour", (300, 200, 700, 600)))

    def opened(name: str, from_level_0: bool = False) -> TrainingData:
        request = DataRequest(
            (slides[name], drawn), TruthSettings(rest="Stroma"), working_mpp=2, from_level_0=from_level_0
        )
        return open_data(request, tiny_recipe("data.validation=none"), None)

    faulty = opened("faulty")
    assert faulty.read_from == ("faulty: level 0 (1/1, 1 um per px)",)
    assert any("levels 1, 2 of the file show something else" in remark for remark in faulty.remarks)
    assert opened("mean").read_from == ("mean: level 1 (1/2, 2 um per px)",)
    assert opened("mean", from_level_0=True).read_from == ("mean: level 0 (1/1, 1 um per px)",)
    with pytest.raises(UsageError, match="--from-level-0: has no effect on images"):
        open_data(DataRequest((tmp_path,), from_level_0=True), tiny_recipe(), None)


def test_the_command_line_says_which_level_was_read(
    slides: dict[str, Path],
    model_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["wsi-seg", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    text = run("info", slides["faulty"])
    assert "1/2, tiles of 128 x 128, shows something else than level 0: not read" in text
    levels = json.loads(run("info", slides["nearest"], "--json"))[0]["levels"]
    assert [(level["read"], level["agreement"]) for level in levels] == [
        (True, None),
        (True, "agrees with level 0"),
    ]
    assert levels[1]["difference"] < 10
    options = ("--model", model_path, "--workers", 1)
    text = run("predict", slides["faulty"], *options, "-o", tmp_path / "a")
    assert "read from level 0 (1/1, 1 um per px)" in text
    assert "something else than level 0" in text
    text = run("predict", slides["mean"], *options, "-o", tmp_path / "b")
    assert "read from level 1 (1/2, 2 um per px)" in text
    text = run("predict", slides["mean"], *options, "-o", tmp_path / "c", "--from-level-0")
    assert "read from level 0 (1/1, 1 um per px)" in text
