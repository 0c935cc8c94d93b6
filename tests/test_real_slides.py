"""The main job on real slides of several scanners, with the built-in model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.results import features_of, labels_of, share_that_comes_back
from rasterio.features import rasterize
from shapely import transform
from shapely.geometry import shape

from wsi_seg.predict.predict_slide import predict_slide
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.qupath.geojson_check import check_file
from wsi_seg.settings import ExportSettings, LabelSettings, PredictSettings

pytestmark = pytest.mark.slow

EXACT = ExportSettings(simplify_um=0, min_area_um2=0)


def predicted(slide: Path, out: Path, **labels: Any) -> Path:
    settings = LabelSettings(**labels, allow_grey=True)  # one of them is in one dye
    predict_slide(slide, out, PredictSettings(export=EXACT, labels=settings))
    assert not check_file(out / "slide.geojson.gz").faults
    return out


MIRAX, COARSE = "Mirax2-Fluorescence-2.mrxs", 4.0
# At 2 um per px the MIRAX slide's noise makes 65,000 polygons, which show no more than 18,000 at 4.
LABELS = {"no_mpp.svs": {"mpp": 0.5}, MIRAX: {"working_mpp": COARSE}}


@pytest.fixture(scope="module", params=["CMU-1-Small-Region.svs", MIRAX, "test3-DAPI.ndpi", "no_mpp.svs"])
def out(request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of a slide; several tests look at it."""
    slide, out = shared_data / "slides" / request.param, tmp_path_factory.mktemp("out")
    return predicted(slide, out, **LABELS.get(request.param, {}))


def test_polygons_painted_back_are_the_labels(out: Path) -> None:
    labels, frames = labels_of(out), read_labels(out / "slide.ome.zarr").frames
    ids = {c["name"]: c["id"] for c in json.loads((out / "summary.json").read_text())["classes"]}
    shapes = [
        (
            transform(shape(f["geometry"]), frames.qupath_to_label),
            ids[f["properties"]["classification"]["name"]],
        )
        for f in features_of(out)
    ]
    painted = rasterize(shapes, labels.shape, fill=0, dtype=np.uint8)
    assert len(np.unique(labels)) > 1
    np.testing.assert_array_equal(painted, labels)


def test_labels_come_back_from_polygons(out: Path) -> None:
    assert share_that_comes_back(out) >= 0.9999


@pytest.mark.parametrize("out", [MIRAX], indirect=True)
def test_polygons_lie_within_what_qupath_shows(out: Path) -> None:
    """QuPath shows the bounds of a MIRAX slide alone, and counts pixels from their corner."""
    x0, y0, x1, y1 = np.array([shape(f["geometry"]).bounds for f in features_of(out)]).T
    label_px = read_labels(out / "slide.ome.zarr").frames.downsample[0]
    assert label_px == pytest.approx(12.5, abs=0.01)
    assert min(x0.min(), y0.min()) >= 0
    assert x1.max() <= 10_439 + label_px
    assert y1.max() <= 7641 + label_px


def test_dicom_and_svs_of_one_scan_give_the_same_labels(shared_data: Path, tmp_path: Path) -> None:
    svs = predicted(shared_data / "slides" / "CMU-1-Small-Region.svs", tmp_path / "svs")
    series = next((shared_data / "slides" / "CMU-1-Small-Region_dicom").glob("*.dcm"))
    dicom = predicted(series, tmp_path / "dicom")
    assert (labels_of(svs) == labels_of(dicom)).mean() > 0.98
