"""``wsi-seg demo``: a slide with its truth, and the score of a result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from typer.testing import CliRunner, Result

from wsi_seg.cli.demo import app, parse_size
from wsi_seg.errors import UsageError, WsiSegError
from wsi_seg.models.classes import UNPROCESSED_ID, load_schema
from wsi_seg.results.labels.ngff_attributes import PyramidLayout
from wsi_seg.results.labels.pyramid import PyramidWriter
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.lattice import Rect


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, WsiSegError):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "small.tiff"
    made = run("slide", "-o", path, "--size", "900x700", "--mpp", 1, "--seed", 5)
    assert made.exit_code == 0
    assert made.output.split() == [str(path), str(path.with_name("small.truth.tiff"))]
    return path


def write_result(folder: Path, truth: np.ndarray, wrong: int) -> Path:
    """Write a result that is right but for `wrong` unprocessed rows at its top."""
    height, width = truth.shape
    frames = Frames.at_mpp(Bounds(x=0, y=0, width=width, height=height), (1.0, 1.0), 2.0)
    labels = truth[1::2, 1::2].copy()
    labels[:wrong] = UNPROCESSED_ID
    layout = PyramidLayout(frames, load_schema("breast-biopsy"), region=512, overview_level=0)
    writer = PyramidWriter(folder / "slide.ome.zarr", layout)
    folder.mkdir()
    writer.create({})
    files = writer.write_region(Rect(0, 0, *labels.shape), labels)
    writer.seal({int(value): int((labels == value).sum()) for value in np.unique(labels)}, files)
    return folder


def test_a_slide_and_its_truth_are_written(slide: Path) -> None:
    with openslide.OpenSlide(slide) as opened:
        assert opened.dimensions == (900, 700)
        assert float(opened.properties["openslide.mpp-x"]) == pytest.approx(1.0)
    truth = tifffile.imread(slide.with_name("small.truth.tiff"))
    assert truth.shape == (700, 900)
    assert set(np.unique(truth)) <= set(range(8))
    assert len(np.unique(truth)) > 2


def test_a_stain_changes_the_picture_and_not_the_truth(slide: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tiff"
    run("slide", "-o", other, "--size", "900x700", "--mpp", 1, "--seed", 5, "--stain-seed", 3)
    assert (slide.with_name("small.truth.tiff").read_bytes()) == (
        other.with_name("other.truth.tiff").read_bytes()
    )
    assert slide.read_bytes() != other.read_bytes()


def test_a_perfect_result_scores_one(slide: Path, tmp_path: Path) -> None:
    truth = slide.with_name("small.truth.tiff")
    result = write_result(tmp_path / "out", tifffile.imread(truth), wrong=3)
    scored = run("score", result, "--truth", truth)
    assert scored.exit_code == 0
    assert "Benign epithelium" in scored.output
    mean = next(line for line in scored.output.splitlines() if line.startswith("mean IoU"))
    assert mean.split()[2] == "1.000"
    assert mean.endswith("the whole slide")
    assert f"{3 * 450} pixels, not counted" in scored.output


@pytest.mark.parametrize("text", ["8192", "0x5", "axb", "1x2x3", "-1x5", "²x3", ""])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="8192x6144"):
        parse_size(text)


def test_sizes_are_width_by_height() -> None:
    assert parse_size("640X480") == (640, 480)


def test_unusable_options_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.tiff"):
        run("slide", "-o", tmp_path / "slide.svs")
    with pytest.raises(UsageError, match="--mpp 0"):
        run("slide", "-o", tmp_path / "slide.tiff", "--mpp", 0)
    assert list(tmp_path.iterdir()) == []
