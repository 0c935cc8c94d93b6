"""The example of docs/networks.md, as somebody follows it: a package with a network of its own."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest
from helpers.network_contract import NetworkContract
from helpers.results import labels_of
from helpers.trainings import striped, tiny_recipe, write_outlined

from wsi_seg.models import registry
from wsi_seg.models.bundle import load_bundle
from wsi_seg.models.network import NetworkConfig
from wsi_seg.models.registry import find_network
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.training.data.open_data import DataRequest
from wsi_seg.training.recipe import override
from wsi_seg.training.request import TrainRequest
from wsi_seg.training.train_model import train

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Add a network")[2]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", SECTION, flags=re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the package, as pip leaves it."""
    monkeypatch.setattr(registry, "_found", {})
    points = tomllib.loads(block("toml"))["project"]["entry-points"]["wsi_seg.networks"]
    (tmp_path / "tiny_unet.py").write_text(block("python"))
    about = tmp_path / "tiny_unet-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-unet\nVersion: 1.0\n")
    lines = [f"{name} = {where}" for name, where in points.items()]
    (about / "entry_points.txt").write_text("\n".join(["[wsi_seg.networks]", *lines, ""]))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tiny_unet", raising=False)
    importlib.invalidate_caches()


def test_it_is_trained_saved_read_again_and_segments_a_slide(tmp_path: Path) -> None:
    slide, outlines = write_outlined(tmp_path, size=(384, 256))
    recipe = override(tiny_recipe(), ["model.name=tiny-unet", "model.width=8", "training.epochs=2"])
    out = tmp_path / "training"
    model = train(TrainRequest(DataRequest((slide, outlines), working_mpp=2), recipe, out)).model
    bundle = load_bundle(model)
    assert bundle.architecture.name == "tiny-unet"
    assert (bundle.architecture.config.title, bundle.architecture.config.shape) == ("TinyUNet", "width = 8")
    settings = PredictSettings(
        model=str(model), labels=LabelSettings(region_cores=1), run=RunSettings(workers=1)
    )
    predict_slide(slide, tmp_path / "out", settings)
    assert (labels_of(tmp_path / "out") == striped(256, 384)[1]).mean() > 0.9


class TestContract(NetworkContract):
    @pytest.fixture
    def config(self) -> NetworkConfig:
        return find_network("tiny-unet").config_type(3)
