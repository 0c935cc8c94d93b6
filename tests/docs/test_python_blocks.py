"""The Python on the pages runs as it stands, with small slides in place of slide.svs and other.svs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.dicom_slides import NATIVE, Written, write_level
from helpers.drawn_tiffs import RGB
from helpers.snippets import snippets
from helpers.trainings import write_outlined

import wsi_seg as ws
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.slide import Slide

ROOT = Path(__file__).resolve().parents[2]
SHORT = 'settings=["data.patch=64", "training.epochs=1", "training.epoch_steps=2"]'
"""In place of minutes of training."""

SHORTER = {
    "minutes=10": SHORT,
    # The test's outlines leave no tissue to suggest.
    'outlines="outlines.geojson", windows=6, out': "windows=6, window_um=100, out",
    ', rest="Other tissue")\nprint(scores)  # the tables above': ")\nprint(scores)",
    'minutes=2, settings=["augment.hue=0"]': SHORT.replace("]", ', "augment.hue=0"]'),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run in, with the files that the pages name."""
    for seed, (stem, outlines) in enumerate((("slide", "outlines"), ("other", "other"))):
        slide, drawn = write_outlined(tmp_path, stem, seed=seed)
        slide.rename(tmp_path / f"{stem}.svs")
        drawn.rename(tmp_path / f"{outlines}.geojson")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(page: str) -> dict[str, Any]:
    """Run all blocks of a page, one after the other, as a reader would; return the names that are left."""
    names: dict[str, Any] = {}
    blocks = snippets(ROOT / page)
    assert blocks
    for block in blocks:
        pairs = [(old, new) for old, new in SHORTER.items() if old in block.code]
        block.replaced(*pairs).run(names)
    return names


# The slide of these tests is painted, and the demo model says that it is unlike its training tissue.
UNLIKE = pytest.mark.filterwarnings("ignore:.*unfamiliar:UserWarning")


@UNLIKE
def test_the_readme(folder: Path) -> None:
    names = run("README.md")
    assert names["ids"].shape == (512, 512)
    assert 0 <= names["scores"].mean_iou <= 1
    assert ws.check_geojson("coarser.geojson.gz").ok
    assert ws.check_geojson("results/slide/slide.geojson.gz").ok


@UNLIKE
def test_the_page_of_the_python_interface(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = run("docs/python.md")
    assert names["rgb"].shape == (128, 256, 3)
    assert names["ids"].shape == (128, 256)
    assert names["trained"].report.is_file()
    said = capsys.readouterr().out
    assert "no-such-folder" in said
    assert re.search(r"^mean IoU ", said, re.MULTILINE)


def test_the_page_of_trainings(folder: Path) -> None:
    assert run("docs/training.md")["trained"].report.is_file()


def test_the_page_of_evaluations(folder: Path, model_path: Path) -> None:
    ws.segment("slide.svs", model_path, out="results/slide", device="cpu")
    scores = run("docs/evaluation.md")["scores"]
    assert scores.pixels == 48 * 56 * 120  # of every outline on the slide, pixel by pixel


def test_the_page_lists_what_is_public() -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    listed = page.partition("<!-- public -->")[2].partition("<!-- /public -->")[0]
    assert re.findall(r"`(\w+)`", listed) == ws.__all__


@pytest.mark.parametrize(("colours", "bits"), [("RGB", 16), ("RGB", 12), ("MONOCHROME2", 16)])
def test_the_page_of_files_converts_dicom_to_8_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colours: str, bits: int
) -> None:
    monkeypatch.chdir(tmp_path)
    rgb = RGB if colours == "RGB" else RGB[..., 0]
    deep = (rgb.astype(np.uint16) << (bits - 8)) + 7
    facts = (("BitsAllocated", 16), ("BitsStored", bits), ("HighBit", bits - 1))
    write_level(tmp_path / "slide.dcm", deep, how=Written(NATIVE, colours, facts=facts))
    run("docs/formats.md")
    with Slide(tmp_path / "slide.tiff", 2.0) as slide:
        frames = slide.frames(2.0)
        shown = slide.read(Rect(0, 0, *rgb.shape[:2]), frames).rgb
    np.testing.assert_array_equal(shown, RGB if colours == "RGB" else np.repeat(rgb[..., None], 3, 2))
