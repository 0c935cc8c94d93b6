"""The model file: what goes in comes out, and nothing wrong comes through."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from wsi_seg.errors import ModelError, OutputError
from wsi_seg.models import bounded
from wsi_seg.models import bundle as bundle_module
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.container import METADATA_KEY, pack
from wsi_seg.models.described import read_header
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader

CONFIG = ESPNetConfig(3, p=1, q=1, branches=2, decoder_width=8)
SCHEMA = ClassSchema(
    name="three",
    classes=tuple(TissueClass(id=i, name=f"class {i}", color=(i, 2 * i, 255 - i)) for i in range(3)),
    background="class 0",
)
INPUT = InputSpec(channels="rgb", mean=(200.5, 150.25, 190.0), std=(30.0, 40.0, 35.0), mpp=1.87)
HEADER = ModelHeader(
    name="a model",
    architecture=architecture_of(CONFIG),
    classes=SCHEMA,
    input=INPUT,
    notice="Not for diagnosis.",
    training={"steps": 100, "loss": [1.5, 0.25], "data": {"name": "made up", "licence": None}},
)


def new_network() -> ESPNet:
    torch.manual_seed(1)
    return ESPNet(CONFIG)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    save_bundle(path, new_network(), HEADER)
    return path


def rewritten(
    source: Path,
    target: Path,
    document: dict[str, Any] | None = None,
    tensors: Mapping[str, torch.Tensor | None] | None = None,
) -> Path:
    """Copy a model file with other metadata or tensors, and a checksum that fits them."""
    data = source.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    content = json.loads(json.loads(data[8:end])["__metadata__"][METADATA_KEY]) | (document or {})
    content.pop("checksum")
    state = {name: tensor for name, tensor in {**load(data), **(tensors or {})}.items() if tensor is not None}
    target.write_bytes(pack(target, content, state))
    return target


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_bundle(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    path = tmp_path / "new" / "model.safetensors"
    network = new_network().train()
    fingerprint = save_bundle(path, network, HEADER)
    bundle = load_bundle(path)

    assert bundle.header == read_header(path) == HEADER
    assert (bundle.name, bundle.schema, bundle.input, bundle.notice) == (
        "a model",
        SCHEMA,
        INPUT,
        HEADER.notice,
    )
    assert (bundle.architecture.config, bundle.training) == (CONFIG, HEADER.training)
    assert (bundle.fingerprint, bundle.path) == (fingerprint, path)
    assert not any(module.training for module in bundle.network.modules())
    image = torch.randn(1, 3, 32, 32)
    assert torch.equal(bundle.network(image), network.eval()(image))


def test_the_same_content_gives_the_same_bytes(tmp_path: Path, model_file: Path) -> None:
    shuffled = HEADER.model_copy(update={"training": dict(reversed(HEADER.training.items()))})
    again = tmp_path / "again.safetensors"
    save_bundle(again, new_network(), shuffled)
    assert again.read_bytes() == model_file.read_bytes()


def test_loading_draws_no_random_numbers(model_file: Path) -> None:
    torch.manual_seed(3)
    load_bundle(model_file)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))


def test_a_loaded_network_can_be_trained_on(model_file: Path) -> None:
    network = load_bundle(model_file).network.train()
    network(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_failed_save_keeps_the_old_file(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(model_file.read_bytes())

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        save_bundle(path, new_network(), HEADER)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
    assert load_bundle(path).header == HEADER


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/model\.safetensors: cannot be written"):
        save_bundle(tmp_path / "file" / "model.safetensors", new_network(), HEADER)


def test_diverged_weights_are_not_saved(tmp_path: Path) -> None:
    network = new_network()
    with torch.no_grad():
        network.encoder.head.weight[0, 0] = torch.inf
    with pytest.raises(ModelError, match=r"encoder\.head\.weight holds NaN or infinite weights"):
        save_bundle(tmp_path / "model.safetensors", network, HEADER)
    assert not list(tmp_path.iterdir())


def test_a_header_of_another_network_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="another network"):
        save_bundle(tmp_path / "model.safetensors", ESPNet(replace(CONFIG, q=2)), HEADER)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_is_noticed(model_file: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(model_file.read_bytes())
    header_end = 8 + int.from_bytes(content[:8], "little")
    position = data.draw(st.integers(0, header_end) | st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(content)
    refused(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.9999))
def test_any_truncation_is_noticed(model_file: Path, tmp_path: Path, share: float) -> None:
    content = model_file.read_bytes()
    path = tmp_path / "short.safetensors"
    path.write_bytes(content[: int(len(content) * share)])
    refused(path)


def test_something_after_the_end_is_noticed(model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.safetensors"
    path.write_bytes(model_file.read_bytes() + b"\0")
    assert "damaged" in refused(path)


def test_a_checkpoint_is_sent_to_import(tmp_path: Path) -> None:
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pth"
        torch.save(new_network().state_dict(), path, _use_new_zipfile_serialization=zipped)
        assert "`wsi-seg models import`" in refused(path)


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    files = {
        "empty": b"",
        "short": b"\x10\0\0\0\0\0\0\0{}",
        "text": b"not a model at all, but a text",
        "tiff": b"II*\0" * 99,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)
    (tmp_path / "foreign.safetensors").write_bytes(save({"x": torch.zeros(1)}, {"format": "pt"}))
    assert "not a model of wsi-seg" in refused(tmp_path / "foreign.safetensors")
    assert "is a folder" in refused(tmp_path)
    assert "No such file" in refused(tmp_path / "missing.safetensors")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"format_version": 2}, "upgrade wsi-seg"),
        ({"format_version": "1"}, "format_version"),
        ({"architecture": {"name": "unet", "config": {}}}, "(unet): upgrade wsi-seg"),
        (
            {"architecture": {"name": "espnet", "config": {"classes": 3, "r": 1}}},
            "holds a field that this wsi-seg does not know (r): upgrade wsi-seg",
        ),
        ({"architecture": {"name": "espnet", "config": {"classes": 4}}}, "4 output channels"),
        ({"architecture": {"name": "espnet", "config": {"classes": 1}}}, "classes is 1"),
        ({"input": {"channels": "rgb", "mean": [1, 2, 3], "std": [1, 0, 1]}}, "input.std.1"),
        ({"architecture": {"name": "espnet", "config": {"classes": 3}}}, "tensors do not fit"),
        ({"architecture": {"name": "u" * 9000, "config": {}}}, "(9,000 characters)): upgrade wsi-seg"),
        ({"input": INPUT.model_dump() | {"s" * 9000: 1}}, "s... (9,000 characters)): upgrade wsi-seg"),
        ({"name": "m" * 257}, "name: String should have at most 256 characters"),
        ({"notice": "n" * 2001}, "notice: String should have at most 2000 characters"),
        ({"input": {"channels": "rgb", "mean": [1, 2, 3], "std": [1, 1, 1e-7]}}, "input.std.2"),
        ({"input": {"channels": "rgb", "mean": [1, 2, 1e300], "std": [1, 1, 1]}}, "input.mean.2"),
        ({"input": INPUT.model_dump() | {"mpp": 1e-9}}, "input.mpp"),
        ({"input": INPUT.model_dump() | {"size": [10**9, 2]}}, "input.size.0"),
    ],
)
def test_a_wrong_document_is_refused(
    model_file: Path, tmp_path: Path, document: dict[str, Any], reason: str
) -> None:
    assert reason in refused(rewritten(model_file, tmp_path / "model.safetensors", document))


def test_a_field_that_older_readers_can_do_without_is_ignored(model_file: Path, tmp_path: Path) -> None:
    newer = rewritten(model_file, tmp_path / "model.safetensors", {"surprise": 1})
    assert load_bundle(newer).header == load_bundle(model_file).header


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (None, "encoder.head.weight is missing from the network"),
        (torch.zeros(7, 256, 1, 1), "encoder.head.weight is (7, 256, 1, 1)"),
        (torch.zeros(8, 256, 1, 1, dtype=torch.float16), "torch.float16, not"),
        (torch.full((8, 256, 1, 1), torch.nan), "NaN"),
        (torch.full((8, 256, 1, 1), -torch.inf), "NaN or infinite"),
    ],
)
def test_wrong_tensors_are_refused(
    model_file: Path, tmp_path: Path, tensor: torch.Tensor | None, reason: str
) -> None:
    path = rewritten(model_file, tmp_path / "model.safetensors", tensors={"encoder.head.weight": tensor})
    assert reason in refused(path)


def test_negative_variances_are_refused_and_not_written(model_file: Path, tmp_path: Path) -> None:
    network = new_network()
    name, variances = next((n, b) for n, b in network.named_buffers() if n.endswith("running_var"))
    damaged = variances.clone()
    damaged[0] = -1e-3
    path = rewritten(model_file, tmp_path / "model.safetensors", tensors={name: damaged})
    assert f"{name} holds negative variances" in refused(path)
    variances[0] = -1e-3
    with pytest.raises(ModelError, match="holds negative variances"):
        save_bundle(tmp_path / "other.safetensors", network, HEADER)


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ({"name": "espnet", "config": {"classes": 3, "p": 10**6}}, "p and q are 1000000 and 3"),
        ({"name": "espnet", "config": {"classes": 3, "decoder_width": 10**9}}, "use 1 to 4096"),
        ({"name": "biopsy", "config": {"classes": 3, "head_width": 10**9}}, "use 1 to 4096"),
        ({"name": "biopsy", "config": {"classes": 3, "diagnoses": 10**9}}, "use 2 to 200"),
        ({"name": "segnet", "config": {"classes": 3, "width": 10**9}}, "use 1 to 4096"),
        ({"name": "pspnet", "config": {"classes": 3, "width": 10**9}}, "use 1 to 4096"),
        ({"name": "pspnet", "config": {"classes": 3, "blocks": [1, 1, 10**9, 1]}}, "use four numbers of 1"),
        ({"name": "segnet", "config": {"classes": 3, "width": 512}}, "far larger than its"),
        ({"name": "pspnet", "config": {"classes": 3, "blocks": [100] * 4}}, "far larger than its"),
        ({"name": "biopsy", "config": {"classes": 3, "head_width": 4096}}, "far larger than its"),
    ],
)
def test_a_network_is_no_larger_than_its_file(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: Any, reason: str
) -> None:
    monkeypatch.setattr(bounded, "SLACK", 0)
    started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reason in refused(
        rewritten(model_file, tmp_path / "m.safetensors", {"architecture": architecture})
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - started < 100_000  # KiB


def test_an_extra_tensor_is_refused(model_file: Path, tmp_path: Path) -> None:
    path = rewritten(model_file, tmp_path / "model.safetensors", tensors={"extra": torch.zeros(1)})
    assert "extra is not part of the network" in refused(path)


@pytest.mark.parametrize("depth", [150, 900, 20_000])
def test_a_header_nested_deeply_is_refused(tmp_path: Path, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    for header in (f'{{"a": {nested}}}', json.dumps({"__metadata__": {METADATA_KEY: f'{{"a": {nested}}}'}})):
        path = tmp_path / "deep.safetensors"
        path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
        assert depth < 20_000 or "its header is nested too deeply" in refused(path)
        refused(path)


def test_the_untouched_rewrite_is_accepted(model_file: Path, tmp_path: Path) -> None:
    assert load_bundle(rewritten(model_file, tmp_path / "model.safetensors")).header == HEADER


def test_a_header_is_that_of_its_weights_though_the_file_is_replaced_meanwhile(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(model_file.read_bytes())
    other = rewritten(model_file, tmp_path / "other.safetensors", {"name": "another"})

    def read_and_replace(path: Path) -> ModelHeader:
        header = read_header(path)
        other.replace(path)
        return header

    monkeypatch.setattr(bundle_module, "read_header", read_and_replace)
    assert load_bundle(path).name == "another"


def test_the_header_is_read_without_the_weights(model_file: Path, tmp_path: Path) -> None:
    content = model_file.read_bytes()
    path = tmp_path / "header-only.safetensors"
    path.write_bytes(content[: 8 + int.from_bytes(content[:8], "little")])
    assert read_header(path) == HEADER


def test_no_pickle_is_read_from_a_model_file(tmp_path: Path) -> None:
    """A pickle whose loading would be seen does not get loaded, whatever its name."""
    buffer = io.BytesIO()
    torch.save({"bomb": Bomb(tmp_path / "exploded")}, buffer)
    path = tmp_path / "bomb.safetensors"
    path.write_bytes(buffer.getvalue())
    refused(path)
    assert not (tmp_path / "exploded").exists()


class Bomb:
    """Writes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_importing_needs_nothing_of_ours_but_errors_files_and_compiled_kernels() -> None:
    code = (
        "import sys, wsi_seg.models.bundle, wsi_seg.models.upstream; "
        "print(*{m.split('.')[1] for m in sys.modules if m.startswith('wsi_seg.')} - {'models'})"
    )
    root = Path(bundle_module.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"compiled", "errors", "files"}
