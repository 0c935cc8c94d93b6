from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import tissue_rgb, write_tiff
from helpers.qupath_projects import write_project_of
from typer.testing import CliRunner, Result

from wsi_seg.cli.commands import app
from wsi_seg.data.dataset import read_dataset
from wsi_seg.errors import UsageError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["tiles", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    write_tiff(tmp_path / "slide.tiff", tissue_rgb(192, 256))
    square = [[[0, 0], [128, 0], [128, 96], [0, 96], [0, 0]]]
    shape = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": square},
        "properties": {"objectType": "annotation", "classification": {"name": "Tumour", "color": [9, 9, 9]}},
    }
    (tmp_path / "drawn.geojson").write_text(json.dumps(shape))
    return tmp_path / "slide.tiff", tmp_path / "drawn.geojson"


def test_tiles_are_cut_and_counted(pair: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "tiles"
    result = run(*pair, "-o", out, "--size", 64, "--rest", "Stroma")
    assert result.exit_code == 0
    first, *shares = result.stdout.splitlines()
    assert first == f"{out}: 12 tiles of 64 px at 2 um/px"
    assert shares == ["  Stroma: 75.0% of the known pixels", "  Tumour: 25.0% of the known pixels"]
    assert len(read_dataset(out, "train").sources) == 12
    assert "slide: 12 squares" in result.stderr


def test_the_resolution_can_be_chosen(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(*pair, "-o", tmp_path / "tiles", "--size", 64, "--rest", "Stroma", "--working-mpp", 4, "-q")
    assert (result.exit_code, result.output) == (0, "")
    dataset = read_dataset(tmp_path / "tiles", "train")
    assert (dataset.mpp, len(dataset.sources)) == (4.0, 4)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--size", 5), "--size: "),
        (("--min-labelled", 2), "--min-labelled: "),
        (("--working-mpp", 0), "--working-mpp 0: not a resolution"),
        (("--mpp", -1), "--mpp -1: no slide has that"),
        (("--classes", "nothing"), "no class schema named 'nothing'"),
        ((), "only one class, 'Tumour'"),
    ],
)
def test_refusals(
    pair: tuple[Path, Path], tmp_path: Path, arguments: tuple[object, ...], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        run(*pair, "-o", tmp_path / "tiles", *arguments)
    assert not (tmp_path / "tiles").exists()


def test_tiles_of_a_project_and_its_outlines(pair: tuple[Path, Path], tmp_path: Path) -> None:
    slide, drawn = pair
    (tmp_path / "outlines").mkdir()
    drawn.rename(tmp_path / "outlines" / "slide.geojson")
    project = write_project_of(tmp_path / "project.qpproj", slide, tmp_path / "other.tiff")
    result = run(project, tmp_path / "outlines", "-o", tmp_path / "t", "--size", 64, "--rest", "Stroma")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{tmp_path / 't'}: 12 tiles of 64 px at 2 um/px")
    assert f"{project}: 1 image without outlines: other.tiff" in result.stderr
