"""Aperio ImageScope's XML: layers, called annotations, of regions.

A layer's class is its name; where it has none, as in the dialect that names classes by attributes, the value
of its first attribute that has one, or the name that one was given instead of "Description"; where that says
nothing either, the region's text. Negative regions are holes in the layer's larger regions. Regions that an
analysis copied from another are results, not drawn, and left out. Coordinates are pixels of the slide's
level 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.data.formats.outline import (
    NAME_LENGTH,
    Drawn,
    Outline,
    colorref,
    ellipse,
    points_of,
    rectangle,
    tidy_name,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ROOT = "Annotations"
SHAPES = {"0": lambda points: points, "1": rectangle, "2": ellipse}
"""How the points of each type of region become a ring; the other types are arrows, rulers and the like."""


def read_imagescope(root: Element) -> Drawn:
    """Read the shapes of an ImageScope file, whose root element is given."""
    drawn = Drawn()
    for layer_number, layer in enumerate(root.iterfind("Annotation")):
        name, color = _class_name(layer), colorref(layer.get("LineColor"))
        for region in layer.iter("Region"):
            kind = region.get("Type", "0")
            if kind not in SHAPES:
                drawn.skip(f"of region type {kind[:NAME_LENGTH]!r}")
            elif region.get("InputRegionId", "0") not in {"", "0"}:
                drawn.skip("copied by an analysis")
            else:
                ring = SHAPES[kind](points_of(region.iterfind("Vertices/Vertex")))
                drawn.outlines.append(
                    Outline(
                        number=len(drawn.outlines) + 1,
                        parts=((ring,),),
                        class_name=name or tidy_name(region.get("Text")),
                        color=color,
                        layer=layer_number,
                        negative=region.get("NegativeROA") == "1",
                    )
                )
    return drawn


def _class_name(layer: Element) -> str | None:
    name = tidy_name(layer.get("Name"))
    attributes = list(layer.iterfind("Attributes/Attribute"))
    values = (tidy_name(attribute.get("Value")) for attribute in attributes)
    given = (tidy_name(attribute.get("Name")) for attribute in attributes)
    renamed = (own for own in given if own != "Description")
    return name or next(filter(None, values), None) or next(filter(None, renamed), None)
