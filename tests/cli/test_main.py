"""The program as a user meets it: help, errors, exit codes."""

from __future__ import annotations

import csv
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SCHEMA, damage_tile, tissue_rgb, write_model, write_tiff
from helpers.program import Program
from PIL import Image

from wsi_seg.models.architecture import architecture_of
from wsi_seg.models.bundle import save_bundle
from wsi_seg.models.espnet import ESPNet
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.results.summary import Status


def test_help_needs_no_heavy_imports() -> None:
    code = (
        "import sys; sys.argv = ['wsi-seg', 'predict', '--help']\n"
        "from wsi_seg.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'distributed', 'rasterio', 'zarr', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "wsi-seg predict slide.svs" in done.stdout


def test_a_call_that_a_signal_left_unmade_is_not_shown() -> None:
    code = (
        "import sys; sys.argv = ['wsi-seg', 'models', 'list']\n"
        "from wsi_seg.cli import commands\n"
        "from wsi_seg.cli.main import main\n"
        "async def call(): pass\n"
        "commands.app = lambda **_: print(call())  # never awaited\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [["predict", "a.svs"], ["train", "a.svs", "a.geojson", "-o", "out"]])
def test_a_missing_file_is_named_before_pytorch_is_imported(command: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from wsi_seg.__main__ import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode in (1, 2)
    assert "a.svs" in done.stderr
    assert "no such file" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_matplotlib_has_no_lines_of_its_own_where_home_cannot_be_written() -> None:
    code = (
        "import sys; sys.argv = ['wsi-seg', '--help']\n"
        "from wsi_seg.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: import matplotlib"
    )
    closed = {**os.environ, "MPLCONFIGDIR": os.devnull}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=closed)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["predict", "info", "export", "check", "doctor", "models", "demo"])
def test_every_command_explains_itself(run: Program, command: str) -> None:
    ended = run(command, "--help")
    assert ended.code == 0
    assert command in ended.out


def test_help_says_what_a_browser_needs_to_read_shards(run: Program) -> None:
    words = " ".join(run("predict", "--help").out.replace("│", " ").split())
    assert "A browser reads 0.5 only from a server that supports Range requests" in words


def test_doctor_finds_this_installation_well(run: Program) -> None:
    ended = run("doctor")
    assert "torch" in ended.out
    assert "openslide" in ended.out


def test_predict_then_export_then_check(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    ended = predict(slide_path)
    assert ended.code == 0, ended.err
    assert "mm2" in ended.out
    result = tmp_path / "results" / "tissue"
    ended = run("export", result, "--simplify", 0, "--no-gzip", "-o", tmp_path / "exact.geojson")
    assert ended.code == 0, ended.err
    assert json.loads((tmp_path / "exact.geojson").read_text())["features"]
    assert run("export", result, "--simplify", 4).code == 0
    ended = run("check", result, result / "slide.ome.zarr", "--json")
    assert (ended.code, [json.loads(line)["ok"] for line in ended.out.splitlines()]) == (0, [True, True])
    ended = run("export", result, "--format", "csv")
    assert ended.code == 0, ended.err
    assert len(list(csv.reader((result / "slide.csv").read_text().splitlines()))) > 2
    assert run("check", tmp_path / "exact.geojson", result / "slide.geojson.gz").code == 0


def test_bad_slides_are_named_with_the_remedy(predict: Program, shared_data: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.svs"
    text.write_text("hello")
    truncated = tmp_path / "truncated.svs"
    truncated.write_bytes((shared_data / "slides" / "CMU-1-Small-Region.svs").read_bytes()[:900_000])
    for path in (tmp_path / "missing.svs", text, truncated, shared_data / "slides" / "broken.svs"):
        ended = predict(path)
        assert ended.code == 1
        assert path.name in ended.line
    ended = predict(shared_data / "slides" / "no_mpp.svs")
    assert ended.code == 1
    assert "--mpp" in ended.line


@pytest.mark.parametrize("group", [(), ("models",)])
def test_without_a_command_the_help_is_shown(run: Program, group: tuple[str, ...]) -> None:
    ended = run(*group)
    assert "Usage: wsi-seg" in ended.out
    assert ended.err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("predict",), "Missing argument 'SLIDE...': see `wsi-seg predict --help`"),
        (("nosuch",), "No such command 'nosuch'"),
        (("models", "export", "breast-demo", "--patch", "half"), "Invalid value for '--patch': "),
        (("info", "a.svs", "--series"), "Option '--series' requires an argument"),
    ],
)
def test_arguments_that_cannot_be_parsed_are_one_line(
    run: Program, arguments: tuple[str, ...], said: str
) -> None:
    ended = run(*arguments)
    assert (ended.code, ended.out, ended.err) == (2, "", f"{ended.line}\n")
    assert ended.line.startswith(f"wsi-seg: {said}")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--mpp", "0"),
        ("--mpp", "-3"),
        ("--mpp", "5000"),
        ("--mpp", "nan"),
        ("--mpp", "half"),
        ("--working-mpp", "0"),
        ("--working-mpp", "inf"),
        ("--working-mpp", "1000"),
        ("--series", "-1"),
        ("--patch", "1000"),
        ("--overlap", "37"),
        ("--overlap", "-1"),
        ("--device", "tpu"),
        ("--precision", "int4"),
        ("--batch-size", "many"),
        ("--batch-size", "0"),
        ("--workers", "0"),
        ("--ngff", "0.3"),
        ("--min-area", "-1"),
        ("--simplify", "nan"),
        ("--object-type", "cell"),
        ("--no-such-option", "1"),
    ],
)
def test_bad_options_end_a_batch_before_it_begins(
    run: Program, slide_path: Path, tmp_path: Path, option: str, value: str
) -> None:
    other = shutil.copy(slide_path, tmp_path / "other.tiff")
    ended = run("predict", slide_path, other, "-o", tmp_path / "out", "--workers", 1, option, value)
    assert ended.code == 2
    assert ended.err == f"{ended.line}\n"
    assert option in ended.line or f"{value!r}" in ended.line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value", "code"),
    [
        ("--model", "no-such-model", 1),
        ("--pipeline", "no-such-pipeline", 2),
        ("--roi", "no-such.geojson", 1),
        ("--device", "cuda:99", 1),
    ],
)
def test_what_is_not_there_ends_a_batch_before_it_begins(
    run: Program, slide_path: Path, tmp_path: Path, option: str, value: str, code: int
) -> None:
    other = shutil.copy(slide_path, tmp_path / "other.tiff")
    ended = run("predict", slide_path, other, "-o", tmp_path / "out", "--workers", 1, option, value)
    assert ended.code == code
    assert ended.err == f"{ended.line}\n"
    assert value in ended.line
    assert not (tmp_path / "out").exists()


def test_a_pickle_posing_as_a_model_is_refused_unopened(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "exploded",)

    fake = tmp_path / "fake.safetensors"
    fake.write_bytes(pickle.dumps(Bomb()))
    ended = run("predict", slide_path, "--model", fake, "-o", tmp_path / "out")
    assert ended.code == 1
    assert "fake.safetensors" in ended.line
    assert not (tmp_path / "exploded").exists()


def test_a_damaged_model_is_refused(run: Program, slide_path: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.safetensors")
    content = bytearray(model.read_bytes())
    content[-100] ^= 0xFF
    model.write_bytes(content)
    ended = run("predict", slide_path, "--model", model, "-o", tmp_path / "out")
    assert ended.code == 1
    assert "model.safetensors" in ended.line


def test_a_model_for_street_images_is_refused_for_slides(
    run: Program, slide_path: Path, tmp_path: Path
) -> None:
    network, header = new_street_model()
    save_bundle(tmp_path / "street.safetensors", network, header)
    ended = run("predict", slide_path, "--model", tmp_path / "street.safetensors", "-o", tmp_path / "out")
    assert ended.code == 1
    assert "not a model for slides" in ended.line
    image = tmp_path / "street.png"
    Image.fromarray(tissue_rgb(60, 90)).save(image)
    ended = run("predict", image, "--model", tmp_path / "street.safetensors", "-o", tmp_path / "out")
    assert ended.code == 0, ended.err
    written = sorted(p.name for p in (tmp_path / "out" / "street").iterdir())
    assert written == [f"street_{kind}.png" for kind in ("color", "index", "index_48x32", "overlay")]
    assert re.search(r"^  network (plain|compiled|amx): .* \(float32\)$", ended.out, re.MULTILINE)


def new_street_model() -> tuple[ESPNet, ModelHeader]:
    config = ESPNetConfig(classes=len(SCHEMA), p=1, q=1)
    spec = InputSpec(channels="bgr", mean=(80, 80, 80), std=(40, 40, 40), scale=255, size=(48, 32))
    architecture = architecture_of(config)
    return ESPNet(config), ModelHeader(name="street", architecture=architecture, classes=SCHEMA, input=spec)


def test_one_bad_slide_is_recorded_and_the_rest_goes_on(predict: Program, tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    write_tiff(folder / "a.tiff", tissue_rgb(200, 200))
    (folder / "b.svs").write_text("not a slide")
    write_tiff(folder / "c.tiff", tissue_rgb(200, 200, seed=1))
    ended = predict(folder)
    assert ended.code == 1
    assert "b.svs" in ended.line
    outcomes = json.loads((tmp_path / "results" / "batch.json").read_text())["outcomes"]
    assert [Path(o["slide"]).name for o in outcomes] == ["a.tiff", "b.svs", "c.tiff"]
    assert [o["error"] is None for o in outcomes] == [True, False, True]
    for name in "ac":
        assert (tmp_path / "results" / name / "summary.json").exists()


def test_a_csv_gives_each_slide_its_resolution(predict: Program, tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tiff", tissue_rgb(200, 200), mpp=None)
    write_tiff(tmp_path / "b.tiff", tissue_rgb(200, 200))
    (tmp_path / "slides.csv").write_text("slide,mpp\na.tiff,1.0\nb.tiff,\n")
    ended = predict(tmp_path / "slides.csv")
    assert ended.code == 0, ended.err
    sizes = {
        name: json.loads((tmp_path / "results" / name / "summary.json").read_text())["label_size"]
        for name in "ab"
    }
    assert sizes == {"a": [100, 100], "b": [200, 200]}
    (tmp_path / "slides.csv").write_text("slide,mpp\na.tiff,fine\n")
    assert "line 2" in predict(tmp_path / "slides.csv").line


def test_quiet_says_nothing(predict: Program, slide_path: Path) -> None:
    ended = predict(slide_path, "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_a_damaged_tile_is_reported_and_the_exit_code_says_so(predict: Program, tmp_path: Path) -> None:
    path = damage_tile(write_tiff(tmp_path / "damaged.tiff", tissue_rgb(512, 768)), 8)
    ended = predict(path)
    assert ended.code == 1
    assert "1 tile could not be decoded" in ended.line
    summary = json.loads((tmp_path / "results" / "damaged" / "summary.json").read_text())
    assert summary["unprocessed_mm2"] == pytest.approx(128 * 128 * 4e-6)
    assert summary["status"] == Status.PARTLY_UNREADABLE
