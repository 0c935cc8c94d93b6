"""What QuPath reads of a GeoJSON file, and what it would refuse."""

from __future__ import annotations

import copy
import gzip
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.qupath_features import BESIDE, SQUARE, Checker, JsonObject, collection, feature, without
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsi_seg.annotations.annotation_files import AnnotationFiles, read_annotations
from wsi_seg.results.qupath import geojson_check
from wsi_seg.results.qupath.geojson_check import check_file


@pytest.mark.parametrize(
    "content",
    [
        collection(feature()),
        collection(),
        [feature()],
        [],
        feature(),
        {"type": "Polygon", "coordinates": SQUARE},
        feature([SQUARE, BESIDE[:1]], "MultiPolygon") | {"id": "2aa7e31c-8437-499d-ba61-88aacd9a2c3f"},
        feature([5, 5], "Point"),
        feature([[5, 5], [6, 6]], "MultiPoint"),
        feature([[5, 5], [6, 6]], "LineString"),
        feature([[[5, 5], [6, 6]]], "MultiLineString"),
        feature([[[x, y, 0] for x, y in SQUARE[0]]]),
        without(feature(), "id", "properties"),
        feature(classification=None),
        feature(classification="Tumour"),
        feature(classification={"name": "Tumour", "colorRGB": -3670016}),
        feature(classification={}),
        feature(classification={"names": ["Tumour", "Necrotic"], "color": [1, 2, 3]}),
        feature(classification={"name": "Tumour: Necrotic", "color": [1, 2, 3, 128]}),
        feature(measurements=[{"name": "Area", "value": 3.5}]),
        feature(color=[1, 2, 3]),
        feature(color=-377282),
        feature(isLocked=True, name="first", metadata={"by": "me"}),
        feature(childObjects=[feature() | {"id": "2aa7e31c-8437-499d-ba61-88aacd9a2c3f"}]),
    ],
)
@pytest.mark.parametrize("name", ["slide.geojson", "slide.json.gz"])
def test_what_qupath_takes_is_without_fault(checked: Checker, content: object, name: str) -> None:
    report = checked(content, name)

    assert report.faults == ()
    assert report.ok


FAULTS = [
    (b"", "unreadable", "not JSON"),
    (b"<annotations/>", "unreadable", "not JSON"),
    (b'{"type": "Feature",', "unreadable", "line 1, column 20"),
    (b"[" * 5000, "unreadable", "not JSON"),
    (b"\xff{}", "unreadable", "not UTF-8"),
    (b"\x1f\x8b\x08", "unreadable", "gzip"),
    (b"PK\x03\x04....", "unreadable", "ZIP"),
    (7, "root", "not a GeoJSON object"),
    ({"type": "Topology"}, "root", "Topology"),
    ({"type": "FeatureCollection"}, "root", "without a list"),
    ({"type": "FeatureCollection", "features": {}}, "root", "without a list"),
    (collection(None), "feature", "is None"),
    (collection(without(feature(), "geometry")), "no geometry", "has no geometry"),
    (collection(feature() | {"geometry": None}), "no geometry", "has no geometry"),
    (collection(feature() | {"properties": None}), "properties", "None"),
    (collection(feature() | {"properties": []}), "properties", "[]"),
    (collection(feature(name=None)), "name", "None"),
    (collection(feature() | {"id": None}), "id", "None"),
    (collection(feature(classification={"name": "Tumour"})), "class colour", "without a colour"),
    (collection(feature(classification={"name": "Tumour", "color": [1, 2]})), "class colour", "[1, 2]"),
    (collection(feature(classification={"name": "Tumour", "color": [1, 2, 256]})), "class colour", "256"),
    (collection(feature(classification={"name": "Tumour", "color": [1, 2, 0.5]})), "class colour", "0.5"),
    (collection(feature(classification={"name": "Tumour", "color": -377282})), "class colour", "-377282"),
    (collection(feature(classification={"name": None, "color": [1, 2, 3]})), "class name", ""),
    (collection(feature(classification={"color": [1, 2, 3]})), "class name", ""),
    (collection(feature(classification=["Tumour"])), "classification", "Tumour"),
    (collection(feature(color=[1, 2])), "colour", "[1, 2]"),
    (collection(feature(color="red")), "colour", "red"),
    (collection(feature(objectType=None)), "objectType", "None"),
    (collection(feature(measurements={"Area": "3"})), "measurements", "'3'"),
    (collection(feature(measurements={"Area": None})), "measurements", "None"),
    (collection(feature(measurements={"Area": True})), "measurements", "True"),
    (collection(feature(measurements=[{"name": "Area"}])), "measurements", "Area"),
    (collection(feature(measurements=[3])), "measurements", "3"),
    (collection(feature(childObjects=[None])), "feature", "child 1"),
]  # fmt: skip


def test_xml_is_not_called_damaged(checked: Checker) -> None:
    (fault,) = checked(b"<annotations/>").faults
    assert fault.remedy.startswith("it is XML, which QuPath does not read")


@pytest.mark.parametrize(("content", "kind", "says"), FAULTS)
def test_what_qupath_refuses_is_named(checked: Checker, content: object, kind: str, says: str) -> None:
    checked.refuses(content, kind, says)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (collection(feature() | {"id": "7"}), "id"),
        (collection(feature() | {"id": 7}), "id"),
        (collection(feature(), feature()), "id"),
        (collection(feature(objectType="region")), "objectType"),
        (collection(without(feature(), "type")), "feature"),
        (collection(feature(measurements="none")), "measurements"),
        (
            collection(feature(classification={"name": "t" * 100_000, "color": [0, 0, 0]})),
            "class name",
        ),
        (collection(feature(measurements={"Area": math.nan})), "not strict"),
        (collection(feature([[[-1, 0], [9, 0], [9, 9], [-1, 0]]])), "off the image"),
    ],
)
def test_what_qupath_lives_with_is_a_warning(checked: Checker, content: object, kind: str) -> None:
    report = checked(content)

    assert [(f.kind, f.warning) for f in report.faults] == [(kind, True)]
    assert report.ok


def test_a_class_with_a_name_of_a_book_is_told_in_a_line(checked: Checker) -> None:
    report = checked(collection(feature(classification={"name": "t" * 100_000, "color": [0, 0, 0]})))

    assert all(len(name) < 300 for name in report.classes)
    assert not report.recoloured
    assert len(report.script) < 300


def test_faults_say_which_feature(checked: Checker) -> None:
    report = checked(
        collection(feature(), feature(name=None) | {"id": "2aa7e31c-8437-499d-ba61-88aacd9a2c3f"})
    )

    assert [f.where for f in report.faults] == ["feature 2"]


def test_faults_of_one_kind_are_counted_but_not_all_listed(checked: Checker) -> None:
    bad = without(feature(name=None), "id")

    report = checked(collection(*[bad] * 50, feature(color="red")))

    assert [f.kind for f in report.faults] == ["name"] * 20 + ["colour"]
    assert report.counts == {"name": 50, "colour": 1}
    assert report.errors == 51


def test_the_report_counts_what_the_file_holds(checked: Checker) -> None:
    report = checked(collection(feature(), feature([SQUARE, BESIDE], "MultiPolygon", classification=None)))

    assert (report.features, report.polygons, report.vertices) == (2, 3, 15)
    assert report.classes == {"Tumour": 1, "": 1}


@pytest.mark.parametrize("name", ["slide.txt", "slide.geojson.zip", "slide.qpdata"])
def test_names_that_qupath_does_not_read_are_faults(checked: Checker, name: str) -> None:
    assert checked(collection(), name).counts == {"name": 1}


def test_a_name_must_tell_whether_the_file_is_gzipped(checked: Checker) -> None:
    assert checked(gzip.compress(b"[]")).counts == {"name": 1}


def test_large_files_are_warned_of(checked: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geojson_check, "LARGE_BYTES", 100)

    report = checked(collection(feature()))

    assert report.ok
    assert report.counts == {"large": 1}


def test_deeply_nested_objects_are_followed(checked: Checker) -> None:
    content = without(feature(name=None), "id")
    for i in range(200):
        content = without(feature([[[x + i + 1, y] for x, y in SQUARE[0]]], childObjects=[content]), "id")

    report = checked(content)

    assert report.counts == {"name": 1}
    assert report.features == 201
    assert report.classes == {"Tumour": 201}


def core(*children: JsonObject) -> JsonObject:
    return feature(objectType="tmaCore", isMissing=False, childObjects=list(children), classification=None)


def root(*children: JsonObject) -> JsonObject:
    inner = {"objectType": "root", "childObjects": list(children)}
    return {"type": "Feature", "geometry": None, "properties": inner}


NESTED = [
    collection(feature(childObjects=[feature(childObjects=[feature(classification=None)])]), feature()),
    collection(core(feature(), feature([5, 5], "Point")), core()),
    collection(root(feature(), core(feature(classification="Stroma")))),
    {"root": root(feature(childObjects=[feature(classification={"names": ["A", "B"], "color": [1, 2, 3]})]))},
    [feature(children=[feature()]), {"type": "Polygon", "coordinates": SQUARE}],
    collection(feature([[5, 5], [6, 6]], "LineString"), feature([SQUARE, BESIDE], "MultiPolygon")),
    collection(feature(objectType="detection"), feature(objectType="cell", classification=None)),
    collection(feature(objectType="detection", classification=None), feature([5, 5], "Point"), feature()),
    feature(classification="Unclassified", childObjects=[feature(classification=" Tumour  cells ")]),
    feature() | {"geometry": {"type": "GeometryCollection", "geometries": [
        {"type": "Polygon", "coordinates": SQUARE}, {"type": "Point", "coordinates": [1, 1]}]}},
]  # fmt: skip


@pytest.mark.parametrize("content", NESTED)
def test_training_reads_what_is_counted(checked: Checker, tmp_path: Path, content: object) -> None:
    report = checked(content)

    file = read_annotations(tmp_path / "slide.geojson")
    trained_on = AnnotationFiles().read(tmp_path / "slide.geojson")

    assert report.classes == Counter(shape.class_name or "" for shape in trained_on.shapes)
    assert report.cores == len(file.cores)
    assert report.without_area == len(file.skipped)
    assert report.measured == len(file.shapes) - len(trained_on.shapes)


def test_cores_and_roots_are_without_fault_and_no_shapes_without_a_class(checked: Checker) -> None:
    report = checked(collection(without(root(without(core(without(feature(), "id")), "id")), "id")))

    assert report.faults == ()
    assert (report.features, report.cores, report.classes) == (2, 1, {"Tumour": 1})


def test_a_whole_hierarchy_is_counted_but_not_imported(checked: Checker) -> None:
    report = checked({"root": root(feature())})

    assert report.counts == {"root": 1}
    assert "QuPath does not import" in report.faults[0].what
    assert report.classes == {"Tumour": 1}


def test_classes_of_qupaths_own_keep_its_colours(checked: Checker) -> None:
    necrosis = feature(classification={"name": "Necrosis", "color": [255, 0, 0]})
    old = feature(classification={"name": "Stroma", "colorRGB": 255})

    report = checked(collection(feature(childObjects=[without(necrosis, "id")]), without(old, "id")))

    assert report.faults == ()
    assert [(c.name, c.in_file, c.in_qupath) for c in report.recoloured] == [
        ("Necrosis", (255, 0, 0), (50, 50, 50)),
        ("Stroma", (0, 0, 255), (150, 200, 150)),
    ]
    assert "getPathClass('Necrosis').setColor(255, 0, 0); " in report.script
    assert checked(collection(feature())).recoloured == ()


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert check_file(tmp_path / "absent.geojson").counts == {"unreadable": 1}


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**30, -1, 0.001, 1e308, "Polygon", "Feature", "MultiPolygon", "\ud800", "", "é"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "coordinates", "name", "color", "features", "id"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


def places(item: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """All places in a JSON value."""
    yield path
    inner = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


VALID = collection(
    feature(childObjects=[feature()]),
    feature([SQUARE, BESIDE], "MultiPolygon", classification={"names": ["a", "b"], "color": [1, 2, 3]}),
)
PLACES = list(places(VALID))


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=3))
def test_odd_values_anywhere_give_a_report(
    checked: Checker, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    content = copy.deepcopy(VALID)
    for path, value in changes:
        at = content
        try:
            for key in path[:-1]:
                at = at[key]
            if path:
                at[path[-1]] = value
            else:
                content = value
        except (TypeError, LookupError):
            continue

    report = checked(content, coverage=True)

    assert report.ok == (report.errors == 0)
    assert all("\n" not in f"{f.where}{f.what}{f.remedy}" for f in report.faults)
    assert all(f"{f.where}{f.what}{f.remedy}".isascii() for f in report.faults)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.booleans())
def test_damaged_bytes_give_a_report(checked: Checker, data: st.DataObject, packed: bool) -> None:
    text = json.dumps(VALID).encode()
    content = bytearray(gzip.compress(text, mtime=0) if packed else text)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    cut = data.draw(st.integers(0, len(content)))

    report = checked(bytes(content[:cut]))

    assert report.path.name == "slide.geojson"


def test_real_files_pass(shared_data: Path) -> None:
    files = [
        *sorted((shared_data / "annotations").glob("qupath*.geojson")),
        shared_data / "slides/breast_A03.geojson",
    ]
    assert len(files) == 4

    for path in files:
        assert check_file(path).faults == (), path


def test_areas_that_are_there_twice_count_once_as_in_training(checked: Checker, tmp_path: Path) -> None:
    stroma = {"name": "Stroma", "color": [1, 2, 3]}
    again, beside = feature(classification=stroma), feature(BESIDE, classification=stroma)
    report = checked(collection(feature(), again, beside, feature(), again, feature(name="core 1")))

    assert report.ok
    assert report.repeated == 2
    assert report.classes == {"Tumour": 2, "Stroma": 2}
    file = read_annotations(tmp_path / "slide.geojson")
    assert report.classes == Counter(shape.class_name for shape in file.shapes)
