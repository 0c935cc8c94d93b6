"""``wsi-seg paper bench`` from its command line."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from wsi_seg.cli.bench import bench
from wsi_seg.errors import DeviceError, OutputError, UsageError, WsiSegError

app = typer.Typer()
app.command()(bench)


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, WsiSegError):
        raise result.exception
    return result


def test_tables_json_csv_and_picture(model_path: Path, tmp_path: Path) -> None:
    written = tmp_path / "b.json", tmp_path / "b.csv", tmp_path / "b.png"
    result = run(
        *(
            model_path,
            "--size",
            "64x32",
            "--size",
            "32x32",
            "--seconds",
            0,
            "--repeats",
            1,
            "--device",
            "cpu",
        ),
        *("--json", written[0], "--csv", written[1], "--plot", written[2]),
    )
    assert result.exit_code == 0
    assert "64 x 32, cpu, float32, network alone" in result.stdout
    rows = json.loads(written[0].read_text())["rows"]
    assert [(row["title"], row["width"]) for row in rows] == [
        *(("ESPNet", 64), ("test", 64)),
        *(("ESPNet", 32), ("test", 32)),
    ]
    assert len(list(csv.reader(written[1].read_text().splitlines()))) == 1 + len(rows)
    assert written[2].read_bytes().startswith(b"\x89PNG")


def test_the_list_names_what_there_is() -> None:
    lines = run("--list").stdout.splitlines()
    names = [line.split()[0] for line in lines]
    assert {"espnet", "espnet-c", "enet", "pspnet", "biopsy"} <= set(names)


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (["nosuch"], UsageError, "nosuch: no such network"),
        (["nosuch.safetensors"], WsiSegError, "nosuch.safetensors: no such model"),
        (["--size", "1024"], UsageError, "--size 1024 is no size"),
        (["--size", "100x64"], UsageError, "use 104x64"),
        (["--precision", "int8"], UsageError, "--precision int8: use float32, bfloat16, float16"),
        (["--precision", "float16", "--device", "cpu"], UsageError, "float16 needs a GPU"),
        (
            ["--plot", "bench.jpg"],
            UsageError,
            "--plot bench.jpg: pictures are PNG files: end its name in .png",
        ),
        (
            ["--json", "/dev/null/bench.json"],
            OutputError,
            "/dev/null/bench.json: cannot be written",
        ),
        (["--csv", "/"], OutputError, "/: cannot be written (Is a directory)"),
        (["--form", "fast"], UsageError, "--form fast: use plain, predict"),
        (["--device", "tpu"], UsageError, "no device named 'tpu'"),
        (["--device", "cuda:99"], DeviceError, "cuda:99"),
    ],
)
def test_bad_input_is_told_in_one_line(arguments: list[str], kind: type[WsiSegError], says: str) -> None:
    with pytest.raises(kind) as caught:
        run(*arguments)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_picture_without_matplotlib_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "wsi_seg.paper.bench.plot", raising=False)
    with pytest.raises(UsageError, match=r"--plot needs matplotlib, which .*: pip install"):
        run("--plot", tmp_path / "b.png")
