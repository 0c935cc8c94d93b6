"""Diagnoses of plain images, as `predict` and `evaluate` tell them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tissue_rgb
from helpers.pictures import save
from typer.testing import CliRunner

from wsi_seg.cli.commands import app
from wsi_seg.inference.network.diagnosis import Diagnoser
from wsi_seg.inference.network.pixels import Normalisation
from wsi_seg.inference.plain_images import diagnose_image, predict_image
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.biopsy import BiopsyNet
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.bundle import ModelBundle, load_bundle, save_bundle
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.header import InputSpec, ModelHeader

CPU = torch.device("cpu")


def write_model(path: Path, diagnoses: int | None, size: tuple[int, int] | None = None) -> ModelBundle:
    torch.manual_seed(0)
    network = BiopsyNet(BiopsyConfig(2, diagnoses=diagnoses))
    header = ModelHeader(
        name="joint",
        architecture=architecture_of(network.config),
        classes=ClassSchema(
            name="two",
            classes=(
                TissueClass(id=0, name="some", color=(0, 0, 0)),
                TissueClass(id=1, name="other", color=(200, 0, 0)),
            ),
        ),
        input=InputSpec(channels="rgb", mean=(170, 110, 170), std=(50, 50, 40), size=size),
    )
    save_bundle(path, network, header)
    return load_bundle(path)


@pytest.mark.parametrize("size", [None, (64, 48)])
def test_it_is_what_the_network_says_of_what_it_sees(tmp_path: Path, size: tuple[int, int] | None) -> None:
    bundle = write_model(tmp_path / "m.safetensors", 3, size)
    rgb = tissue_rgb(48, 64)
    diagnosis = diagnose_image(rgb, bundle, Diagnoser.of(bundle, CPU))
    assert diagnosis is not None
    assert isinstance(bundle.network, BiopsyNet)
    images = Normalisation(bundle.input, CPU)(torch.from_numpy(rgb).permute(2, 0, 1)[None])
    with torch.inference_mode():
        expected = bundle.network.diagnose(images)[1]
    torch.testing.assert_close(torch.tensor(diagnosis.probabilities), expected[0].softmax(0))
    assert diagnosis.number == int(expected.argmax())
    assert f"diagnosis {diagnosis.number} of 0 to 2" in str(diagnosis)


def test_sides_of_any_length_are_taken_and_other_models_say_nothing(tmp_path: Path) -> None:
    bundle = write_model(tmp_path / "m.safetensors", 2)
    assert diagnose_image(tissue_rgb(41, 53), bundle, Diagnoser.of(bundle, CPU)) is not None
    plain = write_model(tmp_path / "plain.safetensors", None)
    assert diagnose_image(tissue_rgb(41, 53), plain, Diagnoser.of(plain, CPU)) is None
    image = save(tmp_path / "a.png", tissue_rgb(40, 48))
    assert predict_image(image, plain, tmp_path / "out", CPU).diagnosis is None


def test_very_large_images_get_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = write_model(tmp_path / "m.safetensors", 2)
    monkeypatch.setattr("wsi_seg.inference.plain_images.MAX_PIXELS_AT_OWN_SIZE", 1000)
    assert diagnose_image(tissue_rgb(40, 48), bundle, Diagnoser.of(bundle, CPU)) is None


def test_predict_and_evaluate_tell_it(tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    bundle = write_model(model, 3)
    data = tmp_path / "data"
    rgb = tissue_rgb(48, 64)
    found = diagnose_image(rgb, bundle, Diagnoser.of(bundle, CPU))
    assert found is not None
    for name in ("a", "b"):
        save(data / "images" / f"{name}.png", rgb)
        save(data / "masks" / f"{name}.png", np.zeros((48, 64), np.uint8))
    other = (found.number + 1) % 3
    (data / "val.txt").write_text(
        f"images/a.png masks/a.png {found.number}\nimages/b.png masks/b.png {other}"
    )
    run = CliRunner()
    told = run.invoke(
        app, ["evaluate", str(model), str(data), "--device", "cpu", "--json", str(tmp_path / "e.json")]
    )
    assert told.exit_code == 0, told.output
    assert "diagnosis right for 1 of 2 images" in told.stdout
    diagnosis = json.loads((tmp_path / "e.json").read_text())["diagnosis"]
    assert (diagnosis["right"], diagnosis["known"]) == (1, 2)
    assert [(i["name"], i["found"], i["true"]) for i in diagnosis["images"]] == [
        ("a", found.number, found.number),
        ("b", found.number, other),
    ]
    command = ["predict", str(data / "images" / "a.png"), "--model", str(model), "-o", str(tmp_path / "out")]
    told = run.invoke(app, [*command, "--device", "cpu"])
    assert told.exit_code == 0, told.output
    assert str(found) in told.stdout
