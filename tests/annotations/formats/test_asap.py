from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import shapely

from wsi_seg.annotations.annotation_files import AnnotationFile, read_annotations

CORNERS = ((0, 0), (10, 0), (10, 10), (0, 10))


def annotation(
    kind: str = "Polygon",
    group: str = "Tumor",
    points: Sequence[tuple[object, object]] = CORNERS,
    color: str = "#F4FA58",
    order: Sequence[object] | None = None,
) -> str:
    order = range(len(points)) if order is None else order
    coordinates = "".join(
        f'<Coordinate Order="{place}" X="{x}" Y="{y}" />' for place, (x, y) in zip(order, points, strict=True)
    )
    return (
        f'<Annotation Name="A" Type="{kind}" PartOfGroup="{group}" Color="{color}">'
        f"<Coordinates>{coordinates}</Coordinates></Annotation>"
    )


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., AnnotationFile]:
    def read_xml(*annotations: str, groups: str = "") -> AnnotationFile:
        path = tmp_path / "slide.xml"
        path.write_text(
            f'<?xml version="1.0"?>\n<ASAP_Annotations>\n<Annotations>{"".join(annotations)}</Annotations>'
            f"<AnnotationGroups>{groups}</AnnotationGroups></ASAP_Annotations>"
        )
        return read_annotations(path)

    return read_xml


def test_the_group_is_the_class_and_gives_the_colour(read: Callable[..., AnnotationFile]) -> None:
    groups = (
        '<Group Name="Tumor" PartOfGroup="None" Color="#00aa00"><Attributes /></Group>'
        '<Group Name="Invasive" PartOfGroup="Tumor" Color="#64FE2E"><Attributes /></Group>'
    )

    file = read(
        annotation(), annotation(group="Invasive"), annotation(group="Lost"), annotation(group="None"),
        annotation(group="Odd", color="red"), groups=groups,
    )  # fmt: skip

    assert (file.format, file.frame) == ("ASAP XML", "slide")
    assert [(s.class_name, s.color) for s in file.shapes] == [
        ("Tumor", (0, 170, 0)),
        ("Invasive", (100, 254, 46)),
        ("Lost", (244, 250, 88)),
        (None, (244, 250, 88)),
        ("Odd", None),
    ]


@pytest.mark.parametrize("kind", ["Polygon", "Spline", "Rectangle"])
def test_areas_are_read(read: Callable[..., AnnotationFile], kind: str) -> None:
    (shape,) = read(annotation(kind)).shapes

    assert shape.geometry.equals(shapely.box(0, 0, 10, 10))


def test_a_rectangle_of_two_corners_is_read(read: Callable[..., AnnotationFile]) -> None:
    (shape,) = read(annotation("Rectangle", points=((10, 2), (0, 8)))).shapes

    assert shape.geometry.equals(shapely.box(0, 2, 10, 8))


def test_points_come_in_the_order_they_state(read: Callable[..., AnnotationFile]) -> None:
    (shape,) = read(annotation(points=[CORNERS[i] for i in (2, 0, 3, 1)], order=(2, 0, 3, 1))).shapes

    assert shape.geometry.equals(shapely.box(0, 0, 10, 10))


def test_points_without_an_order_come_as_they_are(read: Callable[..., AnnotationFile]) -> None:
    (shape,) = read(annotation(order=("", "-1", "²", "9" * 30))).shapes

    assert shape.geometry.area == 100


def test_decimal_commas_are_understood(read: Callable[..., AnnotationFile]) -> None:
    (shape,) = read(annotation(points=(("0,5", "0"), ("10,5", "0"), ("10,5", "10")))).shapes

    assert shape.geometry.bounds == (0.5, 0, 10.5, 10)


def test_what_has_no_area_is_counted(read: Callable[..., AnnotationFile]) -> None:
    file = read(
        annotation("Dot", points=((1, 1),)), annotation("Dot", points=((1, 1),)), annotation("PointSet"),
        annotation("Measurement", points=((1, 1), (2, 2))), annotation("None", points=()), annotation(),
    )  # fmt: skip

    assert len(file.shapes) == 1
    assert file.skipped == (
        "shapes 1, 2 (Tumor): each a point",
        "shape 3 (Tumor): points",
        "shape 4 (Tumor): a ruler",
        "shape 5 (Tumor): of type 'None'",
    )


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ((), "fewer than 3 points"),
        (((1, 1), (2, 2)), "fewer than 3 points"),
        (((1, 1), (2, 2), ("x", 1)), "not a finite number"),
        (((1, 1), (2, 2), ("1e400", 1)), "not a finite number"),
        (((1, 1), (2, 2), ("1e30", 1)), "larger than any slide"),
    ],
)
def test_an_unusable_shape_is_named_and_left_out(
    read: Callable[..., AnnotationFile], points: Sequence[tuple[object, object]], says: str
) -> None:
    file = read(annotation(), annotation(group="Benign", points=points))

    assert len(file.shapes) == 1
    assert file.refused == (f"shape 2 (Benign): {file.refused[0].partition(': ')[2]}",)
    assert says in file.refused[0]


@pytest.mark.parametrize("name", ["asap_breast_A01.xml", "asap_camelyon16_tumor_085.xml"])
def test_real_files(shared_data: Path, name: str) -> None:
    path = shared_data / "annotations" / name
    root = ET.parse(path).getroot()
    stored = list(root.iter("Annotation"))
    rings = [[(float(c.attrib["X"]), float(c.attrib["Y"])) for c in a.iter("Coordinate")] for a in stored]
    by_hand = [shoelace(ring) for ring in rings]

    file = read_annotations(path)

    assert Counter(s.class_name for s in file.shapes) == Counter(a.get("PartOfGroup") for a in stored)
    groups = {g.get("Name"): tuple(bytes.fromhex(g.get("Color", "")[1:])) for g in root.iter("Group")}
    assert {(s.class_name, s.color) for s in file.shapes} == set(groups.items())
    np.testing.assert_allclose([s.geometry.area for s in file.shapes], by_hand, rtol=1e-3)
    assert len(file.repaired) == sum(not shapely.Polygon(ring).is_valid for ring in rings)


def shoelace(ring: Sequence[tuple[float, float]]) -> float:
    x, y = np.array(ring).T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)
