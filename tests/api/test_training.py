from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tissue_rgb, write_tiff
from helpers.trainings import write_outlined
from torch import nn

import wsi_seg as ws
from wsi_seg.errors import AnnotationError, FinishedError, UsageError
from wsi_seg.training.request import TrainRequest

SHORT = ("data.patch=64", "data.cache_mb=64", "training.epochs=1", "training.epoch_steps=3")


def test_a_training_gives_a_model_its_report_and_its_scores(tmp_path: Path) -> None:
    pair = write_outlined(tmp_path)
    trained = ws.train([pair], out=str(tmp_path / "out"), rest="Other tissue", settings=SHORT, device="cpu")
    assert trained.model.path == tmp_path / "out/model.safetensors"
    names = [c.name for c in trained.model.classes]
    assert names == ["Other tissue", "Stroma", "Tumour"]
    assert trained.report == tmp_path / "out/report/report.html"
    assert trained.report.is_file()
    assert trained.scores.iou.keys() == set(names)
    assert trained.scores.confusion.shape == (3, 4)
    assert trained.scores.pixels > 0
    assert [each.name for each in trained.limits.classes] == names
    assert trained.limits.classes[1].outlines == 24
    assert trained.limits.steps == 3
    assert trained.limits.continue_with is None, "it was not given minutes"
    assert repr(trained.scores).startswith("<wsi_seg scores: mean IoU 0.")
    with pytest.raises(FinishedError, match="already finished"):
        ws.train([pair], out=tmp_path / "out", rest="Other tissue", settings=SHORT, device="cpu")

    scores = ws.evaluate(trained.model, [pair], device="cpu")
    assert scores.classes == tuple(names)
    assert str(scores).startswith("model ") or "mean IoU" in str(scores)
    assert any("was trained on parts of this slide" in remark for remark in scores.remarks)
    said = "the model was trained with --rest 'Other tissue': give it here too"
    assert any(remark.startswith(said) for remark in scores.remarks)
    alike = ws.evaluate(trained.model, [pair], rest="Other tissue", device="cpu")
    assert not any(remark.startswith(said) for remark in alike.remarks)
    assert alike.pixels > scores.pixels


def test_scores_are_those_of_the_pixels(model_path: Path, tmp_path: Path) -> None:
    slide, drawn = write_outlined(tmp_path)
    model = ws.load_model(model_path)
    result = ws.segment(slide, model, out=tmp_path / "out", device="cpu", workers=1)
    by_model = ws.evaluate(model, [(slide, drawn)], device="cpu")
    by_result = ws.evaluate(result, drawn)
    np.testing.assert_array_equal(by_model.confusion, by_result.confusion)
    np.testing.assert_array_equal(by_result.confusion, ws.evaluate(str(result.path), [drawn]).confusion)
    counts = by_result.confusion
    assert by_result.pixels == counts.sum() == 48 * 56 * 120
    hits = np.diagonal(counts)
    union = counts.sum(1) + counts[:, :-1].sum(0) - hits
    assert by_result.iou["Tumour"] == pytest.approx(hits[2] / union[2])
    assert by_result.mean_iou == pytest.approx(np.mean([hits[i] / union[i] for i in (1, 2)]))
    assert by_result.recall["Stroma"] == pytest.approx(hits[1] / counts[1].sum())
    assert np.isnan(by_result.recall["Glass"])


def test_settings_are_taken_by_their_names_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def noted(request: TrainRequest, progress: object) -> None:
        asked.append(request.recipe)
        raise KeyboardInterrupt

    monkeypatch.setattr("wsi_seg.api.training.run_training", noted)
    for settings in (
        {"training.epochs": 3, "data.classes": None, "data.sizes": [[512, 256]], "loss.dice": 1e-05},
        ["training.epochs=3", "data.sizes=[[512, 256]]", "loss.dice=0.00001"],
        "training.epochs=3",
    ):
        with pytest.raises(KeyboardInterrupt):
            ws.train([("s", "a")], out=tmp_path, settings=settings)
    with pytest.raises(UsageError, match=r"--minutes 5: training\.epochs is a length of the training, too"):
        ws.train([("s", "a")], out=tmp_path, minutes=5, settings="training.epochs=3")
    assert asked[0] == asked[1]
    assert [recipe.training.epochs for recipe in asked] == [3, 3, 3]
    assert asked[0].loss.dice == 1e-05
    wrong: list[tuple[Any, str]] = [
        ({"training.epoch": 3}, "settings: 'training.epoch': no such setting: use one of training.minutes, "),
        ({"epochs": 3}, "settings: 'epochs': no such setting: use one of model. ..., data. ..., "),
        ({5: 3}, "settings: 5: no such setting: "),
        ({"training.epochs": "many"}, "recipe: training.epochs: input should be a valid integer"),
        (
            ["training.epoch=3"],
            "--set training.epoch=3: no such setting: use NAME=VALUE with one of training.",
        ),
    ]
    for value, line in wrong:
        with pytest.raises(UsageError) as refused:
            ws.train([("s", "a")], out=tmp_path, settings=value)
        assert str(refused.value).startswith(line)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "wsi_seg.training.train_model",
            "training needs wsi_seg.training.train_model, which is missing: install wsi-seg again",
        ),
        (
            "no_such_package.part",
            "training needs no_such_package, which is not installed: pip install 'wsi-seg[train]'",
        ),
    ],
)
def test_a_module_that_is_missing_is_named_for_what_it_is(
    name: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("wsi_seg.api.training.import_module", missing)
    with pytest.raises(ws.WsiSegError) as refused:
        ws.train([("s", "a")], out=tmp_path)
    assert str(refused.value) == line


def test_classes_that_a_result_lacks_are_named_as_the_results(model_path: Path, tmp_path: Path) -> None:
    """The schema of a model that was trained on annotations is called "annotations"."""
    slide, drawn = write_outlined(tmp_path)
    network = nn.Conv2d(3, 2, 1)
    named = {"classes": ["Glass", "Stroma"], "mpp": 2.0, "mean": [0.5] * 3, "std": [0.2] * 3}
    model = ws.Model.from_torch(network, **named)  # type: ignore[arg-type]
    result = ws.segment(slide, model, out=tmp_path / "out", device="cpu", workers=1)
    for evaluated, data, owner in (
        (result, drawn, f"the result {tmp_path / 'out'}"),
        (model, [(slide, drawn)], "the model"),
    ):
        with pytest.raises(AnnotationError) as refused:
            ws.evaluate(evaluated, data, device="cpu")
        assert str(refused.value).startswith(f"classes that {owner} lacks: 'Tumour' (")
        assert str(refused.value).endswith(
            "it has Glass, Stroma; rename them, or give --classes with these as aliases"
        )


def test_what_is_no_data_is_refused(model_path: Path, slide_path: Path, tmp_path: Path) -> None:
    model = ws.load_model(model_path)
    with pytest.raises(UsageError, match="nothing is given: give pairs"):
        ws.evaluate(model, [])
    with pytest.raises(UsageError, match=r"is not a pair: give \(slide, annotations\)"):
        ws.evaluate(model, [slide_path])
    with pytest.raises(UsageError, match="split='val': has no effect on slides: leave it out"):
        ws.evaluate(model, [(slide_path, slide_path)], split="val")
    small = write_tiff(tmp_path / "small.tiff", tissue_rgb(64, 64))
    result = ws.segment(small, model, out=tmp_path / "out", device="cpu", workers=1)
    with pytest.raises(UsageError, match=r"mpp=2.0: has no effect on a finished result"):
        ws.evaluate(result, "drawn.geojson", mpp=2.0)
    with pytest.raises(UsageError, match="give its annotation file, or a list of several, without slides"):
        ws.evaluate(result, [(slide_path, slide_path)])
    with pytest.raises(UsageError, match="--minutes 0: no length of time"):
        ws.train([(slide_path, slide_path)], out=tmp_path / "training", minutes=0)
