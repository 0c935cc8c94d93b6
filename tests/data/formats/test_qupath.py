from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest
import shapely

from wsi_seg.data.annotations import read_annotations

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]}


@pytest.fixture
def read(tmp_path):
    def read_content(content):
        path = tmp_path / "shapes.json"
        path.write_text(json.dumps(content))
        return read_annotations(path)

    return read_content


def feature(geometry=SQUARE, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


@pytest.mark.parametrize(
    ("classification", "name", "color"),
    [
        ("Tumor", "Tumor", None),
        ({"name": "Tumor", "color": [200, 0, 0]}, "Tumor", (200, 0, 0)),
        ({"name": "Tumor", "color": [200, 0, 0, 255]}, "Tumor", (200, 0, 0)),
        ({"name": "Tumor", "colorRGB": -3670016}, "Tumor", (200, 0, 0)),
        ({"name": "Tumor", "color": -3670016}, "Tumor", (200, 0, 0)),
        ({"names": ["Tumor", "Positive"], "color": [1, 2, 3]}, "Tumor: Positive", (1, 2, 3)),
        ({"name": "Tumor:Positive"}, "Tumor: Positive", None),
        ({"name": " Tumor  cells\n", "color": [1, 2]}, "Tumor cells", None),
        ({"name": "Tumor", "color": [1, 2, 300]}, "Tumor", None),
        ({"name": "Tumor", "color": [1, True, 3]}, "Tumor", None),
        ({"name": "Unclassified"}, None, None),
        ("None", None, None),
        ("", None, None),
        ({"name": 5}, None, None),
        ({"names": [1, None]}, None, None),
        ({}, None, None),
        (None, None, None),
        ([], None, None),
    ],
)  # fmt: skip
def test_a_class_is_read_as_every_version_wrote_it(read, classification, name, color):
    (shape,) = read(feature(classification=classification)).shapes

    assert (shape.class_name, shape.color) == (name, color)


def test_a_shape_without_properties_has_no_class(read):
    file = read([SQUARE, {"type": "Feature", "geometry": SQUARE, "properties": None}, feature(name="Tumor")])

    assert [shape.class_name for shape in file.shapes] == [None, None, None]


def test_shapes_keep_the_order_they_were_drawn_in(read):
    content = {"type": "FeatureCollection", "features": [feature(classification=c) for c in "CAB"]}

    assert [(s.order, s.class_name) for s in read(content).shapes] == [(1, "C"), (2, "A"), (3, "B")]


def test_what_a_collection_of_geometries_holds_is_of_its_features_class(read):
    far = shapely.geometry.mapping(shapely.box(20, 20, 30, 30))
    collection = {"type": "GeometryCollection", "geometries": [SQUARE, far, {"type": "Point"}]}

    file = read(feature(collection, classification="Tumor"))

    assert [(s.class_name, s.geometry.bounds) for s in file.shapes] == [
        ("Tumor", (0, 0, 10, 10)),
        ("Tumor", (20, 20, 30, 30)),
    ]
    assert file.skipped == ("1 'Point'",)


def test_the_outline_of_a_cell_is_read_but_not_its_nucleus(read):
    cell = feature(classification="Tumor", objectType="cell") | {"nucleusGeometry": SQUARE}

    assert len(read(cell).shapes) == 1


def test_a_real_slides_outlines(shared_data):
    path = shared_data / "slides" / "breast_A03.geojson"
    stored = json.loads(path.read_text())["features"]

    file = read_annotations(path)

    assert (file.format, file.frame) == ("QuPath GeoJSON", "qupath")
    assert Counter((s.class_name, s.color) for s in file.shapes) == Counter(
        (f["properties"]["classification"]["name"], tuple(f["properties"]["classification"]["color"]))
        for f in stored
    )
    for shape, feature_ in zip(file.shapes, stored, strict=True):
        assert shape.geometry.equals(shapely.geometry.shape(feature_["geometry"]))
    assert file.remarks == ()


@pytest.mark.parametrize(
    ("name", "shapes", "holes"),
    [("qupath05.geojson", 3, 0), ("qupath_holed.geojson", 1, 1), ("qupath_polygon.geojson", 1, 26)],
)
def test_real_files_of_each_form(shared_data, tmp_path, name, shapes, holes):
    path = shared_data / "annotations" / name
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(path.read_bytes()))

    file = read_annotations(path)

    assert [s.geometry for s in read_annotations(packed).shapes] == [s.geometry for s in file.shapes]
    assert len(file.shapes) == shapes
    parts = [part for s in file.shapes for part in shapely.get_parts(s.geometry)]
    assert sum(len(part.interiors) for part in parts) == holes
    assert not file.mended
    assert not file.refused
    assert {s.class_name for s in file.shapes} == {None}
