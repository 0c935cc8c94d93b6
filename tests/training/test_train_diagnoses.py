"""Diagnoses of whole images: learned beside the segmentation, reported, and refused where there are none."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.networks import backward, provenance_of
from helpers.trainings import SCHEMA, striped, tiny_recipe, write_outlined, write_tiles
from PIL import Image
from torch.nn import functional

from wsi_seg.data.sources import IGNORE
from wsi_seg.errors import UsageError
from wsi_seg.models.architecture import build_network
from wsi_seg.models.biopsy import BiopsyNet
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.header import InputSpec
from wsi_seg.training.data.draws import Draw
from wsi_seg.training.data.open_data import DataRequest
from wsi_seg.training.engine.loss import diagnosis_loss
from wsi_seg.training.engine.module import SegmentationModule
from wsi_seg.training.request import TrainRequest
from wsi_seg.training.train_model import train

SETTINGS = ("model.name=biopsy", "model.diagnoses=2", "data.validation=none")


def write_diagnosed(folder: Path, diagnoses: tuple[int | None, ...] = (0, 1, 0, 1)) -> Path:
    """Tiles that are darker the higher the diagnosis."""
    write_tiles(folder, len(diagnoses))
    lines = []
    for number, diagnosis in enumerate(diagnoses):
        path = folder / "images" / f"{number}.png"
        Image.fromarray(np.asarray(Image.open(path)) // (1 + (diagnosis or 0))).save(path)
        third = "" if diagnosis is None else f", {diagnosis}"
        lines.append(f"images/{number}.png, masks/{number}.png{third}")
    (folder / "train.txt").write_text("\n".join(lines))
    return folder


def module(weight: float = 1.0) -> SegmentationModule:
    torch.manual_seed(0)
    recipe = tiny_recipe(*SETTINGS, f"loss.diagnosis={weight}")
    spec = InputSpec(channels="rgb", mean=(128, 128, 128), std=(50, 50, 50))
    return SegmentationModule(build_network(recipe.model.architecture(2, "full")), spec, None, recipe)


def test_the_loss_is_the_mean_over_those_that_are_known() -> None:
    logits = torch.randn(4, 3)
    truth = torch.tensor([2, IGNORE, 0, IGNORE])
    expected = functional.cross_entropy(logits[[0, 2]], truth[[0, 2]])
    torch.testing.assert_close(diagnosis_loss(logits, truth), expected)
    logits.requires_grad_()
    nothing = diagnosis_loss(logits, torch.full((4,), IGNORE))
    backward(nothing)
    assert nothing == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_both_losses_are_added_by_their_weight() -> None:
    rgb, classes = striped(64, 64)
    pixels = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None]
    batch = Draw(pixels, torch.from_numpy(classes.copy())[None], torch.tensor([1]))
    losses = []
    for weight in (0.0, 1.0, 3.0):
        made = module(weight).eval()
        images = made._normalised(batch.rgb)
        loss = made._training_loss(made.network, images, batch.classes, batch.diagnosis)
        losses.append(float(loss.detach()))
    assert losses[1] > losses[0]
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-4)


@pytest.mark.slow
def test_diagnoses_are_learned_and_reported(tmp_path: Path) -> None:
    folder = write_diagnosed(tmp_path / "tiles")
    recipe = tiny_recipe(*SETTINGS, "training.epochs=2", "training.epoch_steps=12", "augment.cut_off=0")
    result = train(TrainRequest(DataRequest((folder,)), recipe, tmp_path / "out"))
    bundle = load_bundle(result.model)
    assert isinstance(bundle.network, BiopsyNet)
    assert bundle.network.config == BiopsyConfig(2, diagnoses=2)
    scores = provenance_of(bundle)["scores"]
    assert scores["diagnosis"] == {"accuracy": 1.0, "right": 4, "diagnosed": 4}
    report = json.loads((result.report.parent / "report.json").read_text())
    assert report["facts"]["diagnosis"] == scores["diagnosis"]
    (history,) = (tmp_path / "out").rglob("history.csv")
    with history.open() as file:
        validated = [row["val_diagnosis"] for row in csv.DictReader(file) if row["val_miou"]]
    assert len(validated) == 2
    assert all(0 <= float(share) <= 1 for share in validated)


@pytest.mark.parametrize(
    ("diagnoses", "said"),
    [
        ((None, None), "names no diagnoses: give them as numbers in the third column of train.txt"),
        ((0, 2), r"diagnosis 2 is not one of model\.diagnoses=2, numbered from 0: --set model\.diagnoses=3"),
    ],
)
def test_data_without_such_diagnoses_are_refused(
    tmp_path: Path, diagnoses: tuple[int | None, ...], said: str
) -> None:
    folder = write_diagnosed(tmp_path / "tiles", diagnoses)
    with pytest.raises(UsageError, match=said) as error:
        train(TrainRequest(DataRequest((folder,)), tiny_recipe(*SETTINGS), tmp_path / "out"))
    assert "\n" not in str(error.value)


def test_slides_have_no_diagnoses_to_learn(tmp_path: Path) -> None:
    pair = write_outlined(tmp_path)
    request = TrainRequest(DataRequest(pair), tiny_recipe(*SETTINGS), tmp_path / "out")
    with pytest.raises(UsageError, match="slides have no diagnoses to learn: leave them out"):
        train(request)


def test_classes_by_name_are_taken_over_from_the_segmentation_not_the_diagnosis() -> None:
    from wsi_seg.training.engine.inherit import take_over

    earlier, network = (BiopsyNet(BiopsyConfig(2, diagnoses=d)) for d in (3, 2))
    kept = take_over(network, earlier.state_dict(), SCHEMA_OF_TWO, SCHEMA_OF_TWO)
    assert kept.rows == ("head1.2.weight",)
    assert set(kept.new) == {"diagnosis.classify.1.weight", "diagnosis.classify.1.bias"}


SCHEMA_OF_TWO = SCHEMA.model_copy(update={"classes": SCHEMA.classes[:2]})
