"""A network given in Python goes all the way: it segments, is trained, saved, read again and evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import provenance_of
from helpers.results import labels_of
from helpers.trainings import NAMES, striped, write_outlined
from torch import Tensor, nn

import wsi_seg as ws
from wsi_seg.cli.main import main


class TwoLayers(nn.Module):
    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, classes, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.layers(image)
        return logits


IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def model(**given: object) -> ws.Model:
    torch.manual_seed(0)
    return ws.Model.from_torch(TwoLayers(), classes=NAMES[:2], mpp=2.0, **(IMAGENET | given))


def test_mean_and_std_are_on_the_scale_that_they_are_of() -> None:
    spec = model().bundle.input
    assert spec.mean == pytest.approx([123.675, 116.28, 103.53])
    assert spec.std == pytest.approx([58.395, 57.12, 57.375])
    assert model(mean=(170, 110, 170), std=(50, 50, 40)).bundle.input.mean == (170, 110, 170)
    plain = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    assert model(**plain, pixel_max=255).bundle.input.std == (1, 1, 1)
    assert model(**plain, pixel_max=1).bundle.input.std == (255, 255, 255)
    with pytest.raises(ws.WsiSegError, match="do not show the value of white: give pixel_max=1 or 255"):
        model(**plain)
    with pytest.raises(ws.WsiSegError, match=r"classes=.*class names are not unique"):
        ws.Model.from_torch(TwoLayers(), classes=["a", "a"], **IMAGENET)
    with pytest.raises(ws.WsiSegError, match="gives 2 channels, but 3 classes are named"):
        ws.Model.from_torch(TwoLayers(), classes=NAMES, **IMAGENET)


def test_it_segments_as_pytorch_does(tmp_path: Path) -> None:
    ours = model()
    rgb, _ = striped(192, 256)
    pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255
    mean, std = (torch.tensor(v)[None, :, None, None] for v in IMAGENET.values())
    torch.manual_seed(0)
    with torch.no_grad():
        logits = TwoLayers().eval()((pixels - mean) / std)
        logits = nn.functional.interpolate(logits, scale_factor=2, mode="bilinear")
    expected = logits.argmax(1)[0].numpy()
    found = ours.segment(rgb)
    inside = np.s_[4:-4, 4:-4]  # the edge is mirrored here, and zero there
    assert (found[inside] != expected[inside]).mean() < 1e-3


def test_it_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slide, outlines = write_outlined(tmp_path, size=(384, 256))
    ours = model()
    result = ws.segment(slide, ours, out=tmp_path / "before")
    assert set(result.areas_mm2) == set(NAMES[:2])
    with pytest.raises(
        ws.WsiSegError, match="was given in Python, and is in this process alone: leave the scheduler out"
    ):
        ws.segment(slide, ours, out=tmp_path / "far", scheduler="tcp://127.0.0.1:1")

    trained = ws.train(
        [(slide, outlines)],
        out=tmp_path / "training",
        init=ours,
        settings=[
            *("training.epochs=2", "training.epoch_steps=15", "training.batch_size=4", "data.patch=64"),
            *("optimiser.learning_rate=0.01", "training.precision=float32", "augment.hue=0"),
        ],
    )
    assert trained.scores.mean_iou > 0.9
    assert ours.fingerprint == model().fingerprint, "the model that was given stays as it is"
    assert provenance_of(trained.model.bundle)["recipe"]["model"]["name"] == "given"
    data = provenance_of(trained.model.bundle)["data"]
    assert data["started from"] == "TwoLayers (a network given in Python)"
    with pytest.warns(UserWarning, match="unfamiliar"):  # after a few steps the network knows no tissue yet
        ws.segment(slide, trained.model, out=tmp_path / "after")
    truth = striped(256, 384)[1]
    assert (labels_of(tmp_path / "after") == truth).mean() > 0.9

    again = ws.load_model(trained.model.path, network=TwoLayers())
    assert again.fingerprint == trained.model.fingerprint
    assert ws.evaluate(again, [(slide, outlines)]).mean_iou > 0.9
    monkeypatch.setattr("sys.argv", ["wsi-seg", "predict", str(slide), "--model", str(again.path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1


def test_a_resume_is_guarded_by_the_weights(tmp_path: Path) -> None:
    slide, _ = write_outlined(tmp_path, size=(256, 128))
    ws.segment(slide, model(), out=tmp_path / "result")
    ws.segment(slide, model(), out=tmp_path / "result")
    other = ws.Model.from_torch(TwoLayers(), classes=NAMES[:2], mpp=2.0, **IMAGENET)
    with pytest.raises(ws.WsiSegError, match="made by another model: use another -o"):
        ws.segment(slide, other, out=tmp_path / "result")


def test_classes_of_the_data_are_those_of_the_network(tmp_path: Path) -> None:
    slide, outlines = write_outlined(tmp_path, size=(384, 256), classes=3)
    with pytest.raises(ws.WsiSegError, match=NAMES[2]) as error:
        ws.train([(slide, outlines)], out=tmp_path / "training", init=model())
    assert "\n" not in str(error.value)
    other = tmp_path / "other.yaml"
    lines = [f"  - {{id: {i}, name: {name}, color: [1, 2, {i}]}}" for i, name in enumerate(NAMES)]
    other.write_text("\n".join(["name: other", "classes:", *lines, ""]))
    with pytest.raises(
        ws.WsiSegError, match=r"has the classes Stroma, Tumour, but the data have Stroma, .*, N"
    ):
        ws.train(
            [(slide, outlines)],
            out=tmp_path / "training",
            init=model(),
            classes=str(other),
            settings=["data.validation=none"],
        )
