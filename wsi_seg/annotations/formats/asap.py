"""ASAP's XML: annotations of several types, each in a group.

Read and painted like in ASAP's own source (``XmlRepository``, ``AnnotationToMask``): points are in the order
that they state, splines are filled as the polygon of their points. A shape has the class and colour of its
group. Coordinates are pixels of the slide's level 0.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wsi_seg.annotations.formats.outline import NAME_LENGTH, Drawn, Outline, points_of, rectangle, tidy_name

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ROOT = "ASAP_Annotations"
AREAS = frozenset({"Polygon", "Spline", "Rectangle"})
"""Types that ASAP closes and fills, whether or not the first point is repeated."""

OTHERS = {"Dot": "a point", "PointSet": "points", "Measurement": "a ruler"}


def read_asap(root: Element) -> Drawn:
    """Read the shapes of an ASAP file from its root element."""
    groups = root.iterfind("AnnotationGroups/Group")
    colors = {group.get("Name"): _color(group.get("Color")) for group in groups}
    drawn = Drawn()
    for annotation in root.iterfind("Annotations/Annotation"):
        kind, group = annotation.get("Type", "Polygon"), annotation.get("PartOfGroup")
        number, name = drawn.number(), tidy_name(group)
        if kind not in AREAS:
            drawn.skip(number, OTHERS.get(kind, f"of type {kind[:NAME_LENGTH]!r}"), name)
            continue
        points = points_of(sorted(annotation.iterfind("Coordinates/Coordinate"), key=_place))
        drawn.outlines.append(
            Outline(
                number=number,
                parts=((rectangle(points) if kind == "Rectangle" else points,),),
                class_name=name,
                color=colors.get(group) or _color(annotation.get("Color")),
            )
        )
    return drawn


def _place(coordinate: Element) -> int:
    """Return a point's place in its outline; points without one keep the file's order."""
    order = coordinate.get("Order", "")
    return int(order) if order.isascii() and order.isdigit() and len(order) < 10 else 0


def _color(text: str | None) -> tuple[int, int, int] | None:
    digits = re.fullmatch(r"#([0-9a-fA-F]{6})", text or "")
    if digits is None:
        return None
    red, green, blue = bytes.fromhex(digits[1])
    return red, green, blue
