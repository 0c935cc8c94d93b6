from __future__ import annotations

import csv
import errno
import gzip
import json
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_seg.errors import OutputError
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.results.polygons.complete_shapes import Shape
from wsi_seg.results.polygons.export_report import ExportReport
from wsi_seg.results.polygons.geojson_writer import write_csv, write_geojson
from wsi_seg.results.polygons.vectorise import ArraySource, PolygonSettings, vectorise
from wsi_seg.results.polygons.written_classes import GeoJsonSettings
from wsi_seg.results.qupath.geojson_check import check_file
from wsi_seg.slides.frames import Bounds, Frames

SCHEMA = ClassSchema(
    name="test",
    background="Glass",
    classes=(
        TissueClass(id=0, name="Glass", color=(255, 255, 255)),
        TissueClass(id=1, name="Tumour", color=(200, 0, 0)),
        TissueClass(id=2, name="Tumour: nécrose", color=(0, 0, 130)),
    ),
)
FRAMES = Frames(
    bounds=Bounds(x=100, y=50, width=400, height=400),
    slide_mpp=(0.25, 0.5),
    downsample=(4.0, 2.0),
    label_size=(100, 200),
)
HOLED = shapely.Polygon(shapely.box(0, 0, 10, 10).exterior, [shapely.box(3, 3, 5, 5).exterior])
PLAIN = GeoJsonSettings(gzip=False)


def write(
    path: Path, shapes: Iterable[Shape], chosen: GeoJsonSettings = PLAIN, frames: Frames = FRAMES
) -> tuple[dict[str, Any], ExportReport]:
    report = write_geojson(path, shapes, frames, SCHEMA, chosen)
    packed = path.read_bytes()
    return json.loads(gzip.decompress(packed) if chosen.gzip else packed), report


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "slide.geojson"


def test_a_feature_has_all_that_qupath_needs(path: Path) -> None:
    written, _ = write(path, [Shape(2, HOLED, 96, 127.5)])

    (feature,) = written["features"]
    assert written["type"] == "FeatureCollection"
    assert feature["type"] == "Feature"
    assert str(uuid.UUID(feature["id"])) == feature["id"]
    assert feature["properties"] == {
        "objectType": "annotation",
        "classification": {"name": "Tumour: nécrose", "color": [0, 0, 130]},
        "measurements": {"Area um^2": 96.0, "Label area um^2": 96.0, "Mean confidence": 0.5},
    }
    assert shapely.geometry.shape(feature["geometry"]).equals(
        shapely.Polygon(shapely.box(0, 0, 40, 20).exterior, [shapely.box(12, 6, 20, 10).exterior])
    )


def test_whole_numbers_are_written_without_a_point(path: Path) -> None:
    write(path, [Shape(1, HOLED, 96, None)])
    assert ".0" not in path.read_text().split('"coordinates":')[1].split('"properties"')[0]

    twentieths = FRAMES.model_copy(update={"downsample": (2.35, 2.35)})
    write(path, [Shape(1, HOLED.normalize(), 96, None)], frames=twentieths)
    assert "[[[0,0],[0,23.5],[23.5,23.5]" in path.read_text()


def test_the_report_counts_what_is_in_the_file(path: Path) -> None:
    shapes = [
        Shape(1, HOLED, 96, None),
        Shape(1, shapely.box(20, 0, 21, 1), 1, None),
        Shape(0, HOLED, 96, None),
    ]

    written, report = write(path, shapes)

    assert report.polygons == {1: 2}
    assert report.label_area_um2 == {1: 97.0}
    assert report.area_um2 == {1: pytest.approx(97.0)}
    assert report.vertices == 15
    assert report.bytes == path.stat().st_size
    assert (report.repaired, report.dropped) == (0, 0)
    assert len(written["features"]) == 2


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ({}, ["Tumour"]),
        ({"include_background": True}, ["Glass", "Tumour"]),
        ({"include_unprocessed": True}, ["Tumour", "Unprocessed"]),
    ],
)
def test_what_is_left_out_by_default(path: Path, chosen: dict[str, Any], names: list[str]) -> None:
    shapes = [Shape(i, shapely.box(i, 0, i + 1, 1), 1, None) for i in (0, 1, 254, 255)]

    written, _ = write(path, shapes, GeoJsonSettings(gzip=False, **chosen))

    assert [f["properties"]["classification"]["name"] for f in written["features"]] == names


def test_no_shapes_make_an_empty_collection(path: Path) -> None:
    written, report = write(path, [])

    assert written == {"type": "FeatureCollection", "features": []}
    assert report.polygons == {}
    assert check_file(path).ok


def test_detections_are_marked_as_such(path: Path) -> None:
    written, _ = write(path, [Shape(1, HOLED, 96, None)], GeoJsonSettings("detection", gzip=False))

    assert written["features"][0]["properties"]["objectType"] == "detection"


def test_the_same_shapes_give_the_same_bytes(tmp_path: Path) -> None:
    shapes = [Shape(1, HOLED, 96, 200.0)] * 3
    one, other = tmp_path / "one.geojson.gz", tmp_path / "another name.geojson.gz"

    write(one, shapes, GeoJsonSettings())
    write(other, shapes, GeoJsonSettings())

    assert one.read_bytes() == other.read_bytes()


def test_ids_follow_class_and_outline(path: Path) -> None:
    moved = shapely.affinity.translate(HOLED, 1)
    shapes = [Shape(1, HOLED, 96, None), Shape(2, HOLED, 96, None), Shape(1, moved, 96, None)]
    again = [Shape(1, HOLED, 1, 3.0)]

    ids = [f["id"] for f in write(path, shapes)[0]["features"]]

    assert len(set(ids)) == 3
    assert write(path, again)[0]["features"][0]["id"] == ids[0]


def test_a_shape_in_two_pieces_after_repair_is_a_multipolygon(path: Path) -> None:
    pinched = shapely.Polygon([(0, 0), (10, 0), (10, 10), (5, 0.0005), (0, 10)])

    written, report = write(path, [Shape(1, pinched, 50, None)])

    assert report.repaired == 1
    assert written["features"][0]["geometry"]["type"] == "MultiPolygon"
    assert check_file(path).ok


def test_a_shape_that_vanishes_is_counted(path: Path) -> None:
    written, report = write(path, [Shape(1, shapely.box(1.0001, 1.0001, 1.0002, 1.0002), 1, None)])

    assert written["features"] == []
    assert (report.repaired, report.dropped) == (1, 1)


def test_a_class_that_the_schema_lacks_is_refused(path: Path) -> None:
    with pytest.raises(OutputError, match=r"slide\.geojson: the labels hold class 7"):
        write(path, [Shape(7, HOLED, 96, None)])


def test_a_failure_leaves_the_older_file_and_nothing_else(path: Path) -> None:
    write(path, [Shape(1, HOLED, 96, None)])
    before = path.read_bytes()

    def breaks() -> Iterator[Shape]:
        yield Shape(1, HOLED, 96, None)
        raise OutputError("labels damaged")

    with pytest.raises(OutputError, match="labels damaged"):
        write(path, breaks(), GeoJsonSettings())

    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "file" / "slide.geojson", [])


def test_csv_measures_the_same_shapes_under_the_same_ids(tmp_path: Path, path: Path) -> None:
    shapes = [
        Shape(1, HOLED, 96, 51.0),
        Shape(0, HOLED, 96, None),
        Shape(2, shapely.box(20, 0, 24, 8), 32, None),
    ]
    written, _ = write(path, shapes)
    table = tmp_path / "slide.csv"

    report = write_csv(table, shapes, FRAMES, SCHEMA, PLAIN)

    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert report.polygons == {1: 1, 2: 1}
    assert [row["id"] for row in rows] == [f["id"] for f in written["features"]]
    assert rows[0]["class"] == "Tumour"
    assert rows[0]["class_id"] == "1"
    assert float(rows[0]["area_um2"]) == 96.0
    assert float(rows[0]["label_area_um2"]) == 96.0
    assert float(rows[0]["perimeter_um"]) == 4 * 10 + 4 * 2
    assert (float(rows[0]["centroid_x"]), float(rows[0]["centroid_y"])) == pytest.approx(
        (20.17, 10.08), abs=0.01
    )
    assert [row["mean_confidence"] for row in rows] == ["0.2000", ""]


def test_areas_are_those_of_the_outlines_and_label_areas_those_of_the_pixels(
    tmp_path: Path, path: Path
) -> None:
    """A disc of 40 label pixels that simplifying has left a triangle of 24; pixels are not square."""
    shapes = [
        Shape(1, shapely.Polygon([(2, 2), (10, 2), (2, 8)]), 40, None),
        Shape(1, shapely.box(20, 0, 24, 8), 30, None),
    ]
    pixel_um2 = 0.25 * 0.5 * 4 * 2.5
    frames = FRAMES.model_copy(update={"downsample": (4.0, 2.5)})

    written, report = write(path, shapes, frames=frames)
    write_csv(tmp_path / "slide.csv", shapes, frames, SCHEMA, PLAIN)

    measured = [feature["properties"]["measurements"] for feature in written["features"]]
    assert measured == [
        {"Area um^2": 24 * pixel_um2, "Label area um^2": 40 * pixel_um2},
        {"Area um^2": 32 * pixel_um2, "Label area um^2": 30 * pixel_um2},
    ]
    for feature in written["features"]:
        shown_px2 = shapely.geometry.shape(feature["geometry"]).area
        assert feature["properties"]["measurements"]["Area um^2"] == shown_px2 * 0.25 * 0.5
    with (tmp_path / "slide.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["area_um2"]) for row in rows] == [24 * pixel_um2, 32 * pixel_um2]
    assert [float(row["label_area_um2"]) for row in rows] == [40 * pixel_um2, 30 * pixel_um2]
    assert float(rows[0]["perimeter_um"]) == pytest.approx(8 + 7.5 + np.hypot(8, 7.5), abs=0.01)
    assert report.area_um2 == {1: pytest.approx(56 * pixel_um2)}
    assert report.label_area_um2 == {1: 70 * pixel_um2}


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([0.35, 1.0, 2.35, 4.123456]), st.sampled_from([0, 1.5]))
def test_whatever_is_drawn_passes_the_check(
    tmp_path_factory: pytest.TempPathFactory, seed: int, downsample: float, tolerance: float
) -> None:
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 3, (9, 9)), np.ones((4, 4))).astype(np.uint8)
    side = int(200_000 * downsample)
    frames = Frames(
        bounds=Bounds(x=0, y=0, width=side, height=side),
        slide_mpp=(0.5, 0.5),
        downsample=(downsample, downsample),
        label_size=(200_000, 200_000),
    )
    shapes = [
        Shape(s.class_id, shapely.affinity.translate(s.polygon, 199_900, 199_900), s.area_px, None)
        for s in vectorise(ArraySource(labels), PolygonSettings(tile=16, tolerance_px=tolerance))
    ]
    path = tmp_path_factory.mktemp("drawn") / "slide.geojson"

    _, report = write(path, shapes, GeoJsonSettings(include_background=True, gzip=False), frames)

    found = check_file(path, coverage=report.repaired == 0, image_size=(side, side))
    assert found.faults == ()
    assert found.features == len(shapes)


@pytest.mark.parametrize("number", [1, 30_000])
def test_an_error_of_the_thread_that_compresses_is_that_of_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gzip.GzipFile, "write", full)
    shapes = (Shape(1, shapely.box(i % 90, i % 190, i % 90 + 2, i % 190 + 2), 4, None) for i in range(number))

    with pytest.raises(OutputError, match="No space left"):
        write_geojson(path.with_suffix(".geojson.gz"), shapes, FRAMES, SCHEMA, GeoJsonSettings())

    assert list(path.parent.iterdir()) == []
