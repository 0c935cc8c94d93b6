"""The colours that QuPath shows classes in, which need not be those of a file.

QuPath has each class once. A file that names a class which is there already gets that one, with its colour
(``PathClass`` in QuPath's source, versions 0.4 to 0.8). QuPath's own classes are always there.
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
"""QuPath's own classes, as it comes; users can give them other colours."""


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
    """Return those of a file's classes that QuPath shows in its own colours, which differ."""
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
    """Return text as Groovy writes it between single quotes, where no dollar sign means anything."""
    escaped = json.dumps(name)[1:-1].replace('\\"', '"')
    return "'" + escaped.replace("'", "\\'") + "'"
