"""Aperio ImageScope's XML: layers, called annotations, of regions.

A layer's class is its name; where it has none, as in the dialect that names classes by attributes, the value
of its first attribute that has one, or the name that one was given instead of "Description"; where that says
nothing either, the region's text. Negative regions are holes in the layer's larger regions. Regions that an
analysis copied from another are results, not drawn, and left out. Coordinates are pixels of the slide's
level 0.

The pen's regions are areas, though their outlines may end a little before they began (by up to 3.5 % of their
length in real files, where ImageScope states an area all the same), and programs that write such files often
leave out the last point altogether. ImageScope has no sign for a line. So the pen's region is taken for one
where it goes round nothing: where it ends farther from its beginning than half its length, and than twice its
longest step, so that no point left out explains it. One that is open by more than 5 % of its length is
closed, as ImageScope does when it states the area, and named.
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

ROOT = "Annotations"
PEN = "0"
SHAPES = {PEN: lambda points: points, "1": rectangle, "2": ellipse}
"""How the points of each type of region become a ring."""

OTHERS = {"3": "an arrow", "4": "a ruler"}

MAX_OPEN = 0.5
"""How far from its beginning an area's outline may end, as a share of its length."""

SLIGHTLY_OPEN = 0.05
"""The same for one that nothing need be said of."""


def read_imagescope(root: Element) -> Drawn:
    """Read the shapes of an ImageScope file, whose root element is given."""
    drawn = Drawn()
    for layer_number, layer in enumerate(root.iterfind("Annotation")):
        name, color = _class_name(layer), colorref(layer.get("LineColor"))
        for region in layer.iter("Region"):
            number, named = drawn.number(), name or tidy_name(region.get("Text"))
            points = points_of(region.iterfind("Vertices/Vertex"))
            if other := _other(region, points):
                drawn.skip(number, other, named)
                continue
            opening = _opening(region, points)
            drawn.outlines.append(
                Outline(
                    number=number,
                    parts=((SHAPES[region.get("Type", PEN)](points),),),
                    class_name=named,
                    color=color,
                    remark=f"open by {opening:.0%} of its length, closed" if opening > SLIGHTLY_OPEN else "",
                    layer=layer_number,
                    negative=region.get("NegativeROA") == "1",
                )
            )
    return drawn


def _other(region: Element, points: Ring) -> str:
    """Say what a region is that is no area, or was not drawn; empty if it is an area."""
    kind = region.get("Type", PEN)
    if kind not in SHAPES:
        return OTHERS.get(kind, f"of region type {kind[:NAME_LENGTH]!r}")
    if region.get("InputRegionId", "0") not in {"", "0"}:
        return "copied by an analysis"
    return "an open line" if _opening(region, points) > MAX_OPEN else ""


def _opening(region: Element, points: Ring) -> float:
    """Return how far from its beginning the pen has stopped, as a share of the outline's length.

    It is 0 if no more than a point may have been left out.
    """
    drawn = course(points)
    if region.get("Type", PEN) != PEN or not drawn.gap > 2 * drawn.longest:
        return 0.0
    return drawn.gap / drawn.length


def _class_name(layer: Element) -> str | None:
    name = tidy_name(layer.get("Name"))
    attributes = list(layer.iterfind("Attributes/Attribute"))
    values = (tidy_name(attribute.get("Value")) for attribute in attributes)
    given = (tidy_name(attribute.get("Name")) for attribute in attributes)
    renamed = (own for own in given if own != "Description")
    return name or next(filter(None, values), None) or next(filter(None, renamed), None)
