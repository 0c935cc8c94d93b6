"""The main job on real slides of several scanners, with the built-in model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.results import features_of, labels_of
from rasterio.features import rasterize
from shapely import transform
from shapely.geometry import shape

from wsi_seg.predict.run import predict_slide
from wsi_seg.results.labels.reading import read_labels
from wsi_seg.results.qupath.check import check_file
from wsi_seg.settings import ExportSettings, LabelSettings, PredictSettings

pytestmark = pytest.mark.slow

EXACT = ExportSettings(simplify_um=0, min_area_um2=0)


def predicted(slide: Path, out: Path, **labels: float) -> Path:
    settings = LabelSettings(**labels, allow_grey=True)  # one of them is in one dye
    predict_slide(slide, out, PredictSettings(export=EXACT, labels=settings))
    assert not check_file(out / "slide.geojson.gz").faults
    return out


@pytest.mark.parametrize(
    ("name", "mpp"),
    [
        ("CMU-1-Small-Region.svs", None),
        ("Mirax2-Fluorescence-2.mrxs", None),
        ("test3-DAPI.ndpi", None),
        ("no_mpp.svs", 0.5),
    ],
)
def test_polygons_painted_back_are_the_labels(
    shared_data: Path, name: str, mpp: float | None, tmp_path: Path
) -> None:
    out = predicted(shared_data / "slides" / name, tmp_path / "out", **({} if mpp is None else {"mpp": mpp}))
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


def test_polygons_lie_within_what_qupath_shows(shared_data: Path, tmp_path: Path) -> None:
    """QuPath shows the bounds of a MIRAX slide alone, and counts pixels from their corner."""
    out = predicted(shared_data / "slides" / "Mirax2-Fluorescence-2.mrxs", tmp_path / "out")
    x0, y0, x1, y1 = np.array([shape(f["geometry"]).bounds for f in features_of(out)]).T
    assert min(x0.min(), y0.min()) >= 0
    assert x1.max() <= 10_439 + 6.25
    assert y1.max() <= 7641 + 6.25


def test_dicom_and_svs_of_one_scan_give_the_same_labels(shared_data: Path, tmp_path: Path) -> None:
    svs = predicted(shared_data / "slides" / "CMU-1-Small-Region.svs", tmp_path / "svs")
    series = next((shared_data / "slides" / "CMU-1-Small-Region_dicom").glob("*.dcm"))
    dicom = predicted(series, tmp_path / "dicom")
    assert (labels_of(svs) == labels_of(dicom)).mean() > 0.98
