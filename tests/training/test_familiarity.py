"""A trained model remembers its tissue, and `predict` compares slides with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import write_tiff
from helpers.results import features_of
from helpers.trainings import striped, tiny_recipe, write_outlined, write_tiles

from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.familiarity import Familiarity, Verdict
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.training.data.open_data import DataRequest
from wsi_seg.training.request import TrainRequest
from wsi_seg.training.train_model import train

FEW = ("training.epochs=2", "training.epoch_steps=5")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_outlined(tmp_path_factory.mktemp("outlined"))


@pytest.fixture(scope="module")
def model(pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("remembering") / "stripes"
    return train(TrainRequest(DataRequest(pair, working_mpp=2), tiny_recipe(*FEW), out)).model


def familiarity_of(slide: Path, model: Path, out: Path) -> Familiarity | None:
    settings = PredictSettings(model=str(model), labels=LabelSettings(patch=256), run=RunSettings(workers=1))
    return predict_slide(slide, out, settings).familiarity


def test_a_model_remembers_what_it_was_trained_on(model: Path, pair: tuple[Path, Path]) -> None:
    tissue = load_bundle(model).tissue
    assert tissue is not None
    rgb, _ = striped(512, 768)
    assert tissue.patches == 6
    assert tissue.mpp == 2
    assert tissue.rgb_mean == pytest.approx(rgb.mean(axis=(0, 1)), abs=0.1)
    assert tissue.rgb_std == pytest.approx(rgb.std(axis=(0, 1)), abs=0.1)


def test_a_slide_is_compared_with_it(model: Path, pair: tuple[Path, Path], tmp_path: Path) -> None:
    found = familiarity_of(pair[0], model, tmp_path / "same")
    assert found is not None
    assert found.verdict is Verdict.FAMILIAR
    assert found.differs == ()
    rgb, _ = striped(512, 768)
    dense = (rgb.astype(float) ** 2 / 255).astype(np.uint8)  # twice the dye
    found = familiarity_of(write_tiff(tmp_path / "dense.tiff", dense), model, tmp_path / "dense")
    assert found is not None
    assert found.verdict is Verdict.UNFAMILIAR
    assert any(what.startswith("stain (") for what in found.differs)


def test_a_model_without_memory_says_so_and_labels_the_same(
    model: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle = load_bundle(model)
    old = tmp_path / "old.safetensors"
    save_bundle(old, bundle.network, bundle.header.model_copy(update={"tissue": None}))
    assert b'"tissue"' not in old.read_bytes()
    found = familiarity_of(pair[0], old, tmp_path / "old")
    assert found is not None
    assert found.verdict is Verdict.UNKNOWN
    assert "remembers no tissue" in found.line
    familiarity_of(pair[0], model, tmp_path / "new")
    # The files state their models, which differ.
    assert features_of(tmp_path / "old") == features_of(tmp_path / "new") != []


def test_nothing_is_said_of_a_slide_without_tissue(model: Path, tmp_path: Path) -> None:
    empty = write_tiff(tmp_path / "glass.tiff", np.full((512, 512, 3), (243, 242, 244), np.uint8))
    assert familiarity_of(empty, model, tmp_path / "out") is None


def test_models_of_plain_images_remember_nothing(tmp_path: Path) -> None:
    folder = write_tiles(tmp_path / "tiles")
    request = TrainRequest(DataRequest((folder,)), tiny_recipe(*FEW), tmp_path / "out")
    assert load_bundle(train(request).model).tissue is None
