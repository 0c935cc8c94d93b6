from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_seg.annotations.annotation_files import read_annotations
from wsi_seg.annotations.on_slide import read_regions
from wsi_seg.errors import AnnotationError
from wsi_seg.files import unpack
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


def geometry(coordinates: object, kind: str = "Polygon") -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates}


def feature(of: object) -> dict[str, Any]:
    return {"type": "Feature", "geometry": of, "properties": {"objectType": "annotation"}}


def regions(path: Path, frames: Frames = FRAMES) -> shapely.MultiPolygon:
    return read_regions(path, "slide.svs", frames).geometry_label


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(content: object, name: str = "roi.geojson") -> Path:
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
def test_every_form_that_qupath_reads_is_read(
    written: Callable[..., Path], content: object, name: str
) -> None:
    found = regions(written(content, name))

    assert isinstance(found, shapely.MultiPolygon)
    assert found.equals(shapely.Polygon(HOLED[0], HOLED[1:]))


def test_regions_are_united(written: Callable[..., Path]) -> None:
    collection = {
        "type": "FeatureCollection",
        "features": [feature(geometry(c)) for c in (HOLED, SQUARE, FAR)],
    }

    found = regions(written(collection))

    assert len(found.geoms) == 2
    assert found.area == pytest.approx(100 + 9.5 * 10 / 2)


def test_a_crossing_outline_is_repaired(written: Callable[..., Path]) -> None:
    bowtie = [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]

    found = regions(written(feature(geometry(bowtie))))

    assert found.is_valid
    assert found.area == pytest.approx(50)


def test_a_byte_order_mark_is_no_fault(written: Callable[..., Path]) -> None:
    assert regions(written(b"\xef\xbb\xbf" + json.dumps(geometry(SQUARE)).encode())).area == 100


def test_nan_in_measurements_is_no_fault(written: Callable[..., Path]) -> None:
    text = json.dumps(feature(geometry(SQUARE)) | {"properties": {"measurements": {"Ki67": float("nan")}}})

    assert regions(written(text.encode())).area == 100


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b'{"type": "Feature"', "line 1, column 19"),
        (
            b"[" * 100_000,
            "nested too deeply to be read, export",
        ),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"PK\x03\x04", "ZIP"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (gzip.compress(json.dumps(geometry(SQUARE)).encode(), mtime=0)[:-12], "gzip"),
        ([], "no shapes at all"),
        ("polygon", "no shapes at all"),
        ({"type": "FeatureCollection", "features": []}, "no shapes at all"),
        (feature(geometry([1, 2], "Point")), "shape 1: a point"),
        (feature(geometry([[1, 2], [3, 4]], "LineString")), "shape 1: a line"),
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
def test_what_cannot_be_used_is_refused_in_one_line(
    written: Callable[..., Path], content: str, says: str
) -> None:
    path = written(content)

    with pytest.raises(AnnotationError, match=r"roi\.geojson") as caught:
        regions(path)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="No such file"):
        regions(tmp_path / "absent.geojson")


@pytest.mark.parametrize("kind", ["Polygon", "Point"])
def test_a_class_with_a_name_of_a_book_is_refused_in_a_line(written: Callable[..., Path], kind: str) -> None:
    thing = feature(geometry(SQUARE if kind == "Polygon" else [1, 2], kind))
    thing["properties"]["classification"] = {"name": "t" * 100_000}

    with pytest.raises(
        AnnotationError, match="shape 1: the name of its class has 100,000 characters"
    ) as caught:
        read_annotations(written([feature(geometry(SQUARE)), thing][::-1]))

    assert len(str(caught.value)) < 300


def test_a_file_that_unpacks_to_too_much_is_refused(
    written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "MAX_BYTES", 50)

    with pytest.raises(AnnotationError, match="inflates to more than 50 bytes"):
        regions(written(geometry(HOLED), "roi.geojson.gz"))


ASAP = (
    '<?xml version="1.0"?><ASAP_Annotations><Annotations><Annotation Name="a" Type="Polygon" '
    'PartOfGroup="Tumor" Color="#ff0000"><Coordinates><Coordinate Order="0" X="110" Y="210" />'
    '<Coordinate Order="1" X="120" Y="210" /><Coordinate Order="2" X="120" Y="220" /></Coordinates>'
    "</Annotation></Annotations></ASAP_Annotations>"
)
VERTICES = "".join(f'<V X="{x}" Y="{y}" />' for x, y in ((110, 210), (120, 210), (120, 220), (110, 210)))
HALO = (
    '<Annotations><Annotation LineColor="255" Name="Tumor"><Regions><Region Type="Polygon" NegativeROA="0">'
    f"<Vertices>{VERTICES}</Vertices></Region></Regions></Annotation></Annotations>"
)
IMAGESCOPE = HALO.replace("<V ", "<Vertex ").replace('"Polygon"', '"0"')
XML = {"ASAP XML": ASAP, "HALO annotations": HALO, "ImageScope XML": IMAGESCOPE}


@pytest.mark.parametrize("kind", XML)
@pytest.mark.parametrize("name", ["shapes.geojson", "shapes.xml.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_format_is_told_by_the_content(
    written: Callable[..., Path], kind: str, name: str, encoding: str
) -> None:
    file = read_annotations(written(XML[kind].encode(encoding), name))

    assert (file.format, file.frame) == (kind, "slide")
    assert [(s.class_name, s.geometry.area, s.color) for s in file.shapes] == [("Tumor", 50, (255, 0, 0))]


@pytest.mark.parametrize("kind", XML)
def test_tools_that_count_from_the_slides_corner_lose_the_bounds(
    written: Callable[..., Path], kind: str
) -> None:
    """The slide's bounds begin at (100, 200): QuPath counts from there, the others from level 0's corner."""
    assert regions(written(XML[kind].encode())).bounds == (10, 10, 20, 20)


def test_label_pixels_are_as_coarse_as_the_label_frame(written: Callable[..., Path]) -> None:
    coarse = FRAMES.model_copy(update={"downsample": (4.0, 2.0)})

    assert regions(written(geometry(SQUARE)), coarse).bounds == (0, 0, 2.5, 5)
    assert regions(written(ASAP.encode()), coarse).bounds == (2.5, 5, 5, 10)


def test_what_is_left_out_is_said(written: Callable[..., Path]) -> None:
    bad = feature(geometry([[[0, 0], [5, 0]]])) | {"properties": {"classification": "Tumor"}}
    file = read_annotations(written([feature(geometry(SQUARE)), bad, geometry([1, 2], "Point")]))

    assert [line.partition(": ")[2] for line in file.remarks] == [
        "1 of 1 shapes have no class: their tissue is unknown",
        "shape 2 (Tumor): has fewer than 3 points: left out",
        "shape 3: a point: left out, not a drawn area",
    ]


def test_many_that_are_left_out_are_named_in_one_line_a_kind_and_class(written: Callable[..., Path]) -> None:
    point = geometry([1, 2], "Point")
    tumour = feature(point) | {"properties": {"classification": "Tumour"}}

    file = read_annotations(written([feature(geometry(SQUARE)), *[point] * 2, *[tumour] * 9]))

    assert file.skipped == (
        "shapes 2, 3: each a point",
        "shapes 4, 5, 6, 7, 8 and 4 more (Tumour): each a point",
    )


def test_regions_of_interest_are_not_left_out_silently(written: Callable[..., Path]) -> None:
    path = written([feature(geometry(SQUARE)), feature(geometry([[[0, 0], [5, 0]]]))])

    with pytest.raises(AnnotationError, match="shape 2: has fewer than 3 points: draw it again"):
        regions(path)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<ASAP_Annotations>&b;</ASAP_Annotations>"
)
THIEF = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><Annotations>&a;</Annotations>'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (BOMB, "declares XML entities"),
        (THIEF, "declares XML entities"),
        ("<Annotations><Annotation>", "not XML"),
        ("<Annotations></annotations>", "not XML (mismatched tag, line 1, column 16)"),
        ("<", "not XML"),
        ('<?xml version="1.0" encoding="klingon"?><Annotations/>', "not XML"),
        ("<annotations/>", "XML of another kind (its root is <annotations>)"),
        ("<html><body/></html>", "XML of another kind"),
        ("<Annotations/>", "no shapes at all"),
        ("<ASAP_Annotations/>", "no shapes at all"),
        (ASAP.replace("Polygon", "Dot"), "shape 1 (Tumor): a point"),
        (ASAP.replace('X="120"', ""), "shape 1 (Tumor): a coordinate is not a finite number"),
    ],
)
def test_unusable_xml_is_refused_in_one_line(written: Callable[..., Path], content: str, says: str) -> None:
    with pytest.raises(AnnotationError, match=re.escape(says)) as caught:
        read_annotations(written(content.encode(), "shapes.xml"))

    assert "\n" not in str(caught.value)
    assert "shapes.xml" in str(caught.value)


GEOJSON = json.dumps(
    [feature(geometry(HOLED)) | {"properties": {"classification": {"name": "A", "color": [1, 2, 3]}}}]
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([GEOJSON, *XML.values()]), st.data())
def test_damage_is_survived_or_refused(text: str, data: st.DataObject) -> None:
    content = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(content)))
        end = min(len(content), begin + data.draw(st.integers(0, 12)))
        content[begin:end] = data.draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from([b"NaN", b"1e999", b"-1", b"[", b"{}", b"null", b"<V/>"]),
            )
        )
    read_or_refuse(bytes(content))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "coordinates", "features", "geometry", "properties", "classification", "name"]
            ),
            inner | st.sampled_from(["Feature", "FeatureCollection", "Polygon", "MultiPolygon"]),
            max_size=4,
        )
    ),
)


@settings(max_examples=300, deadline=None)
@given(json_values)
def test_any_json_is_survived_or_refused(value: object) -> None:
    read_or_refuse(json.dumps(value).encode())


def read_or_refuse(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shapes"
        path.write_bytes(content)
        try:
            file = read_annotations(path)
        except AnnotationError as error:
            assert "\n" not in str(error)  # noqa: PT017
            return
    assert file.shapes
    assert all(shape.geometry.is_valid and shape.geometry.area > 0 for shape in file.shapes)
