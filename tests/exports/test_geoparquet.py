"""GeoParquet: the shapes of the GeoJSON, in the frame that is asked for, opened by GeoPandas and pyarrow."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from helpers.results import features_of
from helpers.written_results import write_labels

from wsi_seg.errors import OutputError, UsageError
from wsi_seg.exports import geoparquet
from wsi_seg.exports.formats import format_named
from wsi_seg.exports.options import Frame, Options
from wsi_seg.exports.source import Source
from wsi_seg.exports.written_files import Written
from wsi_seg.results.polygons.complete_shapes import Shape

INSTALL = "is not installed: pip install '.[geo]'"
geopandas = pytest.importorskip("geopandas", reason=f"geopandas {INSTALL}")
parquet = pytest.importorskip("pyarrow.parquet", reason=f"pyarrow {INSTALL}")


def export(result: Path, to: Path, **asked: Any) -> Written:
    return format_named("parquet").prepare(Source.at(result), to, Options(**asked))()


def speckled(folder: Path, seed: int = 0) -> Path:
    """A result of many islands."""
    labels = np.random.default_rng(seed).integers(1, 3, (60, 80), dtype=np.uint8)
    labels[:, 70:] = 0
    return write_labels(folder / "speckled", labels)


def test_the_table_has_the_shapes_of_the_geojson(result: Path, tmp_path: Path) -> None:
    written = export(result, tmp_path / "slide.parquet", frame="qupath")
    table = geopandas.read_parquet(tmp_path / "slide.parquet")
    features = features_of(result)
    assert len(features) == len(table) > 5
    assert written.what.startswith(f"{len(features)} shapes, ")
    assert list(table["id"]) == [feature["id"] for feature in features]
    for row, feature in zip(table.itertuples(), features, strict=True):
        assert row.geometry.equals(shapely.geometry.shape(feature["geometry"]))
        properties = feature["properties"]
        assert table.at[row.Index, "class"] == properties["classification"]["name"]
        measured = properties["measurements"]
        assert row.area_um2 == pytest.approx(measured["Area um^2"], abs=0.006)
        assert row.label_area_um2 == pytest.approx(measured["Label area um^2"], abs=0.006)
        assert row.mean_confidence == pytest.approx(measured["Mean confidence"], abs=6e-5)
    assert {int(i) for i in table["class_id"]} <= {1, 2}
    assert list(table["class"].cat.categories) == ["Stroma", "Tumour"]


def test_the_file_is_geoparquet_without_a_place_on_earth_and_states_where_it_is_from(
    result: Path, tmp_path: Path
) -> None:
    export(result, tmp_path / "slide.parquet", min_area_um2=900.0)
    table = geopandas.read_parquet(tmp_path / "slide.parquet")
    metadata = parquet.read_metadata(tmp_path / "slide.parquet").metadata
    geo = json.loads(metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    column = geo["columns"]["geometry"]
    assert (column["encoding"], column["crs"], column["geometry_types"]) == ("WKB", None, ["Polygon"])
    assert column["bbox"] == pytest.approx(list(table.total_bounds))
    assert table.crs is None
    made = json.loads(metadata[b"wsi_seg"])
    assert table.attrs == {"frame": "slide", "wsi_seg": {k: v for k, v in made.items() if k != "frame"}}
    source = Source.at(result)
    assert made["frame"] == "slide"
    assert made["model_fingerprint"] == source.pyramid.attributes["model_fingerprint"]
    assert len(made["model_fingerprint"]) == 64
    assert (made["model"], made["slide"]) == ("test", "tissue.tiff")
    assert made["polygons"]["min_area_um2"] == 900
    assert made["labels"]["patch"] == source.pyramid.attributes["patch"]
    assert "torch" in made["software"]
    assert str(tmp_path.parent) not in json.dumps(made)  # it travels: no folder of this machine


@pytest.mark.parametrize("frame", ["slide", "qupath", "label", "um"])
def test_coordinates_are_in_the_frame_that_is_asked_for(tmp_path: Path, frame: Frame) -> None:
    labels = np.ones((60, 80), dtype=np.uint8)
    labels[10:30, 20:50] = 2
    result = write_labels(tmp_path / "r", labels)  # half of its slide's resolution, from (30, 20) of it on
    export(result, tmp_path / "a.parquet", frame=frame, simplify_um=0.0)
    table = geopandas.read_parquet(tmp_path / "a.parquet").set_index("class")
    bounds = {
        "slide": (70, 40, 130, 80),
        "qupath": (40, 20, 100, 60),
        "label": (20, 10, 50, 30),
        "um": (40, 20, 100, 60),
    }
    assert table.loc["Tumour"].geometry.bounds == bounds[frame]
    assert table.loc["Tumour"].area_um2 == 2400
    if frame == "um":
        assert table.area.to_list() == pytest.approx(table["area_um2"].to_list())


def test_row_groups_are_written_one_by_one_and_read_by_rectangle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = speckled(tmp_path)
    export(result, tmp_path / "whole.parquet", min_area_um2=0.0)
    monkeypatch.setattr(geoparquet, "GROUP_ROWS", 7)
    export(result, tmp_path / "parts.parquet", min_area_um2=0.0)
    whole, parts = (geopandas.read_parquet(tmp_path / name) for name in ("whole.parquet", "parts.parquet"))
    assert whole.equals(parts)
    assert parquet.read_metadata(tmp_path / "parts.parquet").num_row_groups == -(-len(whole) // 7) > 20
    there = shapely.box(40, 30, 60, 50)
    some = geopandas.read_parquet(tmp_path / "parts.parquet", bbox=there.bounds)
    expected = whole[shapely.intersects(shapely.box(*whole.bounds.to_numpy().T), there)]
    assert 0 < len(some) < len(whole)
    assert set(some["id"]) == set(expected["id"])


def test_vertices_end_a_row_group_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geoparquet, "GROUP_VERTICES", 100)
    export(speckled(tmp_path), tmp_path / "a.parquet", min_area_um2=0.0)
    assert parquet.read_metadata(tmp_path / "a.parquet").num_row_groups > 10


def test_a_result_without_polygons_is_an_empty_table(tmp_path: Path) -> None:
    result = write_labels(tmp_path / "r", np.zeros((40, 40), dtype=np.uint8))
    assert export(result, tmp_path / "a.parquet").what == "0 shapes, 0 vertices"
    table = geopandas.read_parquet(tmp_path / "a.parquet")
    assert (len(table), list(table.columns)[:3]) == (0, ["id", "class_id", "class"])


def test_a_file_that_fails_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = speckled(tmp_path)
    (tmp_path / "a.parquet").write_text("before")

    def failing(*_: object) -> Iterator[Shape]:
        yield Shape(1, shapely.box(0, 0, 10, 10), 100, None)
        raise OutputError("labels: damaged")

    monkeypatch.setattr("wsi_seg.results.polygons.polygon_export.vectorise", failing)
    monkeypatch.setattr(geoparquet, "GROUP_ROWS", 1)
    with pytest.raises(OutputError, match="labels: damaged"):
        export(result, tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "speckled"]


def test_without_pyarrow_a_line_names_the_extra_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = speckled(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"needs pyarrow, which is not installed: pip install 'wsi-seg\[geo"):
        format_named("parquet").prepare(Source.at(result), tmp_path / "a.parquet", Options())


def test_a_table_is_called_as_one_and_is_no_results_own(result: Path, tmp_path: Path) -> None:
    for name in ("a.geojson", "a.parquet.gz", "parquet"):
        with pytest.raises(
            UsageError, match=r"not a name for polygons in this format: it must end in \.parq"
        ):
            export(result, tmp_path / name)
    with pytest.raises(UsageError, match="is a result's own, and no file for this"):
        export(result, result / "summary.json")
    with pytest.raises(UsageError, match="is inside of the labels, which it would damage"):
        export(result, result / "slide.ome.zarr" / "labels" / "a.parquet")
