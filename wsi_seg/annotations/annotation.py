"""One shape that was drawn on a slide, whatever the tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import shapely

    from wsi_seg.models.classes import Rgb


@dataclass(frozen=True)
class Annotation:
    """One shape.

    Attributes
    ----------
    geometry : Polygon or MultiPolygon
        Valid, with an area, in the frame of its file.
    class_name : str or None
        None for a shape without a class.
    color : (int, int, int) or None
        The class's colour, if the file gives one.
    order : int
        Its place in the file, from 1; a later shape was drawn later.
    name, object_id : str or None
        The name and the id that QuPath gives to this one object.
    detected : bool
        Whether QuPath found it, such as a cell, and nobody drew it.
    """

    geometry: shapely.Polygon | shapely.MultiPolygon
    class_name: str | None
    color: Rgb | None
    order: int
    name: str | None = None
    object_id: str | None = None
    detected: bool = False
