"""What a command does not import: PyTorch takes more time than all else together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

RUN = """
import json, sys
from wsi_seg.cli.main import _run
codes = []
commands, heaviest = json.loads(sys.argv[1])
for command in commands:
    sys.argv[1:] = command
    codes.append(_run())
    heavy = [name for name in heaviest if name in sys.modules]
    assert not heavy, (command, heavy)
print(json.dumps(codes))
"""


MISSING = {
    "predict no.svs": "no.svs: no such file",
    "predict here.svs --model no.safetensors": "no.safetensors: no such model",
    "info no.svs": "no.svs: no such file",
    "export no": "no/slide.ome.zarr: no such folder",
    "measure no -o no.csv": "no: no such folder",
    "report no": "no: no such folder",
    "view no": "no: no such file",
    "check no.geojson": "no.geojson: no such file",
    "evaluate no.safetensors no.svs no.geojson": "no.svs: does not exist",
    "evaluate no.safetensors here.svs here.geojson": "no.safetensors: no such model",
    "tiles no.svs no.geojson -o no": "no.svs, no.geojson: no such file",
    "train no.svs no.geojson -o no": "no.svs, no.geojson: no such file",
    "suggest no.svs here.geojson --model breast-demo -o no": "no.svs: no such file",
    "models show no.safetensors": "no.safetensors: no such model",
    "models import no.pth --classes cityscapes -o no.safetensors": "no.pth: cannot be read (No such file",
    "models export no.safetensors --format onnx -o no.onnx": "no.safetensors: no such model",
}
"""Commands, and how the line begins that they end with."""


HEAVY = ("torch", "zarr", "distributed", "scipy")


def codes_of(commands: list[list[str]], folder: Path, heavy: Sequence[str] = HEAVY) -> tuple[list[int], str]:
    """Run commands one after another in a process that stops at the first that imports too much."""
    ran = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps([commands, heavy])],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1]), ran.stderr


def test_models_are_listed_without_pytorch(tmp_path: Path) -> None:
    codes, _ = codes_of([["models", "list"]], tmp_path)
    assert codes == [0]


def test_what_is_missing_is_named_without_pytorch(tmp_path: Path) -> None:
    for name in ("here.svs", "here.geojson"):
        (tmp_path / name).write_text("{}")

    codes, said = codes_of([command.split() for command in MISSING], tmp_path)

    assert codes == [1] * len(MISSING)
    for line, expected in zip(said.splitlines(), MISSING.values(), strict=True):
        assert line.startswith(f"wsi-seg: {expected}")


@pytest.mark.usefixtures("kernels")
def test_slides_are_segmented_by_kernels_without_pytorch(slide_path: Path, tmp_path: Path) -> None:
    command = ["predict", str(slide_path), "-o", str(tmp_path)]

    codes, said = codes_of([command], tmp_path, ["torch"])

    assert codes == [0], said
    assert (tmp_path / slide_path.stem / "summary.json").exists()
