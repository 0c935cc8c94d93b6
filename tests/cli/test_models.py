"""``wsi-seg models``: a checkpoint becomes a model file, and a model file can be asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from wsi_seg.cli.models import app
from wsi_seg.errors import ModelError, UsageError, WsiSegError
from wsi_seg.models import lookup, model_export
from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.biopsy import BiopsyNet
from wsi_seg.models.biopsy_config import BiopsyConfig
from wsi_seg.models.bundle import load_bundle, save_bundle
from wsi_seg.models.classes import load_schema
from wsi_seg.models.described import read_header
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.upstream_names import upstream_names

NOTICE = "Demo model. Not for diagnosis."


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, WsiSegError):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = ESPNet(ESPNetConfig(20, p=1, q=1, decoder_width=20, decoder_skip="level1"))
    names = upstream_names(network.config)
    state = {}
    for key, tensor in network.state_dict().items():
        module, leaf = key.rsplit(".", 1)
        state[f"{names[module]}.{leaf}"] = tensor
    path = tmp_path_factory.mktemp("checkpoints") / "espnet.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = ESPNetConfig(8, p=1, q=1)
    header = ModelHeader(
        name="a [red]demo",
        architecture=architecture_of(config),
        classes=load_schema("breast-biopsy"),
        input=InputSpec(channels="rgb", mean=(200.5, 150, 190), std=(30, 40, 35), mpp=1.87),
        notice=NOTICE,
        training={
            "data": {"name": "painted", "patches": 12},
            "loss": [1.5, 0.5],
            "recipe": {"training": {"epochs": 77}},
        },
    )
    path = tmp_path_factory.mktemp("models") / "demo.safetensors"
    save_bundle(path, ESPNet(config), header)
    return path


def test_import_makes_a_model_that_runs(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "street.safetensors"
    result = run("import", checkpoint, "--classes", "cityscapes", "-o", output, "--size", "512x256")
    assert result.exit_code == 0
    bundle = load_bundle(output)
    parameters = sum(p.numel() for p in bundle.network.parameters())
    assert result.stdout == f"{output}: ESPNet, 20 classes, {parameters:,} parameters\n"
    assert (bundle.name, bundle.input.size, bundle.input.channels) == ("espnet", (512, 256), "bgr")
    assert bundle.schema == load_schema("cityscapes-void")


def test_import_takes_all_of_the_input(checkpoint: Path, tmp_path: Path) -> None:
    classes = tmp_path / "mine.yaml"
    rows = [f"  - {{id: {i}, name: class {i}, color: [{i}, 0, 0]}}" for i in range(20)]
    classes.write_text("name: mine\nclasses:\n" + "\n".join(rows), encoding="utf-8")
    output = tmp_path / "mine.safetensors"
    statistics = ("--mean", "1,2.5,3", "--std", "4,5,6", "--scale", "1", "--channels", "rgb")
    run(
        "import",
        checkpoint,
        "--classes",
        classes,
        "-o",
        output,
        *statistics,
        "--mpp",
        "0.5",
        "--name",
        "Mine",
    )
    header = read_header(output)
    assert header.name == "Mine"
    assert header.input == InputSpec(channels="rgb", mean=(1, 2.5, 3), std=(4, 5, 6), scale=1, mpp=0.5)


def test_import_replaces_a_file_only_when_told(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "model.safetensors"
    output.write_text("precious")
    command = ("import", checkpoint, "--classes", "cityscapes", "-o", output)
    with pytest.raises(UsageError, match="--overwrite"):
        run(*command)
    assert output.read_text() == "precious"
    run(*command, "--overwrite")
    assert read_header(output).name == "espnet"


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (("--mean", "1,2"), "--mean 1,2: give three numbers"),
        (("--std", "a,b,c"), "--std a,b,c: give three numbers"),
        (("--std", "50,0,50"), "^--std: input should be greater"),
        (("--size", "1024"), "--size 1024: give width and height"),
        (("--size", "0x512"), "^--size: "),
        (("--mpp", "-1"), r"^--mpp: input should be greater than or equal to 0\.01$"),
        (("--mpp", "nan"), "^--mpp: input should be a finite number$"),
        (("--scale", "0"), "^--scale: "),
        (("--classes", "martian"), "no class schema named 'martian'"),
        (("-o", "model.pth"), r"it must end in \.safetensors"),
    ],
)
def test_import_says_which_option_is_wrong(
    checkpoint: Path, tmp_path: Path, option: tuple[str, str], reason: str
) -> None:
    output = tmp_path / "model.safetensors"
    with pytest.raises(UsageError, match=reason):
        run("import", checkpoint, "--classes", "cityscapes", "-o", output, *option)
    assert not output.exists()


def test_import_refuses_what_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no checkpoint")
    with pytest.raises(ModelError, match=r"notes\.txt: not a checkpoint"):
        run("import", path, "--classes", "cityscapes", "-o", tmp_path / "model.safetensors")


def test_list_names_the_built_in_and_the_given(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("a long name of a folder " * 5)
    folder.mkdir()
    (folder / "mine.safetensors").write_bytes(model.read_bytes())
    monkeypatch.setattr(lookup, "WEIGHTS_FOLDER", model.parent)
    result = run("list", folder)
    assert result.exit_code == 0
    about = "a [red]demo; ESPNet, 8 classes; 1.87 um/px"
    assert result.stdout.splitlines() == [
        "demo",
        f"  {about}; built in",
        str(folder / "mine.safetensors"),
        f"  {about}",
    ]


def test_list_reports_what_it_cannot_read(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "WEIGHTS_FOLDER", tmp_path / "absent")
    assert "No models" in run("list").stdout
    (tmp_path / "a.safetensors").write_bytes(model.read_bytes()[:1000])
    (tmp_path / "b.safetensors").write_bytes(model.read_bytes())
    result = run("list", tmp_path)
    assert result.exit_code == 1
    assert result.stdout.startswith(str(tmp_path / "b.safetensors"))
    assert result.stderr == (
        f"wsi-seg: {tmp_path / 'a.safetensors'}: damaged model file (it ends early): get or train it again\n"
    )
    with pytest.raises(UsageError, match="not a folder"):
        run("list", tmp_path / "absent")


def test_show_tells_everything(model: Path) -> None:
    shown = run("show", model).stdout
    words = " ".join(shown.split())
    bundle = load_bundle(model)
    parameters = sum(p.numel() for p in bundle.network.parameters())
    for fact in (
        "a [red]demo",
        NOTICE,
        bundle.fingerprint,
        "ESPNet, 8 classes",
        "p = 1, q = 1, 5 branches, decoder 20 wide",
        f"Parameters {parameters:,}",
        "RGB, (pixel - mean) / std",
        "Mean 200.5, 150, 190",
        "Std 30, 40, 35",
        "1.87 um/px",
        "data.name painted",
        "data.patches 12",
        "loss [1.5, 0.5]",
    ):
        assert fact in words
    assert "recipe: see --json" in words
    assert "77" not in shown.split("Training")[1], "dozens of settings hide what is worth reading"
    for c in bundle.schema.classes:
        red, green, blue = c.color
        assert f"{c.id} ██ {red}, {green}, {blue} {c.name}" in words
    assert "Background background" in words


def test_show_tells_what_the_authors_network_never_uses(tmp_path: Path) -> None:
    config = BiopsyConfig(8, diagnoses=5)
    header = ModelHeader(
        name="joint",
        architecture=architecture_of(config),
        classes=load_schema("breast-biopsy"),
        input=InputSpec(channels="rgb", mean=(200, 150, 190), std=(30, 40, 35)),
    )
    save_bundle(tmp_path / "joint.safetensors", BiopsyNet(config), header)
    shown = " ".join(run("show", tmp_path / "joint.safetensors").stdout.split())
    assert "Parameters 3,687,589; the authors' network has 3,913,381, but never uses 225,792 of them" in shown


def test_show_as_json_is_the_header_and_more(model: Path) -> None:
    document = json.loads(run("show", model, "--json").stdout)
    bundle = load_bundle(model)
    assert document.pop("fingerprint") == bundle.fingerprint
    assert document.pop("path") == str(model)
    assert document.pop("parameters") == sum(p.numel() for p in bundle.network.parameters())
    assert ModelHeader.model_validate(document) == bundle.header


def test_show_checks_the_whole_file(model: Path, tmp_path: Path) -> None:
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="checksum"):
        run("show", path)
    with pytest.raises(ModelError, match="no such model"):
        run("show", "nothing")


def test_help_needs_no_torch() -> None:
    code = "import sys, wsi_seg.cli.models; print('torch' in sys.modules, 'pydantic' in sys.modules)"
    root = Path(lookup.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_export_writes_a_network_and_its_description(model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "torchscript_model.pt"
    result = run("export", model, "--format", "torchscript", "-o", output, "--patch", "384")
    first, second = result.stdout.splitlines()
    assert first == f"{output}: ESPNet, 8 classes, logits the same"
    assert second == f"  {NOTICE}"
    config = output.with_name("torchscript_model.config.json")
    assert json.loads(config.read_text())["patch_size_pixels"] == 384
    with pytest.raises(UsageError, match="already exists: give --overwrite"):
        run("export", model, "--format", "torchscript", "-o", output)
    output.unlink()
    with pytest.raises(UsageError, match=r"config\.json: already exists: give --overwrite"):
        run("export", model, "--format", "torchscript", "-o", output)
    run("export", model, "--format", "torchscript", "-o", output, "--overwrite")
    assert json.loads(config.read_text())["patch_size_pixels"] == 512


def test_exports_share_a_folder(model: Path, tmp_path: Path) -> None:
    for name in ("one.pt", "other.pt"):
        run("export", model, "--format", "torchscript", "-o", tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {
        "one.pt",
        "one.config.json",
        "other.pt",
        "other.config.json",
    }


def test_a_network_in_two_forms_has_one_description(model: Path, tmp_path: Path) -> None:
    """It is there already, and says the same."""
    (tmp_path / "one.config.json").write_bytes(
        model_export.description(load_bundle(model), 512).encode(),
    )
    run("export", model, "--format", "torchscript", "-o", tmp_path / "one.pt")
    assert (tmp_path / "one.pt").exists()


@pytest.mark.slow
def test_export_writes_onnx(model: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
    output = tmp_path / "network.onnx"
    assert run("export", model, "--format", "onnx", "-o", output).exit_code == 0
    session = onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
    assert [i.shape for i in session.get_inputs()] == [["batch", 3, "height", "width"]]
    assert [o.shape for o in session.get_outputs()] == [["batch", 8, "height", "width"]]
    header = json.loads(session.get_modelmeta().custom_metadata_map["wsi_seg"])
    assert header["notice"] == NOTICE


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ("--format", "onnx", "-o", "network.pt"),
            r"network\.pt: not a name for onnx files: it must end in \.onnx",
        ),
        (("--format", "torchscript", "-o", "x"), r"x: not a name for torchscript files: it must end in \.pt"),
        (("--format", "onnx", "-o", "x.onnx", "--patch", "100"), "--patch 100: use a multiple of 8"),
        (("--format", "onnx", "-o", "x.onnx", "--patch", "0"), "--patch 0: use a multiple of 8"),
    ],
)
def test_export_says_which_option_is_wrong(model: Path, arguments: tuple[str, ...], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        run("export", model, *arguments)


def test_export_refuses_what_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no model")
    with pytest.raises(ModelError, match=r"notes\.txt: not a model file"):
        run("export", path, "--format", "onnx", "-o", tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()
