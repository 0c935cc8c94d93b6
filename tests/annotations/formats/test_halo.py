from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import shapely

from wsi_seg.annotations.annotation_files import AnnotationFile, read_annotations

CORNERS = ((0, 0), (10, 0), (10, 10), (0, 10), (0, 0))


def region(
    kind: str = "Polygon",
    points: Sequence[tuple[float, float]] = CORNERS,
    negative: int = 0,
    endcaps: int = 0,
) -> str:
    vertices = "".join(f'<V X="{x}" Y="{y}" />' for x, y in points)
    return (
        f'<Region Type="{kind}" HasEndcaps="{endcaps}" NegativeROA="{negative}">'
        f"<Vertices>{vertices}</Vertices><Comments /></Region>"
    )


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., AnnotationFile]:
    def read_xml(*regions: str, name: str = "Tumor", color: int = 5634047) -> AnnotationFile:
        path = tmp_path / "slide.annotations"
        path.write_text(
            f'<Annotations><Annotation LineColor="{color}" Name="{name}" Visible="True">'
            f"<Regions>{''.join(regions)}</Regions></Annotation></Annotations>"
        )
        return read_annotations(path)

    return read_xml


def test_a_layer_is_a_class(read: Callable[..., AnnotationFile]) -> None:
    (shape,) = read(region()).shapes

    assert (shape.class_name, shape.color) == ("Tumor", (255, 247, 85))
    assert shape.geometry.equals(shapely.box(0, 0, 10, 10))


def test_rectangles_and_ellipses_are_two_corners(read: Callable[..., AnnotationFile]) -> None:
    corners = ((10, 20), (0, 0))

    rectangle, ellipse = read(region("Rectangle", corners), region("Ellipse", corners)).shapes

    assert rectangle.geometry.equals(shapely.box(0, 0, 10, 20))
    assert ellipse.geometry.bounds == pytest.approx((0, 0, 10, 20))
    assert ellipse.geometry.area == pytest.approx(np.pi * 5 * 10, rel=1e-3)


def test_rulers_and_pins_are_counted(read: Callable[..., AnnotationFile]) -> None:
    file = read(region("Ruler", ((0, 0), (1, 1))), region("Pin", ((0, 0),)), region())

    assert len(file.shapes) == 1
    assert file.skipped == ("shape 1 (Tumor): a ruler", "shape 2 (Tumor): a pin")


LINES = [
    ((100, 600), (300, 500), (600, 700), (900, 600)),
    ((100, 1000), (300, 900), (600, 1100), (900, 1000)),
    ((1000, 200), (1400, 600), (1450, 900)),
]


def test_lines_are_no_areas(read: Callable[..., AnnotationFile]) -> None:
    area = ((100, 100), (400, 100), (400, 300), (100, 300), (100, 100))

    file = read(
        region(points=area), region(points=LINES[0], endcaps=1), region(points=LINES[1]),
        region(points=LINES[2], endcaps=1), region("Ruler", ((10, 10), (500, 10))),
    )  # fmt: skip

    assert [shape.geometry.area for shape in file.shapes] == [60_000]
    assert file.skipped == (
        "shapes 2, 4 (Tumor): each a line",
        "shape 3 (Tumor): an open line",
        "shape 5 (Tumor): a ruler",
    )


def arc(turn: float) -> list[tuple[float, float]]:
    """A circle of 100 px that stops short of its beginning."""
    return [(100 * np.cos(t), 100 * np.sin(t)) for t in np.linspace(0, turn * 2 * np.pi, 400)]


@pytest.mark.parametrize(
    ("points", "endcaps", "is_line"),
    [
        (arc(0.5), 0, True),
        (arc(0.9), 0, True),
        (arc(0.98), 0, True),
        (arc(0.999), 0, False),
        (arc(1.0), 0, False),
        (arc(1.0), 1, True),
        (CORNERS[:2], 0, True),
        (CORNERS[:4], 0, True),
    ],
)
def test_an_area_ends_where_it_began(
    read: Callable[..., AnnotationFile], points: Sequence[tuple[float, float]], endcaps: int, is_line: bool
) -> None:
    file = read(region("Rectangle", ((0, 0), (5, 5))), region(points=points, endcaps=endcaps))

    assert len(file.shapes) == 2 - is_line
    assert len(file.skipped) == is_line


@pytest.mark.parametrize(("endcaps", "corners", "closed"), [(0, 4, True), (1, 4, True), (1, 5, False)])
def test_a_negative_region_is_a_hole_however_open(
    read: Callable[..., AnnotationFile], endcaps: int, corners: int, closed: bool
) -> None:
    inner = ((2, 2), (6, 2), (6, 6), (2, 6), (2, 2))[:corners]

    file = read(region(), region(points=inner, negative=1, endcaps=endcaps))

    assert [shape.geometry.area for shape in file.shapes] == [100 - 16]
    assert file.skipped == ()
    assert file.repaired == (("shape 2 (Tumor): open by 33% of its length, closed",) if closed else ())


def test_types_in_words_tell_halo(tmp_path: Path) -> None:
    path = tmp_path / "slide.annotations"
    path.write_text(
        '<Annotations><Annotation Name="A"><Regions><Region Type="Rectangle"><Vertices><V X="0" Y="0"/>'
        '<V X="4" Y="4"/></Vertices></Region></Regions></Annotation></Annotations>'
    )

    assert read_annotations(path).format == "HALO annotations"


def test_an_island_in_a_hole_stands(read: Callable[..., AnnotationFile]) -> None:
    rings = [[(x0, x0), (x1, x0), (x1, x1), (x0, x1), (x0, x0)] for x0, x1 in ((0, 100), (20, 80), (40, 60))]

    file = read(region(points=rings[0]), region(points=rings[1], negative=1), region(points=rings[2]))

    assert [s.geometry.area for s in file.shapes] == [6400, 400]


def test_a_real_file_with_holes(shared_data: Path) -> None:
    path = shared_data / "annotations" / "halo_holes.annotations"
    expected: list[tuple[str, float]] = []
    holes = 0
    for layer in ET.parse(path).getroot():
        rings = [
            (
                r.get("NegativeROA"),
                shapely.Polygon([(float(v.attrib["X"]), float(v.attrib["Y"])) for v in r.iter("V")]),
            )
            for r in layer.iter("Region")
        ]
        for negative, ring in rings:
            if negative == "0":
                inside = [hole for sign, hole in rings if sign == "1" and ring.contains(hole)]
                holes += len(inside)
                expected.append((layer.attrib["Name"], ring.area - sum(hole.area for hole in inside)))

    file = read_annotations(path)

    assert holes == 1
    assert [s.class_name for s in file.shapes] == [name for name, _ in expected]
    assert [s.geometry.area for s in file.shapes] == pytest.approx([area for _, area in expected])
    assert sum(len(s.geometry.interiors) for s in file.shapes) == 1
    assert (file.format, file.frame, file.remarks) == ("HALO annotations", "slide", ())
