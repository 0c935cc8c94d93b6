"""A copy of a region file: the same file, with measurements that QuPath takes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.drawn import write_boxes
from helpers.qupath_features import collection, feature
from helpers.written_results import write_labels

from wsi_seg.errors import AnnotationError, UsageError
from wsi_seg.measures.measure_results import measure_results
from wsi_seg.measures.measure_settings import MeasureSettings
from wsi_seg.measures.on_objects import check_copy, write_copy
from wsi_seg.results.qupath.geojson_check import check_file

BOX = [[[0, 0], [80, 0], [80, 80], [0, 80], [0, 0]]]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels = np.ones((70, 90), dtype=np.uint8)
    labels[10:30, 10:30] = 2
    return write_labels(tmp_path_factory.mktemp("results") / "case", labels)


def copied(result: Path, regions: Path, target: Path) -> Any:
    asked = MeasureSettings("Tumour", (0.0, 4.0))
    write_copy(measure_results([(result, regions)], asked), target)
    content = target.read_bytes()
    return json.loads(gzip.decompress(content) if target.suffix == ".gz" else content)


def test_measurements_are_added_and_all_else_stays(result: Path, tmp_path: Path) -> None:
    line = {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[0, 0.1], [5, 5]]}}
    child = feature(BOX, name="inner", isLocked=True)
    parent = feature(BOX, name="outer", measurements={"Mine": 3, "Tumour area mm^2": 0}, childObjects=[child])
    before = {**collection(line, parent), "other": [1, {"x": None}]}
    regions = tmp_path / "drawn.geojson"
    regions.write_text(json.dumps(before))
    after = copied(result, regions, tmp_path / "measured.geojson")
    assert check_file(tmp_path / "measured.geojson").ok
    outer = after["features"][1]["properties"]
    measurements = outer["measurements"]
    assert measurements["Mine"] == 3
    assert measurements["Tumour area mm^2"] == pytest.approx(0.0016)
    assert measurements["Tumour %"] == pytest.approx(25)
    assert measurements["Tumour: Components"] == 1
    assert measurements["Tumour %, 0-4 µm from Tumour"] == pytest.approx(36)
    assert measurements["Stroma - Tumour: Boundary µm"] == measurements["Tumour: Perimeter µm"] > 0
    assert measurements["Region area mm^2"] == pytest.approx(0.0064)
    assert "Glass %" not in measurements
    assert outer["childObjects"][0]["properties"]["measurements"]["Area um^2"] == 100.5
    made = after.pop("wsi_seg")
    assert (made["model"], made["model_fingerprint"]) == ("a-model", "abc123")
    outer["measurements"] = parent["properties"]["measurements"]
    outer["childObjects"][0]["properties"]["measurements"] = child["properties"]["measurements"]
    assert after == before


def test_a_name_that_ends_in_gz_is_packed(result: Path, tmp_path: Path) -> None:
    regions = write_boxes(tmp_path / "drawn.geojson", ("A", (0, 0, 80, 80)))
    (one,) = copied(result, regions, tmp_path / "measured.geojson.gz")["features"]
    assert one["properties"]["measurements"]["Region area mm^2"] == pytest.approx(0.0064)
    assert check_file(tmp_path / "measured.geojson.gz").ok


def test_measurements_of_an_old_qupath_are_kept(result: Path, tmp_path: Path) -> None:
    regions = tmp_path / "drawn.json"
    regions.write_text(json.dumps([feature(BOX, measurements=[{"name": "Old", "value": 7}])]))
    (one,) = copied(result, regions, tmp_path / "measured.json")
    assert one["properties"]["measurements"]["Old"] == 7


def test_what_is_no_object_of_its_own_is_refused(result: Path, tmp_path: Path) -> None:
    bare, several = tmp_path / "bare.geojson", tmp_path / "several.geojson"
    bare.write_text(json.dumps({"type": "Polygon", "coordinates": BOX}))
    polygon = {"type": "Polygon", "coordinates": BOX}
    held = {**feature(), "geometry": {"type": "GeometryCollection", "geometries": [polygon, polygon]}}
    several.write_text(json.dumps(collection(held)))
    xml = tmp_path / "drawn.xml"
    xml.write_text("<ASAP_Annotations/>")
    for path, said in (
        (bare, "shape 1 is a bare geometry"),
        (several, "shapes 1 and 2 are one object"),
        (xml, "is XML, and measurements are written for QuPath"),
    ):
        with pytest.raises(AnnotationError, match=said):
            check_copy([path], tmp_path / "copy.geojson")
    assert not (tmp_path / "copy.geojson").exists()


def test_a_copy_goes_nowhere_else(result: Path, tmp_path: Path) -> None:
    regions = write_boxes(tmp_path / "drawn.geojson", ("A", (0, 0, 80, 80)))
    for given, target, said in (
        ([], "copy.geojson", "none is given"),
        ([regions, regions], "copy.geojson", "2 are given"),
        ([regions], "drawn.geojson", "is the region file itself"),
        ([regions], "copy.csv", "not a name for QuPath"),
    ):
        with pytest.raises(UsageError, match=said):
            check_copy(given, tmp_path / target)
    with pytest.raises(UsageError, match="is a result's own"):
        check_copy([regions], result / "slide.geojson")
