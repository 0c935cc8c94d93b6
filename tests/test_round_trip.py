"""From labels to polygons in QuPath's file, and back to labels: the loop that corrections go round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import tissue_rgb, write_tiff
from helpers.results import labels_of

from wsi_seg.annotations.reading import read_annotations
from wsi_seg.data.sources import IGNORE
from wsi_seg.data.truth import SlideTruth, TruthSettings
from wsi_seg.predict.run import predict_slide
from wsi_seg.results.labels.reading import read_labels
from wsi_seg.settings import ExportSettings, LabelSettings, PredictSettings
from wsi_seg.slides.lattice import Rect

EXACT = ExportSettings(simplify_um=0, min_area_um2=0)
SMALL = {"patch": 192, "overlap": 64, "region_cores": 1}


def share_that_comes_back(slide: Path, out: Path, model: str | None, **labels: float) -> float:
    """Predict, export, read back and paint; return the share of pixels with the class they had."""
    settings = PredictSettings(export=EXACT, labels=LabelSettings.model_validate(labels))
    predict_slide(slide, out, settings if model is None else settings.model_copy(update={"model": model}))
    pyramid = read_labels(out / "slide.ome.zarr")
    height, width = pyramid.shape
    file = read_annotations(out / "slide.geojson.gz")
    assert (file.repaired, file.refused, file.skipped) == ((), (), ())
    truth = SlideTruth.of(
        file.outlines_label(pyramid.frames),
        [shape.class_name for shape in file.shapes],
        pyramid.schema,
        TruthSettings(),
        tissue=None,
    )
    expected = np.full((height, width), IGNORE, np.uint8)
    stored = labels_of(out)
    for index, kind in enumerate(pyramid.schema.classes):
        if kind.name != pyramid.schema.background:
            expected[stored == kind.id] = index
    assert len(np.unique(expected)) > 1
    return float((truth.read(Rect(0, 0, height, width)) == expected).mean())


@pytest.mark.parametrize("mpp", [2.0, 1.37])
def test_labels_come_back_from_polygons(tmp_path: Path, model_path: Path, mpp: float) -> None:
    side = round(300 * 2.0 / mpp)
    slide = write_tiff(tmp_path / "slide.tiff", tissue_rgb(side, side + 64), mpp=mpp)

    assert share_that_comes_back(slide, tmp_path / "out", str(model_path), **SMALL) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("CMU-1-Small-Region.svs", {}),
        ("Mirax2-Fluorescence-2.mrxs", {}),
        ("test3-DAPI.ndpi", {"allow_grey": True}),
        ("no_mpp.svs", {"mpp": 0.5}),
    ],
)
def test_labels_of_real_slides_come_back(
    shared_data: Path, tmp_path: Path, name: str, labels: dict[str, float]
) -> None:
    assert share_that_comes_back(shared_data / "slides" / name, tmp_path / "out", None, **labels) >= 0.9999
