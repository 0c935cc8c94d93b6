"""What is an area and what is not, in every format that is read: one contract."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from wsi_seg.annotations.annotation_files import AnnotationFile, read_annotations

Points = Sequence[tuple[float, float]]
Tool = Callable[..., Any]
Shape = tuple[Any, ...]
Read = Callable[..., AnnotationFile]

BOX = ((100, 100), (400, 300))
CORNERS = ((100, 100), (400, 100), (400, 300), (100, 300))
RING = (*CORNERS, CORNERS[0])
OVAL = tuple(
    (250 + 150 * math.cos(t * math.tau / 200), 200 + 100 * math.sin(t * math.tau / 200)) for t in range(201)
)
LINE = ((500, 500), (900, 700))
POLYLINE = ((500, 500), (700, 400), (1000, 600), (1300, 500))
SCRIBBLE = tuple((500 + 5 * x, 500 + 40 * math.sin(x / 9)) for x in range(100))
POINT = ((500, 500),)
POINTS = ((500, 500), (600, 600), (700, 500))

SQUARE_PX, OVAL_PX = 60_000, math.pi * 150 * 100


def qupath(kind: str, points: Points, **foreign: object) -> dict[str, Any]:
    coordinates = {"Polygon": [points], "MultiPolygon": [[points]], "Point": points[0]}.get(kind, points)
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": [points] if kind == "MultiLineString" else coordinates}
        | foreign,
        "properties": {"objectType": "annotation", "classification": {"name": "Tumour", "color": [1, 2, 3]}},
    }


def asap(kind: str, points: Points) -> str:
    inner = "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>' for n, (x, y) in enumerate(points))
    return (
        f'<Annotation Name="a" Type="{kind}" PartOfGroup="Tumour"><Coordinates>{inner}</Coordinates>'
        "</Annotation>"
    )


def imagescope(kind: str, points: Points) -> str:
    inner = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
    return f'<Region Type="{kind}" NegativeROA="0"><Vertices>{inner}</Vertices></Region>'


def halo(kind: str, points: Points, endcaps: int = 0) -> str:
    inner = "".join(f'<V X="{x}" Y="{y}"/>' for x, y in points)
    return (
        f'<Region Type="{kind}" HasEndcaps="{endcaps}" NegativeROA="0"><Vertices>{inner}</Vertices></Region>'
    )


def layer(shapes: Iterable[str]) -> str:
    inner = f"<Regions>{''.join(shapes)}</Regions>"
    return f'<Annotations><Annotation Name="Tumour">{inner}</Annotation></Annotations>'


WHOLE = {
    qupath: lambda shapes: json.dumps({"type": "FeatureCollection", "features": shapes}),
    asap: lambda shapes: f"<ASAP_Annotations><Annotations>{''.join(shapes)}</Annotations></ASAP_Annotations>",
    imagescope: layer,
    halo: layer,
}

AREAS = [
    (qupath, ("Polygon", RING), SQUARE_PX),
    (qupath, ("MultiPolygon", RING), SQUARE_PX),
    (qupath, ("Polygon", OVAL, {"isEllipse": True}), OVAL_PX),
    (qupath, ("Polygon", RING, {"isEllipse": True}), OVAL_PX),
    (asap, ("Polygon", CORNERS), SQUARE_PX),
    (asap, ("Polygon", RING), SQUARE_PX),
    (asap, ("Rectangle", CORNERS), SQUARE_PX),
    (asap, ("Rectangle", BOX), SQUARE_PX),
    (asap, ("Spline", OVAL), OVAL_PX),
    (imagescope, (0, CORNERS), SQUARE_PX),
    (imagescope, (0, RING), SQUARE_PX),
    (imagescope, (0, OVAL[:-7]), OVAL_PX),
    (imagescope, (1, BOX), SQUARE_PX),
    (imagescope, (1, CORNERS), SQUARE_PX),
    (imagescope, (2, BOX), OVAL_PX),
    (halo, ("Polygon", RING), SQUARE_PX),
    (halo, ("Polygon", OVAL), OVAL_PX),
    (halo, ("Polygon", OVAL[:-1]), OVAL_PX),
    (halo, ("Rectangle", BOX), SQUARE_PX),
    (halo, ("Ellipse", BOX), OVAL_PX),
]

NO_AREAS = [
    (qupath, ("Point", POINT), "a point"),
    (qupath, ("MultiPoint", POINTS), "points"),
    (qupath, ("LineString", LINE), "a line"),
    (qupath, ("LineString", POLYLINE), "a line"),
    (qupath, ("LineString", RING), "a line"),
    (qupath, ("MultiLineString", POLYLINE), "lines"),
    (asap, ("Dot", POINT), "a point"),
    (asap, ("PointSet", POINTS), "points"),
    (asap, ("Measurement", LINE), "a ruler"),
    (imagescope, (0, POLYLINE), "an open line"),
    (imagescope, (0, SCRIBBLE), "an open line"),
    (imagescope, (3, LINE), "an arrow"),
    (imagescope, (4, LINE), "a ruler"),
    (imagescope, (4, POLYLINE), "a ruler"),
    (imagescope, (5, RING), "of region type '5'"),
    (halo, ("Polygon", POLYLINE, 1), "a line"),
    (halo, ("Polygon", RING, 1), "a line"),
    (halo, ("Polygon", POLYLINE), "an open line"),
    (halo, ("Polygon", LINE), "an open line"),
    (halo, ("Polygon", SCRIBBLE), "an open line"),
    (halo, ("Ruler", LINE), "a ruler"),
    (halo, ("Pin", POINT), "a pin"),
    (halo, ("Arrow", LINE), "of type 'Arrow'"),
]


def drawn(tool: Tool, arguments: Shape) -> Any:
    kind, points, *more = arguments
    return tool(kind, points, **more[0]) if more and isinstance(more[0], dict) else tool(kind, points, *more)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def write_and_read(tool: Tool, *shapes: Shape) -> AnnotationFile:
        path = tmp_path / "shapes"
        path.write_text(WHOLE[tool]([drawn(tool, shape) for shape in shapes]))
        return read_annotations(path)

    return write_and_read


@pytest.mark.parametrize(("tool", "shape", "area"), AREAS)
def test_areas_are_read_with_their_size(read: Read, tool: Tool, shape: Shape, area: float) -> None:
    file = read(tool, shape)

    assert [s.class_name for s in file.shapes] == ["Tumour"]
    assert file.shapes[0].geometry.area == pytest.approx(area, rel=2e-3)
    assert file.remarks == ()


@pytest.mark.parametrize(("tool", "shape", "what"), NO_AREAS)
def test_what_is_no_area_is_left_out_by_name(read: Read, tool: Tool, shape: Shape, what: str) -> None:
    square = next(sound for other, sound, _ in AREAS if other is tool)

    file = read(tool, square, shape)

    assert sum(s.geometry.area for s in file.shapes) == SQUARE_PX
    assert file.skipped == (f"shape 2 (Tumour): {what}",)
    assert file.remarks == (f"{file.path}: shape 2 (Tumour): {what}: left out, not a drawn area",)
