"""HALO's ``.annotations``: layers of regions.

A layer's name is its class. Negative regions are holes in the layer's larger regions. Rectangles and ellipses
are given by two opposite corners. Coordinates are pixels of the slide's level 0. On MIRAX slides HALO has
another origin (files hold negative coordinates), and it is not known which.

Lines have the type Polygon too. HALO gives them end caps, or leaves them open, while the outline of an area
ends where it began. One real area was open by 0.1 % of its length, lines by 90 % and more. A negative
region is a hole and never a line: an open one is closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.annotations.formats.outline import (
    NAME_LENGTH,
    Drawn,
    Outline,
    colorref,
    course,
    ellipse,
    points_of,
    rectangle,
    tidy_name,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from wsi_seg.annotations.formats.outline import Ring

SHAPES = {"Polygon": lambda points: points, "Rectangle": rectangle, "Ellipse": ellipse}
"""The function that makes a ring of the points, for each type of region."""

OTHERS = {"Ruler": "a ruler", "Pin": "a pin"}

MAX_OPEN = 0.01
"""Largest gap between the beginning and the end of an area's outline, as a share of its length."""


def is_halo(root: Element) -> bool:
    """Distinguish HALO's files from ImageScope's: types are words, and vertices are called ``V``."""
    words = any(not region.get("Type", "0").isdigit() for region in root.iter("Region"))
    return words or next(root.iter("V"), None) is not None


def read_halo(root: Element) -> Drawn:
    """Read the shapes of a HALO file from its root element."""
    drawn = Drawn()
    for layer_number, layer in enumerate(root.iterfind("Annotation")):
        name, color = tidy_name(layer.get("Name")), colorref(layer.get("LineColor"))
        for region in layer.iter("Region"):
            kind, number = region.get("Type", "Polygon"), drawn.number()
            points = points_of(region.iterfind("Vertices/V"))
            if kind not in SHAPES:
                drawn.skip(number, OTHERS.get(kind, f"of type {kind[:NAME_LENGTH]!r}"), name)
                continue
            negative, opening = region.get("NegativeROA") == "1", _opening(kind, points)
            if not negative and kind == "Polygon" and (line := _line(region, opening)):
                drawn.skip(number, line, name)
                continue
            drawn.outlines.append(
                Outline(
                    number=number,
                    parts=((SHAPES[kind](points),),),
                    class_name=name,
                    color=color,
                    remark=f"open by {opening:.0%} of its length, closed" if opening > MAX_OPEN else "",
                    layer=layer_number,
                    negative=negative,
                )
            )
    return drawn


def _line(region: Element, opening: float) -> str:
    """Name the kind of line that a polygon is; empty if it is an area."""
    if region.get("HasEndcaps") == "1":
        return "a line"
    return "an open line" if opening > MAX_OPEN else ""


def _opening(kind: str, points: Ring) -> float:
    """Return the gap between a polygon's end and its beginning, as a share of its length."""
    drawn = course(points)
    return drawn.gap / drawn.length if kind == "Polygon" and drawn.length else 0.0
