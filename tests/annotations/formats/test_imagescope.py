from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import shapely

from wsi_seg.annotations.annotation_files import AnnotationFile, read_annotations

CORNERS = ((0, 0), (10, 0), (10, 10), (0, 10))


def region(points: Sequence[tuple[float, float]] = CORNERS, **attributes: object) -> str:
    stated = {"Type": 0, "NegativeROA": 0, "InputRegionId": 0, "Text": ""} | attributes
    vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
    text = " ".join(f'{name}="{value}"' for name, value in stated.items())
    return f"<Region {text}><Attributes></Attributes><Vertices>{vertices}</Vertices></Region>"


def layer(
    *regions: str, name: str = "", color: int = 65280, attributes: Sequence[tuple[str, str]] = ()
) -> str:
    stated = "".join(f'<Attribute Name="{n}" Id="0" Value="{v}"/>' for n, v in attributes)
    return (
        f'<Annotation Id="1" Name="{name}" LineColor="{color}"><Attributes>{stated}</Attributes>'
        f"<Regions><RegionAttributeHeaders/>{''.join(regions)}</Regions><Plots/></Annotation>"
    )


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., AnnotationFile]:
    def read_xml(*layers: str) -> AnnotationFile:
        path = tmp_path / "slide.xml"
        path.write_text(f'<Annotations MicronsPerPixel="0.25">{"".join(layers)}</Annotations>')
        return read_annotations(path)

    return read_xml


@pytest.mark.parametrize(
    ("name", "attributes", "text", "expected"),
    [
        ("Tumor", (), "", "Tumor"),
        ("Tumor", [("Description", "Stroma")], "comment", "Tumor"),
        ("", [("Description", "Tumor")], "comment", "Tumor"),
        ("", [("Description", ""), ("Class", "Tumor")], "", "Tumor"),
        ("", [("Tumor", "")], "comment", "Tumor"),
        ("", [("Description", "")], "Tumor", "Tumor"),
        ("", (), "Tumor", "Tumor"),
        ("", [("Description", "")], "", None),
        ("None", (), "", None),
    ],
)
def test_the_class_is_found_in_each_dialect(
    read: Callable[..., AnnotationFile],
    name: str,
    attributes: Sequence[tuple[str, str]],
    text: str,
    expected: str | None,
) -> None:
    (shape,) = read(layer(region(Text=text), name=name, attributes=attributes)).shapes

    assert shape.class_name == expected


@pytest.mark.parametrize(
    ("line_color", "rgb"),
    [(255, (255, 0, 0)), (65280, (0, 255, 0)), (16711680, (0, 0, 255)), ("", None), ("red", None)],
)
def test_colours_have_red_in_their_lowest_byte(
    read: Callable[..., AnnotationFile], line_color: int, rgb: tuple[int, int, int]
) -> None:
    assert read(layer(region(), color=line_color)).shapes[0].color == rgb


@pytest.mark.parametrize("kind", [0, 1])
def test_a_ring_of_points_is_a_polygon_whatever_its_type(
    read: Callable[..., AnnotationFile], kind: int
) -> None:
    (shape,) = read(layer(region(Type=kind))).shapes

    assert shape.geometry.equals(shapely.box(0, 0, 10, 10))


def test_two_corners_make_a_rectangle_or_an_ellipse(read: Callable[..., AnnotationFile]) -> None:
    corners = ((10, 0), (0, 20))

    rectangle, ellipse = read(layer(region(corners, Type=1), region(corners, Type=2))).shapes

    assert rectangle.geometry.equals(shapely.box(0, 0, 10, 20))
    assert ellipse.geometry.bounds == pytest.approx((0, 0, 10, 20))
    assert ellipse.geometry.area == pytest.approx(np.pi * 5 * 10, rel=1e-3)


def test_arrows_rulers_and_copies_are_counted(read: Callable[..., AnnotationFile]) -> None:
    file = read(
        layer(region(), region(Type=3), region(Type=4), region(Type=4), region(InputRegionId=7), name="T")
    )

    assert len(file.shapes) == 1
    assert file.skipped == (
        "shape 2 (T): an arrow",
        "shapes 3, 4 (T): each a ruler",
        "shape 5 (T): copied by an analysis",
    )


@pytest.mark.parametrize(
    ("points", "says"),
    [
        (((0, 0), (300, 5), (600, 0), (900, 5)), "an open line"),
        (CORNERS[:3], ""),
        (tuple((10 * x, 5 * (x % 3)) for x in range(30)), "an open line"),
        (CORNERS, ""),
        (((0, 0), (1, 0), (1, 90), (0, 90)), ""),
        (((0, 0), (0, 1), (90, 1), (90, 0)), ""),
        (tuple((100 * np.cos(t), 100 * np.sin(t)) for t in np.linspace(0, 6.1, 90)), ""),
        (tuple((100 * np.cos(t), 100 * np.sin(t)) for t in np.linspace(0, 5.5, 90)), "open by 14%"),
        (tuple((100 * np.cos(t), 100 * np.sin(t)) for t in np.linspace(0, 3.0, 90)), "an open line"),
    ],
    ids=[
        "bent",
        "scribbled",
        "triangle",
        "last point left out",
        "narrow",
        "flat",
        "nearly closed",
        "open",
        "half",
    ],
)
def test_a_pens_line_that_goes_round_nothing_is_no_area(
    read: Callable[..., AnnotationFile], points: Sequence[tuple[float, float]], says: str | None
) -> None:
    file = read(layer(region(((9, 9), (19, 9), (19, 19))), region(points), name="Tumor"))

    is_line = says == "an open line"
    assert len(file.shapes) == 2 - is_line
    assert file.skipped == (("shape 2 (Tumor): an open line",) if is_line else ())
    assert [line.partition(": ")[2] for line in file.repaired] == (
        [f"{says} of its length, closed"] if says and not is_line else []
    )


def test_a_negative_region_is_a_hole_in_the_larger_regions_of_its_layer(
    read: Callable[..., AnnotationFile],
) -> None:
    big = ((0, 0), (100, 0), (100, 100), (0, 100))
    hole = ((20, 20), (80, 20), (80, 80), (20, 80))
    island = ((40, 40), (60, 40), (60, 60), (40, 60))

    file = read(
        layer(region(island), region(hole, NegativeROA=1), region(big), name="Tumor"),
        layer(region(big), name="Stroma"),
    )

    assert [(s.class_name, s.geometry.area) for s in file.shapes] == [
        ("Tumor", 400), ("Tumor", 10_000 - 3_600), ("Stroma", 10_000),
    ]  # fmt: skip


def test_a_negative_region_over_two_smaller_ones_cuts_both_and_keeps_its_island(
    read: Callable[..., AnnotationFile],
) -> None:
    """Necrosis that bridges two nests is larger than either."""
    nests = [((x, 0), (x + 20, 0), (x + 20, 20), (x, 20)) for x in (0, 50)]
    necrosis = ((10, 0), (60, 0), (60, 20), (10, 20))
    island = ((30, 5), (40, 5), (40, 15), (30, 15))

    file = read(layer(*map(region, nests), region(necrosis, NegativeROA=1), region(island), name="T"))

    assert [shape.geometry.bounds for shape in file.shapes] == [
        (0, 0, 10, 20), (60, 0, 70, 20), (30, 5, 40, 15),
    ]  # fmt: skip
    assert file.remarks == ()


def test_a_negative_region_in_a_layer_of_its_own_is_told(read: Callable[..., AnnotationFile]) -> None:
    file = read(layer(region(), name="T"), layer(region(CORNERS[:3], NegativeROA=1), name="Holes"))

    assert [shape.geometry.area for shape in file.shapes] == [100]
    assert [line.partition(": ")[2] for line in file.remarks] == [
        "shape 2 (Holes): a negative region that cuts no region of its layer: left out, not a drawn area"
    ]


def test_a_region_that_negative_ones_leave_nothing_of_is_named(read: Callable[..., AnnotationFile]) -> None:
    strips = [((-1, y), (11, y), (11, y + 6), (-1, y + 6)) for y in (-1, 5)]

    file = read(
        layer(region(), *(region(strip, NegativeROA=1) for strip in strips), region(CORNERS[:3]), name="T")
    )

    assert file.refused == ("shape 1 (T): negative regions leave nothing of it",)
    assert [shape.order for shape in file.shapes] == [4]


def test_the_dialect_with_attributes(shared_data: Path) -> None:
    path = shared_data / "annotations" / "imagescope_TCGA-EJ-5518.xml"
    stated = [float(r.attrib["Area"]) for r in ET.parse(path).getroot().iter("Region")]

    file = read_annotations(path)

    assert (file.format, file.frame) == ("ImageScope XML", "slide")
    assert [s.class_name for s in file.shapes] == ["CaP", "CaP", None, None]
    assert [s.color for s in file.shapes] == [(0, 255, 0), (0, 255, 0), (255, 0, 0), (0, 255, 255)]
    np.testing.assert_allclose([s.geometry.area for s in file.shapes], stated, rtol=0.005)


def test_the_dialect_without_attributes(shared_data: Path) -> None:
    path = shared_data / "annotations" / "imagescope_NP015.xml"
    region_ = next(ET.parse(path).getroot().iter("Region"))
    ring = [(float(v.attrib["X"]), float(v.attrib["Y"])) for v in region_.iter("Vertex")]

    file = read_annotations(path)

    assert len(file.shapes) == 1
    assert file.shapes[0].geometry.area == pytest.approx(shapely.Polygon(ring).area)
    assert file.shapes[0].geometry.area == pytest.approx(float(region_.attrib["Area"]), rel=1e-4)
    assert file.skipped == ("shapes 2, 3 (PLP Colour decon1-v4 output): each copied by an analysis",)
