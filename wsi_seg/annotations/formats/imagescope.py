"""Aperio ImageScope's XML: layers, called annotations, of regions.

A layer's class is its name. A layer without a name, as in the dialect that names classes by attributes, has
the class of its first attribute with a value, or of the name that an attribute has instead of "Description".
If that is empty too, the class is the region's text. Negative regions are holes in the layer's larger
regions. Regions that an analysis copied from another are results, not drawings, and are left out. Coordinates
are pixels of the slide's level 0.

The pen's regions are areas, though there may be a small gap between the end and the beginning of an outline
(up to 3.5 % of its length in real files, for which ImageScope states an area all the same). Programs that
write such files often leave out the last point altogether. ImageScope does not mark lines. So a region of the
pen is taken as a line where it encloses nothing: where the gap is more than half the length, and more than
twice the longest step, so that a missing point does not explain it. A region with a gap of more than 5 % of
its length is closed, as ImageScope does when it states the area, and reported.
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
"""The function that makes a ring of the points, for each type of region."""

OTHERS = {"3": "an arrow", "4": "a ruler"}

MAX_OPEN = 0.5
"""Largest gap between the beginning and the end of an area's outline, as a share of its length."""

SLIGHTLY_OPEN = 0.05
"""Largest gap that is not reported."""


def read_imagescope(root: Element) -> Drawn:
    """Read the shapes of an ImageScope file from its root element."""
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
    """Name what a region is if it is not an area or was not drawn; empty if it is an area."""
    kind = region.get("Type", PEN)
    if kind not in SHAPES:
        return OTHERS.get(kind, f"of region type {kind[:NAME_LENGTH]!r}")
    if region.get("InputRegionId", "0") not in {"", "0"}:
        return "copied by an analysis"
    return "an open line" if _opening(region, points) > MAX_OPEN else ""


def _opening(region: Element, points: Ring) -> float:
    """Return the gap between the pen's end and its beginning, as a share of the outline's length.

    It is 0 if one missing point explains the gap.
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
