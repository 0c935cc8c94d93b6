"""HALO's ``.annotations``: layers of regions.

A layer's name is its class. Negative regions are holes in the layer's larger regions. Rectangles and ellipses
are two opposite corners. Coordinates are pixels of the slide's level 0.
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

SHAPES = {"Polygon": lambda points: points, "Rectangle": rectangle, "Ellipse": ellipse}
"""How the points of each type of region become a ring; the other types are rulers and pins."""


def is_halo(root: Element) -> bool:
    """Tell HALO's files from ImageScope's: types are words in them, and vertices are called ``V``."""
    words = any(not region.get("Type", "0").isdigit() for region in root.iter("Region"))
    return words or next(root.iter("V"), None) is not None


def read_halo(root: Element) -> Drawn:
    """Read the shapes of a HALO file, whose root element is given."""
    drawn = Drawn()
    for layer_number, layer in enumerate(root.iterfind("Annotation")):
        name, color = tidy_name(layer.get("Name")), colorref(layer.get("LineColor"))
        for region in layer.iter("Region"):
            kind = region.get("Type", "Polygon")
            if kind not in SHAPES:
                drawn.skip(repr(kind[:NAME_LENGTH]))
                continue
            ring = SHAPES[kind](points_of(region.iterfind("Vertices/V")))
            drawn.outlines.append(
                Outline(
                    number=len(drawn.outlines) + 1,
                    parts=((ring,),),
                    class_name=name,
                    color=color,
                    layer=layer_number,
                    negative=region.get("NegativeROA") == "1",
                )
            )
    return drawn
