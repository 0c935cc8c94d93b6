"""The colours in which QuPath shows classes, which may differ from a file's.

QuPath has each class once. If a file names an existing class, QuPath uses that one, with its colour
(``PathClass`` in QuPath's source, versions 0.4 to 0.8). QuPath's own classes always exist.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsi_seg.models.classes import Rgb

OWN: dict[str, Rgb] = {
    "Tumor": (200, 0, 0),
    "Stroma": (150, 200, 150),
    "Immune cells": (160, 90, 160),
    "Necrosis": (50, 50, 50),
    "Other": (255, 200, 0),
    "Region*": (0, 0, 180),
    "Ignore*": (180, 180, 180),
    "Positive": (250, 62, 62),
    "Negative": (112, 112, 225),
    "Image": (128, 128, 128),
}
"""QuPath's own classes with their default colours; users can change these."""


@dataclass(frozen=True)
class Recoloured:
    """A class that QuPath shows in another colour than a file gives it.

    Attributes
    ----------
    name : str
    in_file, in_qupath : (int, int, int)
    """

    name: str
    in_file: Rgb
    in_qupath: Rgb


def recoloured(colours: Mapping[str, Rgb]) -> tuple[Recoloured, ...]:
    """Return the classes of a file that QuPath shows in other colours, its own."""
    return tuple(
        Recoloured(name, colour, OWN[name])
        for name, colour in colours.items()
        if colour != OWN.get(name, colour)
    )


def colour_script(colours: Mapping[str, Rgb]) -> str:
    """Return one line for QuPath's script editor (Groovy, in ASCII) that sets the colours of classes."""
    lines = [f"getPathClass({_quoted(name)}).setColor{colour}" for name, colour in colours.items()]
    return "; ".join((*lines, "fireHierarchyUpdate()"))


def _quoted(name: str) -> str:
    """Return text as a Groovy string in single quotes, where dollar signs have no meaning."""
    escaped = json.dumps(name)[1:-1].replace('\\"', '"')
    return "'" + escaped.replace("'", "\\'") + "'"
