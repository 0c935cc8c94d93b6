"""One of several images of a file is segmented as if the file held it alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tissue_rgb
from helpers.drawn_tiffs import write_series
from helpers.results import features_of, labels_of
from typer.testing import CliRunner

import wsi_seg as ws
from wsi_seg.cli.commands import app
from wsi_seg.errors import OutputError, UsageError
from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.settings import LabelSettings, PredictSettings, RunSettings

ONE, OTHER = tissue_rgb(500, 700, seed=1), tissue_rgb(480, 600, seed=2)
LABEL = tissue_rgb(900, 900, seed=3)


def settings(model: Path, series: int | None = None) -> PredictSettings:
    labels = LabelSettings(patch=192, overlap=64, series=series)
    return PredictSettings(model=str(model), labels=labels, run=RunSettings(workers=1))


@pytest.fixture
def several(tmp_path: Path) -> Path:
    return write_series(tmp_path / "several.ome.tiff", {"label image": LABEL, "one": ONE, "other": OTHER})


def test_each_image_is_segmented_as_if_it_were_alone(several: Path, model_path: Path, tmp_path: Path) -> None:
    for series, name, pixels in ((None, "one", ONE), (2, "other", OTHER)):
        alone = write_series(tmp_path / f"{name}.ome.tiff", {name: pixels})
        predict_slide(alone, tmp_path / f"alone-{name}", settings(model_path))
        summary = predict_slide(several, tmp_path / name, settings(model_path, series))
        assert summary.status == "finished"
        assert len(np.unique(labels_of(tmp_path / name))) > 1
        np.testing.assert_array_equal(labels_of(tmp_path / name), labels_of(tmp_path / f"alone-{name}"))
        assert features_of(tmp_path / name) == features_of(tmp_path / f"alone-{name}") != []


def test_a_result_goes_on_with_its_own_image_alone(several: Path, model_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_slide(several, out, settings(model_path))
    with pytest.raises(
        OutputError, match=r"out: holds a result of another image in the same file \(--series\)"
    ):
        predict_slide(several, out, settings(model_path, 2))
    predict_slide(several, out, settings(model_path, 1))  # the same image, by its number


def test_python_reads_and_segments_an_image_by_its_number(
    several: Path, model_path: Path, tmp_path: Path
) -> None:
    with ws.open_slide(several, series=2) as slide:
        assert slide.size == (600, 480)
        np.testing.assert_array_equal(slide.read(x=0, y=0, width=600, height=480), OTHER)
        with pytest.raises(UsageError, match="is already open: give its series to open_slide"):
            ws.segment(slide, model_path, out=tmp_path / "out", series=1)
    ws.segment(several, model_path, out=tmp_path / "out", series=2, patch=192, overlap=64, workers=1)
    assert labels_of(tmp_path / "out").shape == (120, 150)
    wrong: Any
    for wrong in (-1, 1.5, True, "1"):
        with pytest.raises(UsageError, match=r"series=.*: give the number of an image, from 0 on"):
            ws.open_slide(several, series=wrong)


def test_info_lists_the_images(several: Path) -> None:
    text = CliRunner().invoke(app, ["info", str(several)]).stdout
    assert "  image 0     900 x 900 px, 'label image': --series 0\n" in text
    assert "  image 1     700 x 500 px, 'one', this one\n" in text
    assert "image 1 'one' (700 x 500) of 3" in text
    (found,) = json.loads(CliRunner().invoke(app, ["info", "--json", "--series", "2", str(several)]).stdout)
    assert (found["width"], found["height"]) == (600, 480)
    assert [image["read"] for image in found["images"]] == [False, False, True]
