"""GeoJSON that states what it was made from, and that readers of GeoJSON read as before."""

from __future__ import annotations

from pathlib import Path

import pytest

import wsi_seg as ws
from wsi_seg import __version__
from wsi_seg.annotations.annotation_files import read_annotations
from wsi_seg.exports.formats import format_named
from wsi_seg.exports.options import Options
from wsi_seg.exports.source import Source
from wsi_seg.files.jsonfile import read_json
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.read_labels import read_labels
from wsi_seg.results.qupath.geojson_check import check_file
from wsi_seg.view.polygons_by_place import Polygons


@pytest.fixture(scope="module")
def exported(result: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("geojson") / "coarser.geojson"
    return format_named("geojson").prepare(Source.at(result), path, Options(simplify_um=6.0))().path


def test_it_states_model_fingerprint_software_and_settings(result: Path, exported: Path) -> None:
    document = read_json(exported).value
    assert list(document) == ["type", "features", "wsi_seg"]
    said, labels = document["wsi_seg"], read_labels(result / "slide.ome.zarr")
    assert said["model_fingerprint"] == labels.attributes["model_fingerprint"]
    assert (said["model"], said["slide"]) == ("test", labels.attributes["slide"])
    assert said["segmented_by"] == said["exported_by"] == __version__
    assert said["polygons"] == {
        "simplify_um": 6.0,
        "min_area_um2": 100.0,
        "include_background": False,
        "max_vertices": 50_000,
    }
    record = ResultFolder(result).read_record()
    assert record is not None
    assert said["labels"] == labels.attributes["labels"] == record.labels
    assert said["labels"]["patch"] == labels.attributes["patch"]
    assert said["frames"]["slide_mpp"] == list(labels.frames.slide_mpp)
    assert str(result.parent) not in exported.read_text()


def test_a_result_s_own_file_states_the_same_of_its_labels(result: Path, exported: Path) -> None:
    own, other = (read_json(path).value["wsi_seg"] for path in (result / "slide.geojson.gz", exported))
    assert {**own, "polygons": None} == {**other, "polygons": None}
    assert own["polygons"]["min_area_um2"] == 100.0


def test_readers_of_geojson_read_it_as_before(exported: Path) -> None:
    features = len(read_json(exported).value["features"])
    report = check_file(exported)
    assert report.ok
    assert report.features == features > 0
    assert not report.counts
    assert len(read_annotations(exported).shapes) == features
    assert ws.check_geojson(exported).ok
    polygons = Polygons(exported)
    polygons.wait()
    assert polygons.at((-5.0, -5.0)) is None  # read, and nothing is there


def test_geopandas_reads_it(exported: Path) -> None:
    geopandas = pytest.importorskip("geopandas", reason="geopandas is not installed: pip install '.[geo]'")
    pyogrio = pytest.importorskip("pyogrio", reason="pyogrio is not installed, which reads GeoJSON for it")
    assert len(geopandas.read_file(exported)) == pyogrio.read_info(exported)["features"] > 0
