"""Exported models: they give the same logits, say what they need, and nothing is written that does not."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SCHEMA, tissue_rgb
from helpers.networks import layer, open_script
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.errors import ModelError, UsageError
from wsi_seg.inference.network.segmenter import Segmenter
from wsi_seg.models import model_export
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bundle import ModelBundle, load_bundle, save_bundle
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.negligible import NEGLIGIBLE

BGR = InputSpec(channels="bgr", mean=(170, 110, 180), std=(50, 45, 40), scale=255, mpp=0.5)


def bundle_of(path: Path, spec: InputSpec = BGR) -> ModelBundle:
    """Make a model whose channels are the other way round and whose logits are at 1/8."""
    torch.manual_seed(0)
    config = ESPNetConfig(3, p=1, q=1, variant="C")
    header = ModelHeader(
        name="a model",
        architecture=architecture_of(config),
        classes=SCHEMA,
        input=spec,
        notice="Not for diagnosis.",
    )
    save_bundle(path / "model.safetensors", ESPNet(config), header)
    return load_bundle(path / "model.safetensors")


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    return bundle_of(tmp_path)


def transformed(rgb: Tensor, config: Path) -> Tensor:
    """Apply what config.json says to pixels of 0 to 255, as torchvision's transforms of these names do."""
    (to_tensor, normalise) = json.loads(config.read_text())["transform"]
    assert to_tensor == {"name": "ToTensor"}
    assert normalise["name"] == "Normalize"
    mean, std = (torch.tensor(normalise["arguments"][key])[:, None, None] for key in ("mean", "std"))
    return (rgb.permute(0, 3, 1, 2) / 255 - mean) / std


@pytest.mark.parametrize("kind", ["torchscript", pytest.param("onnx", marks=pytest.mark.slow)])
@torch.inference_mode()
def test_with_its_description_it_gives_what_predict_sees(
    kind: model_export.Format, bundle: ModelBundle, tmp_path: Path
) -> None:
    path = tmp_path / "new" / f"network{model_export.SUFFIXES[kind]}"
    exported = model_export.export_model(bundle, path, kind, 256)
    assert exported.config == path.parent / "network.config.json"
    assert exported.difference < 1e-4
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([path.name, "network.config.json"])
    run = model_export.open_onnx(path) if kind == "onnx" else model_export.open_torchscript(path)
    rgb = torch.from_numpy(tissue_rgb(72, 104))[None]
    expected = Segmenter(bundle, torch.device("cpu")).logits(rgb.numpy())
    found = run(transformed(rgb, exported.config))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * expected.abs().max().item())


def test_the_description_is_what_wsinfers_zoo_reads(bundle: ModelBundle) -> None:
    config: dict[str, Any] = model_export.describe(bundle, 256)
    assert list(config) == [
        "spec_version",
        "architecture",
        "num_classes",
        "patch_size_pixels",
        "spacing_um_px",
        "class_names",
        "transform",
    ]
    assert (config["spec_version"], config["architecture"], config["num_classes"]) == ("1.0", "ESPNet-C", 3)
    assert (config["patch_size_pixels"], config["spacing_um_px"]) == (256, 0.5)
    assert config["class_names"] == ["Glass", "Stroma", "Tumour"]
    normalise = config["transform"][1]["arguments"]
    assert normalise["mean"] == pytest.approx([180 / 255, 110 / 255, 170 / 255])
    assert normalise["std"] == pytest.approx([40, 45, 50])


def test_a_model_of_no_resolution_has_no_description(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, BGR.model_copy(update={"mpp": None}))
    out = tmp_path / "out"
    assert model_export.export_model(bundle, out / "network.pt", "torchscript", 256).config is None
    assert [p.name for p in out.iterdir()] == ["network.pt"]


def test_what_the_file_system_refuses_is_an_error_of_it(tmp_path: Path) -> None:
    """PyTorch has one of its own, or ends the process."""
    bundle = bundle_of(tmp_path, BGR)
    with pytest.raises(FileNotFoundError):
        model_export.write_torchscript(bundle.network.eval(), tmp_path / "gone" / "network.pt", "{}", 8)


def test_what_described_another_network_does_not_stay(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, BGR.model_copy(update={"mpp": None}))
    (tmp_path / "network.config.json").write_text("{}")
    model_export.export_model(bundle, tmp_path / "network.pt", "torchscript", 256)
    assert not (tmp_path / "network.config.json").exists()


def weights_of(path: Path, kind: model_export.Format) -> list[Tensor]:
    """All floats that an exported file holds."""
    if kind == "torchscript":
        return [t for t in open_script(path).state_dict().values() if t.is_floating_point()]
    import onnx

    arrays = [onnx.numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer]
    return [torch.from_numpy(array.copy()) for array in arrays if array.dtype.kind == "f"]


@pytest.mark.parametrize("kind", ["torchscript", pytest.param("onnx", marks=pytest.mark.slow)])
def test_weights_that_have_decayed_to_nothing_are_zero(
    kind: model_export.Format, bundle: ModelBundle, tmp_path: Path
) -> None:
    reduce = layer(bundle.network, "encoder.level2.0.reduce", nn.Conv2d).weight
    with torch.no_grad():
        reduce[:3] *= 1e-39
        reduce[3] *= 1e-22
    path = tmp_path / f"network{model_export.SUFFIXES[kind]}"
    assert model_export.export_model(bundle, path, kind, 256).difference < 1e-4
    weights = torch.cat([t.flatten() for t in weights_of(path, kind)])
    assert len(weights) > 10_000
    assert not ((weights != 0) & (weights.abs() < NEGLIGIBLE)).any()
    assert (reduce != 0).all()  # the model is as it was


def test_the_header_goes_along(bundle: ModelBundle, tmp_path: Path) -> None:
    model_export.export_model(bundle, tmp_path / "network.pt", "torchscript", 256)
    found = {model_export.HEADER_KEY: ""}
    open_script(tmp_path / "network.pt", found)
    assert ModelHeader.model_validate_json(found[model_export.HEADER_KEY]) == bundle.header


@pytest.mark.parametrize("wrong", [1.01, float("nan")])
def test_a_network_that_gives_other_logits_is_not_written(
    wrong: float, bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = model_export.Exportable(bundle)
    monkeypatch.setattr(model_export, "open_torchscript", lambda _: lambda image: wrong * network(image))
    path = tmp_path / "out" / "network.pt"
    with pytest.raises(ModelError, match=r"not written: its logits are off the model's by (0.01|nan) of"):
        model_export.export_model(bundle, path, "torchscript", 256)
    assert not list(path.parent.iterdir())


def test_logits_of_another_shape_differ(bundle: ModelBundle) -> None:
    network = model_export.Exportable(bundle)
    assert model_export.difference_of(network, lambda image: network(image)[..., 1:], 8) == float("inf")
    assert model_export.difference_of(network, network, 8) == 0


def test_what_is_missing_is_named(
    bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"needs onnxruntime, which .*: pip install 'wsi-seg\[onnx\]'"):
        model_export.export_model(bundle, tmp_path / "network.onnx", "onnx", 256)
    assert not (tmp_path / "network.onnx").exists()


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    cells=st.tuples(st.integers(1, 24), st.integers(1, 24)),
)
def test_averages_are_those_of_adaptive_pooling(sides: tuple[int, int], cells: tuple[int, int]) -> None:
    x = torch.randn(1, 2, *sides)
    torch.testing.assert_close(model_export.average(x, cells), functional.adaptive_avg_pool2d(x, cells))


OF_THIS_MACHINE = [
    str(Path(model_export.__file__).parents[1]),
    *(str(Path(torch.__file__).parent), str(Path(__file__).parent)),
    *("site-packages", "stack_trace", "pkg.torch"),
]


def test_torchscript_does_not_say_where_it_was_exported(bundle: ModelBundle, tmp_path: Path) -> None:
    model_export.write_torchscript(model_export.Exportable(bundle).eval(), tmp_path / "network.pt", "{}", 8)
    with zipfile.ZipFile(tmp_path / "network.pt") as records:
        content = b"\n".join(records.read(name) for name in records.namelist())
    assert [word for word in OF_THIS_MACHINE if word.encode() in content] == []


@pytest.mark.slow
def test_onnx_does_not_say_where_it_was_exported_and_is_the_same_again(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU()).eval()
    for name in ("one", "other"):
        model_export.write_onnx(network, tmp_path / name, "{}", 8)
    content = (tmp_path / "one").read_bytes()
    assert content == (tmp_path / "other").read_bytes()
    assert [word for word in OF_THIS_MACHINE if word.encode() in content] == []
