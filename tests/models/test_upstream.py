"""The authors' checkpoints: same outputs as their own code, and no tensor lost on the way."""

from __future__ import annotations

import pickle
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from helpers.networks import espnet_config
from torch import Tensor

from wsi_seg.errors import ModelError, UsageError
from wsi_seg.models import bounded
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.models.classes import ClassSchema, TissueClass, load_schema
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.upstream import CITYSCAPES_INPUT, InputOverrides, import_checkpoint, input_spec
from wsi_seg.models.upstream_names import upstream_names

if TYPE_CHECKING:
    from pathlib import Path

CITYSCAPES = load_schema("cityscapes")
COUNTS = {
    ("encoder", 3): 187_529,
    ("encoder", 5): 252_297,
    ("encoder", 8): 349_449,
    ("decoder", 3): 202_649,
    ("decoder", 5): 267_417,
    ("decoder", 8): 364_569,
}
FULL = ESPNetConfig(20, p=2, q=1, decoder_width=20, decoder_skip="level1")
STATISTICS = InputOverrides(mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))


@pytest.fixture(scope="session")
def checkpoints(shared_data: Path) -> Path:
    folder = shared_data / "espnet"
    if not folder.is_dir():
        pytest.skip("the authors' checkpoints are absent: espnet/ in the data folder")
    return folder


def authors_state(network: ESPNet) -> dict[str, Tensor]:
    """The network's state under the authors' names, as an old PyTorch would have saved it."""
    names = upstream_names(network.config)
    state = {}
    for ours, tensor in network.state_dict().items():
        module, leaf = ours.rsplit(".", 1)
        if leaf != "num_batches_tracked":
            state[f"{names[module]}.{leaf}"] = tensor
    return state


def saved(path: Path, state: object) -> Path:
    torch.save(state, path)
    return path


def schema_of(count: int) -> ClassSchema:
    return ClassSchema(
        name="made up", classes=tuple(TissueClass(id=i, name=str(i), color=(i, i, i)) for i in range(count))
    )


def refused(path: Path, schema: ClassSchema = CITYSCAPES) -> str:
    with pytest.raises(ModelError) as caught:
        import_checkpoint(path, schema)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("kind", "q"), COUNTS)
def test_released_weights_give_the_released_outputs(
    checkpoints: Path, tmp_path: Path, kind: str, q: int
) -> None:
    with np.load(checkpoints / "golden_outputs.npz") as golden:
        image, expected = torch.from_numpy(golden["input"]), golden[f"{kind}_q{q}"]
    path = checkpoints / kind / f"espnet_p_2_q_{q}.pth"
    save_bundle(tmp_path / "model.safetensors", *import_checkpoint(path, CITYSCAPES))
    bundle = load_bundle(tmp_path / "model.safetensors")

    config = espnet_config(bundle.architecture.config)
    assert (config.p, config.q, config.branches, config.classes) == (2, q, 5, 20)
    assert config.variant == ("C" if kind == "encoder" else "full")
    assert sum(p.numel() for p in bundle.network.parameters()) == COUNTS[kind, q]
    assert bundle.input == CITYSCAPES_INPUT
    with torch.inference_mode():
        logits = bundle.network(image).numpy()
    # The input is far from a photograph's, and logits reach 3000: float32 rounds to 1e-6 of the largest.
    largest = np.abs(expected).max()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * largest)
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.9999


@pytest.mark.parametrize("named", ["camvid", "camvid-void"])
def test_the_camvid_network_needs_no_more_than_its_classes(tmp_path: Path, named: str) -> None:
    """12 outputs, the decoder that takes 19 channels of level 1: the shape of the one that was released."""
    network = ESPNet(ESPNetConfig(12, p=2, q=8, decoder_width=12, decoder_skip="reinforced")).eval()
    state = authors_state(network)
    assert state["conv.conv.weight"].shape == (12, 19 + 12, 3, 3)
    path = saved(tmp_path / "espnet_p_2_q_8_camvid.pth", state)
    imported, header = import_checkpoint(path, load_schema(named))
    assert imported.config == network.config
    assert header.classes == load_schema("camvid-void")
    assert header.input.channels == "bgr"
    assert header.input.mean == (108.6, 104.7, 101.1)
    assert header.input.std == (72.2, 72.8, 70.0)
    assert (header.input.scale, header.input.size) == (255, (480, 360))
    image = torch.randn(1, 3, 40, 64)
    assert torch.equal(imported(image), network(image))


@pytest.mark.parametrize("skip", ["level1", "reinforced"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_both_released_decoders_load(tmp_path: Path, skip: str, prefix: str) -> None:
    network = ESPNet(ESPNetConfig(11, p=2, q=3, decoder_width=11, decoder_skip=skip)).eval()  # type: ignore[arg-type]
    state = {prefix + key: tensor for key, tensor in authors_state(network).items()}
    imported, header = import_checkpoint(
        saved(tmp_path / "camvid.pth", state), schema_of(11), STATISTICS, "CamVid"
    )
    assert imported.config == network.config
    assert (header.name, header.training["checkpoint"]) == ("CamVid", "camvid.pth")
    image = torch.randn(1, 3, 32, 64)
    assert torch.equal(imported(image), network(image))


def test_batch_counters_and_training_checkpoints_are_accepted(tmp_path: Path) -> None:
    network = ESPNet(ESPNetConfig(4, q=1, variant="C"))
    state = authors_state(network) | {"level1.bn.num_batches_tracked": torch.tensor(7)}
    path = saved(tmp_path / "checkpoint.pth.tar", {"epoch": 3, "state_dict": state, "lr": 0.1})
    imported, _ = import_checkpoint(path, schema_of(4), STATISTICS)
    assert imported.state_dict()["encoder.level1.1.0.num_batches_tracked"] == 7


def test_every_weight_has_a_name_of_its_own_upstream() -> None:
    network = ESPNet(FULL)
    names = upstream_names(FULL)
    modules = {key.rsplit(".", 1)[0] for key in network.state_dict()}
    assert names.keys() == modules
    assert len(set(names.values())) == len(names)


def test_a_missing_a_spare_and_a_misshaped_tensor_are_named(tmp_path: Path) -> None:
    state = authors_state(ESPNet(FULL))
    path = tmp_path / "model.pth"
    key = "encoder.level3_0.d16.conv.weight"
    saved(path, {k: v for k, v in state.items() if k != key})
    assert f"{key} is missing" in refused(path)
    saved(path, state | {"encoder.level9.weight": torch.zeros(1)})
    assert "not the authors' ESPNet, which has no encoder.level9.weight" in refused(path)
    saved(path, state | {key: torch.zeros(25, 24, 3, 3)})
    assert f"{key} is (25, 24, 3, 3), not (25, 25, 3, 3)" in refused(path)
    saved(path, state | {key: torch.full((25, 25, 3, 3), torch.nan)})
    assert f"{key} holds NaN" in refused(path)
    saved(path, state | {"conv.conv.weight": torch.zeros(20, 37, 3, 3)})
    assert "its decoder takes 17 channels" in refused(path)
    saved(path, {"fc.weight": torch.zeros(3, 3)})
    assert "not an ESPNet: classifier.conv.weight is missing" in refused(path)


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.pth", authors_state(ESPNet(FULL)))
    with pytest.raises(ModelError, match="20 classes, but the schema 'made up' has 19"):
        import_checkpoint(path, schema_of(19), STATISTICS)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.pth", authors_state(ESPNet(FULL))).read_bytes()
    files = {
        "empty": b"",
        "text": b"some text\n",
        "cut": whole[:5000],
        "pickle": b"\x80\x02}q\x00.",
        "another.pt": pickle.dumps({"weights": [1, 2]}, protocol=4),  # of which PyTorch warns
        "zip": b"PK\x03\x04junk",
        "pickle.safetensors": b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00}q\x00.",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)
    assert "No such file" in refused(tmp_path / "missing")
    assert "cannot be read" in refused(tmp_path)
    assert "holds no state dict" in refused(saved(tmp_path / "tensor.pth", torch.zeros(3)))
    assert "not a checkpoint that is safe" in refused(saved(tmp_path / "object.pth", ESPNet(FULL)))


def test_negative_variances_are_refused(tmp_path: Path) -> None:
    state = authors_state(ESPNet(FULL))
    state["encoder.b1.bn.running_var"][0] = -1
    assert "b1.bn.running_var holds negative variances" in refused(saved(tmp_path / "model.pth", state))


def test_a_tensor_that_states_more_than_it_holds_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One number, repeated by its strides: what it says of the network would take gigabytes."""
    monkeypatch.setattr(bounded, "SLACK", 0)
    state = authors_state(ESPNet(FULL))
    wide, key = 4000, "encoder.classifier.conv.weight"
    state[key] = torch.zeros(1).expand(wide, 256, 1, 1)
    state["conv.conv.weight"] = torch.zeros(1).expand(wide, wide + 16, 3, 3)
    state["classifier.weight"] = torch.zeros(1).expand(wide, 20, 2, 2)
    assert "far larger than its" in refused(saved(tmp_path / "model.pth", state))


def test_a_packed_checkpoint_is_not_unpacked(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.pth", {"x": torch.zeros(10_000)})
    with zipfile.ZipFile(whole) as stored, zipfile.ZipFile(tmp_path / "packed.pth", "w", 8) as packed:
        for entry in stored.infolist():
            packed.writestr(entry.filename, stored.read(entry))
    assert "not a checkpoint that is safe" in refused(tmp_path / "packed.pth")
    assert "holds no state dict" not in refused(whole)


def test_a_checkpoint_larger_than_any_network_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "model.pth", authors_state(ESPNet(FULL)))
    monkeypatch.setattr(bounded, "MAX_BYTES", 1000)
    assert "holds more than 1000 bytes" in refused(path)


def test_the_input_of_other_data_must_be_said() -> None:
    with pytest.raises(UsageError, match="--mean and --std"):
        input_spec(schema_of(3), InputOverrides(mean=(1.0, 2.0, 3.0)))
    with pytest.raises(UsageError, match="std"):
        input_spec(schema_of(3), InputOverrides(mean=(1.0, 2.0, 3.0), std=(0.0, 1.0, 1.0)))
    spec = input_spec(schema_of(3), STATISTICS)
    assert (spec.channels, spec.scale, spec.size) == ("bgr", 255.0, None)
    assert input_spec(CITYSCAPES, InputOverrides()) == CITYSCAPES_INPUT
    assert input_spec(CITYSCAPES, InputOverrides(size=(512, 256))).size == (512, 256)
