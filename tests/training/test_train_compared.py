"""Networks of the comparison go all the way: they are trained, and `predict` and `evaluate` take them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from helpers.results import labels_of
from helpers.trainings import tiny_recipe, write_outlined

from wsi_seg.cli.main import main
from wsi_seg.models.described import read_header
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.training.data.open_data import DataRequest
from wsi_seg.training.request import TrainRequest
from wsi_seg.training.train_model import train


@pytest.mark.slow
@pytest.mark.parametrize("name", ["enet"])  # the others take the same way, and minutes
def test_a_network_goes_all_the_way(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    slide, outlines = write_outlined(tmp_path, size=(384, 256))
    recipe = tiny_recipe(f"model.name={name}", "training.epochs=2", "training.epoch_steps=15")
    data = DataRequest((slide, outlines), working_mpp=2)
    model = train(TrainRequest(data, recipe, tmp_path / "training")).model
    assert read_header(model).architecture.name == name

    settings = PredictSettings(
        model=str(model), labels=LabelSettings(region_cores=1), run=RunSettings(workers=1)
    )
    predict_slide(slide, tmp_path / "out", settings)
    assert labels_of(tmp_path / "out").shape == (256, 384)

    scores = tmp_path / "scores.json"
    arguments = ["wsi-seg", "evaluate", model, slide, outlines, "--json", scores]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert json.loads(scores.read_text())
