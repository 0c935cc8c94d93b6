from __future__ import annotations

import gzip
import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely

from wsi_seg.annotations.annotation_files import AnnotationFile, AnnotationFiles, read_annotations
from wsi_seg.errors import AnnotationError

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]]}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., AnnotationFile]:
    def read_content(content: object) -> AnnotationFile:
        path = tmp_path / "shapes.json"
        path.write_text(json.dumps(content))
        return read_annotations(path)

    return read_content


def square(x: float) -> dict[str, Any]:
    """Another square, from x to the right."""
    return {"type": "Polygon", "coordinates": [[[x, 0], [x + 9, 0], [x + 9, 9], [x, 9], [x, 0]]]}


def feature(geometry: object = SQUARE, **properties: object) -> dict[str, Any]:
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
def test_a_class_is_read_as_every_version_wrote_it(
    read: Callable[..., AnnotationFile],
    classification: object,
    name: str | None,
    color: tuple[int, int, int] | None,
) -> None:
    (shape,) = read(feature(classification=classification)).shapes

    assert (shape.class_name, shape.color) == (name, color)


def test_a_shape_without_properties_has_no_class(read: Callable[..., AnnotationFile]) -> None:
    file = read(
        [square(1), {"type": "Feature", "geometry": SQUARE, "properties": None}, feature(name="Tumor")]
    )

    assert [shape.class_name for shape in file.shapes] == [None, None, None]


def test_shapes_keep_the_order_they_were_drawn_in(read: Callable[..., AnnotationFile]) -> None:
    content = {"type": "FeatureCollection", "features": [feature(classification=c) for c in "CAB"]}

    assert [(s.order, s.class_name) for s in read(content).shapes] == [(1, "C"), (2, "A"), (3, "B")]


def test_what_a_collection_of_geometries_holds_is_of_its_features_class(
    read: Callable[..., AnnotationFile],
) -> None:
    far = shapely.geometry.mapping(shapely.box(20, 20, 30, 30))
    collection = {"type": "GeometryCollection", "geometries": [SQUARE, far, {"type": "Point"}]}

    file = read(feature(collection, classification="Tumor"))

    assert [(s.class_name, s.geometry.bounds) for s in file.shapes] == [
        ("Tumor", (0, 0, 10, 10)),
        ("Tumor", (20, 20, 30, 30)),
    ]
    assert file.skipped == ("shape 3 (Tumor): a point",)


def box(x0: float, y0: float, x1: float, y1: float) -> dict[str, Any]:
    return dict(shapely.geometry.mapping(shapely.box(x0, y0, x1, y1)))


def test_children_are_shapes_with_classes_of_their_own(read: Callable[..., AnnotationFile]) -> None:
    grandchild = feature(box(3, 3, 4, 4), classification="Nerve")
    child = feature(box(2, 2, 6, 6), childObjects=[grandchild])
    parent = feature(classification="Stroma", childObjects=[child])

    file = read({"type": "FeatureCollection", "features": [parent, feature(classification="Tumor")]})

    assert [(s.order, s.class_name, s.geometry.area) for s in file.shapes] == [
        (1, "Stroma", 100), (2, None, 16), (3, "Nerve", 1), (4, "Tumor", 100),
    ]  # fmt: skip


def test_version_01_called_them_children(read: Callable[..., AnnotationFile]) -> None:
    assert len(read(feature(children=[feature(square(1)), feature(square(2))])).shapes) == 3


ROOT = {
    "type": "Feature",
    "geometry": None,
    "properties": {"objectType": "root", "childObjects": [feature()]},
}


@pytest.mark.parametrize(
    "content",
    [
        {"root": ROOT},
        {"root": ROOT, "tmaGrid": {"width": 1, "cores": []}},
        [ROOT],
        {"type": "FeatureCollection", "features": [ROOT]},
        [ROOT | {"id": "PathRootObject", "properties": {"childObjects": [feature()]}}],
    ],
)
def test_root_objects_only_hold_others(read: Callable[..., AnnotationFile], content: object) -> None:
    file = read(content)

    assert [s.geometry.area for s in file.shapes] == [100]
    assert file.skipped == ()


@pytest.mark.parametrize(
    "core",
    [
        feature(objectType="tmaCore", name="A-1", isMissing=False),
        feature(object_type="tma_core"),
        feature() | {"id": "TMACoreObject"},
        feature(objectType="tmaCore", classification="Tumor"),
    ],
)
def test_cores_of_a_tissue_microarray_are_no_shapes(
    read: Callable[..., AnnotationFile], core: dict[str, Any]
) -> None:
    core["properties"]["childObjects"] = [feature(box(2, 2, 3, 3), classification="Tumor")]

    file = read([core])

    assert [(s.class_name, s.geometry.area) for s in file.shapes] == [("Tumor", 1)]
    assert [s.geometry.area for s in file.cores] == [100]
    assert file.remarks == (f"{file.path}: 1 TMA core: left out, not outlines of tissue",)


def test_cores_alone_are_places_but_no_outlines(read: Callable[..., AnnotationFile], tmp_path: Path) -> None:
    cores = [feature(objectType="tmaCore"), feature(objectType="tmaCore", isMissing=True)]

    with pytest.raises(AnnotationError, match=r"holds no area \(shape 2: a missing core; 1 TMA core\)"):
        read(cores)
    file = read_annotations(tmp_path / "shapes.json", places=True)

    assert [s.geometry.area for s in file.shapes] == [100]


def test_an_ellipse_fills_its_box(read: Callable[..., AnnotationFile]) -> None:
    (shape,) = read(feature(SQUARE | {"isEllipse": True})).shapes

    assert shape.geometry.area == pytest.approx(25 * math.pi, rel=1e-3)
    assert shape.geometry.bounds == pytest.approx((0, 0, 10, 10))


def test_deep_nesting_is_no_matter(read: Callable[..., AnnotationFile]) -> None:
    content = feature(classification="Tumor")
    for i in range(300):
        content = feature(square(i), childObjects=[content])

    file = read(content)

    assert len(file.shapes) == 301
    assert file.shapes[-1].class_name == "Tumor"


def test_the_outline_of_a_cell_is_read_but_not_its_nucleus(read: Callable[..., AnnotationFile]) -> None:
    cell = feature(classification="Tumor", objectType="cell") | {"nucleusGeometry": SQUARE}

    assert len(read(cell).shapes) == 1


def test_measured_cells_say_nothing_of_the_tissue_that_they_are_in(tmp_path: Path) -> None:
    """All objects of an image with a cell detection: each cell would cut a hole into the known tissue."""
    cells = [feature(square(i), objectType=kind) for i, kind in enumerate(("cell", "detection", "tile"))]
    shapes = [feature(square(8), classification="Tumor", objectType="annotation"), feature(), *cells]
    path = tmp_path / "all.geojson"
    path.write_text(json.dumps([*shapes, feature(classification="Positive", objectType="cell")]))

    file = AnnotationFiles().read(path)

    assert [shape.class_name for shape in file.shapes] == ["Tumor", None, "Positive"]
    assert [line.partition(": ")[2] for line in file.remarks] == [
        "1 of 3 shapes have no class: their tissue is unknown",
        "1 of 3 shapes are detections, such as cells, whose classes (Positive) count as those of the tissue: "
        "export the annotations alone if they should not",
        "3 detections without a class, such as cells: left out, not a drawn area",
    ]
    assert len(read_annotations(path).shapes) == 6

    path.write_text(json.dumps(cells))
    with pytest.raises(AnnotationError, match=r"holds no area \(3 detections without a class"):
        AnnotationFiles().read(path)


def test_a_real_slides_outlines(shared_data: Path) -> None:
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
def test_real_files_of_each_form(
    shared_data: Path, tmp_path: Path, name: str, shapes: int, holes: int
) -> None:
    path = shared_data / "annotations" / name
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(path.read_bytes()))

    file = read_annotations(path)

    assert [s.geometry for s in read_annotations(packed).shapes] == [s.geometry for s in file.shapes]
    assert len(file.shapes) == shapes
    parts = [part for s in file.shapes for part in shapely.get_parts(s.geometry)]
    assert sum(len(part.interiors) for part in parts) == holes
    assert not file.repaired
    assert not file.refused
    assert {s.class_name for s in file.shapes} == {None}
