"""One picture gives one result, whatever container it comes in."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from helpers.containers import PAGES, PNG, PYRAMIDS, Container, Picture, name_of
from helpers.pyramids import mean
from helpers.results import labels_of, level_read

from wsi_seg.demo.generated_tissue import Tissue
from wsi_seg.errors import OutputError
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.summary import Summary
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings
from wsi_seg.slides.lattice import Rect

SIZE = (641, 483)
"""Odd, so that the sides of level 1 are rounded: OpenSlide would blend its pixels."""
SMALL = LabelSettings(patch=192, overlap=64, region_cores=1)


@pytest.fixture(scope="module")
def levels() -> list[Picture]:
    """A piece of the demo slide."""
    tissue = Tissue(seed=7, width_um=SIZE[0], height_um=SIZE[1], tissue_everywhere=True)
    rgb = tissue.render(Rect(0, 0, SIZE[1], SIZE[0]), 1.0)[0]
    return [rgb, mean(rgb, 2)]


def segment(container: Container, levels: list[Picture], folder: Path, model: Path) -> tuple[Path, Summary]:
    """Segment a picture of 1 um per px, or of 2 where that is its only level."""
    mpp = 2.0 / len(levels)
    slide = container.make(folder / "slide", levels, (mpp, mpp))
    labels = SMALL if container.units else SMALL.model_copy(update={"mpp": mpp})
    settings = PredictSettings(model=str(model), labels=labels, run=RunSettings(workers=1))
    return folder / "out", predict_slide(slide, folder / "out", settings)


@pytest.fixture(scope="module")
def first(
    levels: list[Picture], model_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Summary]:
    return segment(PAGES, levels, tmp_path_factory.mktemp("first"), model_path)


@pytest.mark.parametrize("container", [one for one in PYRAMIDS if one is not PAGES], ids=name_of)
def test_labels_and_polygons_are_the_same_bytes(
    container: Container,
    first: tuple[Path, Summary],
    levels: list[Picture],
    model_path: Path,
    tmp_path: Path,
) -> None:
    expected, of_first = first
    result, summary = segment(container, levels, tmp_path, model_path)
    assert (level_read(of_first), level_read(summary)) == (1, 1)
    assert len(np.unique(labels_of(expected))) > 1
    np.testing.assert_array_equal(labels_of(result), labels_of(expected))
    assert geojson(result) == geojson(expected)


def test_a_picture_is_segmented_as_a_slide_of_one_level(
    levels: list[Picture], model_path: Path, tmp_path: Path
) -> None:
    expected, _ = segment(PAGES, levels[1:], tmp_path / "tiff", model_path)
    result, _ = segment(PNG, levels[1:], tmp_path / "png", model_path)
    assert len(np.unique(labels_of(expected))) > 1
    np.testing.assert_array_equal(labels_of(result), labels_of(expected))
    assert geojson(result) == geojson(expected)


def test_a_result_of_an_earlier_version_that_shifted_levels_is_not_gone_on_with(
    levels: list[Picture], model_path: Path, tmp_path: Path
) -> None:
    """Finished or not, its labels are those of other pixels."""
    result, _ = segment(PAGES, levels, tmp_path, model_path)
    folder = ResultFolder(result)
    record = folder.read_record()
    assert record is not None
    earlier = {name: value for name, value in record.labels.items() if name != "rounded levels"}
    assert len(earlier) == len(record.labels) - 1
    settings = PredictSettings(model=str(model_path), labels=SMALL, run=RunSettings(workers=1))
    for progress in ("finished", "segmenting"):
        folder.write_record(record.model_copy(update={"labels": earlier, "progress": progress}))
        with pytest.raises(OutputError, match="read the slide's coarser levels otherwise: use another -o"):
            predict_slide(tmp_path / "slide" / "slide.tiff", result, settings)
    assert labels_of(result).any()


def geojson(result: Path) -> bytes:
    """All features; the members after them name the container."""
    return gzip.decompress((result / "slide.geojson.gz").read_bytes()).rpartition(b"\n]")[0]
