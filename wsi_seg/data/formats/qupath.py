"""QuPath's GeoJSON: a FeatureCollection, an array, one Feature or a bare geometry.

What QuPath writes and reads from version 0.1 to 0.6 (``qupath.lib.io``): a classification is a string, or an
object with a ``name`` or with ``names``, and with ``color`` as three numbers or, before 0.3, ``colorRGB`` as
one. Its coordinates are pixels of the image that QuPath shows, from which the slide's bounds are subtracted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from wsi_seg.data.formats.outline import NAME_LENGTH, Drawn, Outline, tidy_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.data.formats.outline import Ring

INNER = {"FeatureCollection": "features", "Feature": "geometry", "GeometryCollection": "geometries"}
"""Where the objects that hold others keep them."""


def read_qupath(content: object) -> Drawn:
    """Read the shapes of a GeoJSON file; what has none of its forms is passed over.

    Parameters
    ----------
    content : object
        The file, as a JSON parser gives it.
    """
    drawn = Drawn()
    for geometry, properties in _geometries(content):
        kind = str(geometry.get("type"))
        if kind not in {"Polygon", "MultiPolygon"}:
            drawn.skip(repr(kind[:NAME_LENGTH]) if "type" in geometry else "without a type")
            continue
        coordinates: Any = geometry.get("coordinates")
        parts: tuple[tuple[Ring, ...], ...] = ()
        fault = ""
        try:
            polygons = [coordinates] if kind == "Polygon" else coordinates
            parts = tuple(tuple(ring_points(ring) for ring in rings) for rings in polygons)
        except (TypeError, ValueError) as error:
            fault = f"is no {kind} ({error})"
        name, color = _classification(properties)
        drawn.outlines.append(Outline(len(drawn.outlines) + 1, parts, name, color, fault))
    return drawn


def _geometries(content: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the plain geometries, in the file's order, each with the properties of its feature."""
    pending: list[tuple[Any, dict[str, Any]]] = [(content, {})]
    while pending:
        item, properties = pending.pop()
        if isinstance(item, list):
            pending += [(inner, properties) for inner in reversed(item)]
        elif isinstance(item, dict):
            own = item.get("properties")
            properties = own if isinstance(own, dict) else properties
            kind = item.get("type")
            if isinstance(kind, str) and kind in INNER:
                pending.append((item.get(INNER[kind]), properties))
            else:
                yield item, properties


def _classification(properties: dict[str, Any]) -> tuple[str | None, tuple[int, int, int] | None]:
    """Return the name and the colour of a feature's class."""
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
        A list of ``[x, y]`` or ``[x, y, z]``, as it should be.

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
