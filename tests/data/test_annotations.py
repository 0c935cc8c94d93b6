from __future__ import annotations

import gzip
import json

import pytest
import shapely

from wsi_seg.data import unpack
from wsi_seg.data.annotations import read_regions
from wsi_seg.errors import AnnotationError
from wsi_seg.slides.frames import Bounds, Frames

SQUARE = [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]
HOLED = [*SQUARE, [[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]]
FAR = [[[20.5, 20], [30, 20], [30, 30], [20.5, 20]]]


FRAMES = Frames(
    bounds=Bounds(x=100, y=200, width=10_000, height=10_000),
    slide_mpp=(1.0, 1.0),
    downsample=(1.0, 1.0),
    label_size=(10_000, 10_000),
)


def geometry(coordinates, kind="Polygon"):
    return {"type": kind, "coordinates": coordinates}


def feature(of):
    return {"type": "Feature", "geometry": of, "properties": {"objectType": "annotation"}}


@pytest.fixture
def written(tmp_path):
    def write(content, name="roi.geojson"):
        path = tmp_path / name
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        geometry(HOLED),
        geometry([HOLED], "MultiPolygon"),
        feature(geometry(HOLED)),
        [feature(geometry(HOLED))],
        [geometry(HOLED)],
        {"type": "FeatureCollection", "features": [feature(geometry(HOLED)), geometry([5, 5], "Point")]},
        feature({"type": "GeometryCollection", "geometries": [geometry(HOLED)]}),
        feature(geometry([[[x, y, 0] for x, y in ring] for ring in HOLED])),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["roi.geojson", "roi.json.gz"])
def test_every_form_that_qupath_reads_is_read(written, content, name):
    regions = read_regions(written(content, name), FRAMES)

    assert isinstance(regions, shapely.MultiPolygon)
    assert regions.equals(shapely.Polygon(HOLED[0], HOLED[1:]))


def test_regions_are_united(written):
    collection = {
        "type": "FeatureCollection",
        "features": [feature(geometry(c)) for c in (HOLED, SQUARE, FAR)],
    }

    regions = read_regions(written(collection), FRAMES)

    assert len(regions.geoms) == 2
    assert regions.area == pytest.approx(100 + 9.5 * 10 / 2)


def test_a_crossing_outline_is_mended(written):
    bowtie = [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]

    regions = read_regions(written(feature(geometry(bowtie))), FRAMES)

    assert regions.is_valid
    assert regions.area == pytest.approx(50)


def test_a_byte_order_mark_is_no_fault(written):
    assert read_regions(written(b"\xef\xbb\xbf" + json.dumps(geometry(SQUARE)).encode()), FRAMES).area == 100


def test_nan_in_measurements_is_no_fault(written):
    text = json.dumps(feature(geometry(SQUARE)) | {"properties": {"measurements": {"Ki67": float("nan")}}})

    assert read_regions(written(text.encode()), FRAMES).area == 100


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b'{"type": "Feature"', "line 1, column 19"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"PK\x03\x04", "ZIP"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (gzip.compress(json.dumps(geometry(SQUARE)).encode())[:-12], "gzip"),
        ([], "no shapes at all"),
        ("polygon", "no shapes at all"),
        ({"type": "FeatureCollection", "features": []}, "no shapes at all"),
        (feature(geometry([1, 2], "Point")), "1 'Point'"),
        (feature(geometry([[1, 2], [3, 4]], "LineString")), "1 'LineString'"),
        (geometry([[[0, 0], [5, 0], [9, 0], [0, 0]]]), "no area"),
        (geometry([[[0, 0], [5, 0]]]), "shape 1"),
        (geometry([[[0, 0], [5, "1"], [5, 5], [0, 0]]]), "a list of [x, y]"),
        (geometry([[[0, 0], [5], [5, 5], [0, 0]]]), "a list of [x, y]"),
        (geometry([[[0, 0], [5, None], [5, 5], [0, 0]]]), "a list of [x, y]"),
        (geometry([[[0, 0], [5, float("inf")], [5, 5], [0, 0]]]), "finite"),
        (geometry([[[0, 0], [5, 10**400], [5, 5], [0, 0]]]), "a list of [x, y]"),
        (geometry(None), "shape 1"),
        (geometry([]), "shape 1"),
        (geometry({"a": 1}, "MultiPolygon"), "shape 1"),
        (geometry(7, "MultiPolygon"), "shape 1"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(written, content, says):
    path = written(content)

    with pytest.raises(AnnotationError, match=r"roi\.geojson") as caught:
        read_regions(path, FRAMES)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(AnnotationError, match="No such file"):
        read_regions(tmp_path / "absent.geojson", FRAMES)


def test_a_file_that_unpacks_to_too_much_is_refused(written, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_BYTES", 50)

    with pytest.raises(AnnotationError, match="GiB"):
        read_regions(written(geometry(HOLED), "roi.geojson.gz"), FRAMES)


@pytest.mark.parametrize("name", ["qupath05.geojson", "qupath_holed.geojson", "qupath_polygon.geojson"])
def test_real_files_are_read(shared_data, name):
    path = shared_data / "annotations" / name
    stored = json.loads(path.read_text())
    shapes = (
        [f["geometry"] for f in stored["features"]]
        if "features" in stored
        else [stored.get("geometry", stored)]
    )
    expected = shapely.union_all([shapely.geometry.shape(s).buffer(0) for s in shapes])

    assert read_regions(path, FRAMES).area == pytest.approx(expected.area)
