"""The notebooks, run from top to bottom as they are."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from wsi_seg.results.qupath.geojson_check import check_file

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in; what Jupyter writes for itself goes beside it."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def printed(name: str, folder: Path) -> str:
    """Run a notebook in a folder, and return what it prints; nothing in it may fail or warn."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output for output in outputs if output["output_type"] == "stream"]
    assert [output["text"] for output in texts if output["name"] == "stderr"] == []
    return "".join(output["text"] for output in texts)


def code_cells(name: str) -> list[NotebookNode]:
    return [c for c in nbformat.read(NOTEBOOKS / name, as_version=4).cells if c.cell_type == "code"]


@pytest.mark.parametrize("name", [path.name for path in sorted(NOTEBOOKS.glob("*.ipynb"))])
def test_notebooks_are_kept_without_outputs(name: str) -> None:
    assert code_cells(name)
    for cell in code_cells(name):
        assert (cell.outputs, cell.execution_count) == ([], None)


@pytest.mark.slow
def test_from_outlines_to_a_map(folder: Path) -> None:
    text = printed("outlines-to-map.ipynb", folder)
    scores = re.search(
        r"^mean IoU ([\d.]+), mean Dice .* over the 2 classes in the truth$", text, re.MULTILINE
    )
    assert scores
    # A few steps, whose rounding differs from processor to processor: 0.803 was seen.
    assert float(scores[1]) > 0.75
    assert not check_file(folder / "results/demo/slide.geojson.gz").faults
    assert (folder / "tumour/report/report.html").is_file()


@pytest.mark.slow
def test_a_street_image(folder: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The labels are those of the authors' own code."""
    stem = "frankfurt_000000_000576"
    image = shared_data / f"cityscapes/leftImg8bit/val/frankfurt/{stem}_leftImg8bit.png"
    monkeypatch.setenv("ESPNET_CHECKPOINT", str(shared_data / "espnet/decoder/espnet_p_2_q_8.pth"))
    monkeypatch.setenv("STREET_IMAGE", str(image))
    text = printed("street-image.ipynb", folder)
    assert re.match(r"road +3\d\.\d\d%\nbuilding ", text)
    golden = Image.open(shared_data / f"espnet/golden_{stem}_trainIds_1024x512.png")
    found = Image.open(folder / f"streets/{stem}_leftImg8bit_index_1024x512.png")
    assert np.mean(np.asarray(found) == np.asarray(golden)) > 0.999
