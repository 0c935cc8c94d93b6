"""QuPath's GeoJSON: the areas of its objects, with their classes.

The format of QuPath 0.1 to 0.8 (``qupath.lib.io``): a classification is a string, or an object with a
``name`` or with ``names``, and with ``color`` as three numbers or, before 0.3, ``colorRGB`` as one. It
belongs to the object alone: a child does not inherit its parent's class. An ellipse is a polygon that is
marked as one, and fills its box. Lines and polylines, also closed ones, are line strings, which have no area.
Coordinates are pixels of the image that QuPath shows: their origin is the corner of the slide's bounds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from wsi_seg.annotations.formats.outline import NAME_LENGTH, Drawn, Outline, ellipse, tidy_name
from wsi_seg.annotations.formats.qupath_objects import AREAS, items, plain_geometries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.annotations.formats.outline import Ring
    from wsi_seg.annotations.formats.qupath_objects import Item

OTHERS = {"Point": "a point", "MultiPoint": "points", "LineString": "a line", "MultiLineString": "lines"}


def read_qupath(content: object) -> Drawn:
    """Read the shapes of a GeoJSON file; content of other kinds is skipped.

    Parameters
    ----------
    content : object
        The parsed JSON.
    """
    drawn = Drawn()
    for number, item, geometry in numbered(content):
        class_name, color = classification(item.properties)
        if geometry is None:
            drawn.skip(number, "without a geometry", class_name)
            continue
        kind = str(geometry.get("type"))
        if item.is_core and item.properties.get("isMissing") is True:
            drawn.skip(number, "a missing core", class_name)
        elif kind in AREAS:
            outline = replace(
                _outline(number, geometry, class_name, color),
                name=_text(item.properties.get("name")),
                object_id=_text(item.value.get("id")),
                detected=item.is_detection,
            )
            (drawn.cores if item.is_core else drawn.outlines).append(outline)
        else:
            unknown = f"of type {kind[:NAME_LENGTH]!r}" if "type" in geometry else "without a type"
            drawn.skip(number, OTHERS.get(kind, unknown), class_name)
    return drawn


def numbered(content: object) -> Iterator[tuple[int, Item, dict[str, Any] | None]]:
    """Yield the things in a GeoJSON file: their numbers, which count from 1, their objects and geometries.

    An object may have several geometries, each a thing of its own, or none: then it is one, without.

    Parameters
    ----------
    content : object
        The parsed JSON.
    """
    number = 0
    for item in items(content):
        if item.role == "hierarchy" or item.is_root or not isinstance(item.value, dict):
            continue
        plain = list(plain_geometries(item.value if item.role == "other" else item.geometry))
        for geometry in plain or (None,):
            number += 1
            yield number, item, geometry


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _outline(
    number: int, geometry: dict[str, Any], name: str | None, color: tuple[int, int, int] | None
) -> Outline:
    """Return a polygon, or several, with the fault if its rings cannot be determined."""
    kind: Any = geometry["type"]
    coordinates: Any = geometry.get("coordinates")
    parts: tuple[tuple[Ring, ...], ...] = ()
    fault = ""
    try:
        polygons = [coordinates] if kind == "Polygon" else coordinates
        parts = tuple(tuple(ring_points(ring) for ring in rings) for rings in polygons)
    except (TypeError, ValueError) as error:
        fault = f"is not a {kind} ({error})"
    if geometry.get("isEllipse") is True and len(parts) == 1 and len(parts[0]) == 1:
        (ring,) = parts[0]
        parts = ((ellipse(np.stack([ring.min(axis=0), ring.max(axis=0)])),),)
    return Outline(number, parts, name, color, fault)


def classification(properties: dict[str, Any]) -> tuple[str | None, tuple[int, int, int] | None]:
    """Return the name and the colour of an object's class; None for what is not stated."""
    stated = properties.get("classification")
    if isinstance(stated, str):
        return tidy_name(stated), None
    if not isinstance(stated, dict):
        return None, None
    name, names = stated.get("name"), stated.get("names")
    if name is None and isinstance(names, list):
        name = ": ".join(part for part in names if isinstance(part, str))
    return tidy_name(name if isinstance(name, str) else None), _color(stated)


def _color(stated: dict[str, Any]) -> tuple[int, int, int] | None:
    color = stated.get("color")
    if isinstance(color, list) and len(color) >= 3 and all(type(c) is int and 0 <= c <= 255 for c in color):
        return color[0], color[1], color[2]
    packed = stated.get("colorRGB", color)
    if type(packed) is int:
        return packed >> 16 & 255, packed >> 8 & 255, packed & 255
    return None


def ring_points(ring: Any) -> Ring:
    """Return the points of a GeoJSON ring or line.

    Parameters
    ----------
    ring : object
        It should be a list of ``[x, y]`` or ``[x, y, z]``.

    Returns
    -------
    NDArray of float64, shape (n, 2)
        In the frame of the file.

    Raises
    ------
    ValueError
        If it is anything else, or a number is not finite.
    """
    try:
        points = np.array([point[:2] for point in ring])
    except (TypeError, ValueError, LookupError) as error:
        raise ValueError("a ring is a list of [x, y]") from error
    if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "iuf":
        raise ValueError("a ring is a list of [x, y]")
    if not np.isfinite(points).all():
        raise ValueError("a coordinate is not a finite number")
    return points.astype(np.float64)
