"""The objects in QuPath's GeoJSON, one after another, at any depth.

Like in QuPath's own source (``QuPathTypeAdapters``, ``PathIO``), versions 0.2 to 0.8: objects lie in a
FeatureCollection, in arrays, alone, in ``properties.childObjects`` of other objects at any depth, or under
the ``root`` of a whole hierarchy. Some only hold others: root objects, and the cores of a tissue microarray.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

AREAS = frozenset({"Polygon", "MultiPolygon"})
COLLECTION = "GeometryCollection"
GEOMETRIES = AREAS | {"Point", "MultiPoint", "LineString", "MultiLineString", COLLECTION}

ROOTS = frozenset({"root", "PathRootObject"})
CORES = frozenset({"tmaCore", "tma_core", "TMACoreObject"})
DETECTIONS = frozenset(
    {"detection", "cell", "tile", "PathDetectionObject", "PathCellObject", "PathTileObject"}
)
OBJECT_TYPES = ROOTS | CORES | DETECTIONS | {"annotation", "unknown", "PathAnnotationObject"}

IDENTIFIERS = frozenset(kind for kind in OBJECT_TYPES if kind.endswith("Object"))
"""Types that version 0.2 wrote instead of an identifier."""

Role = Literal["object", "geometry", "hierarchy", "other"]


@dataclass(frozen=True)
class Item:
    """Something in a GeoJSON file.

    Attributes
    ----------
    value : object
        The parsed JSON; of any type, as files may be wrong.
    where : str
        Its place: "feature 3", "feature 3, child 1", "item 2", "file".
    role : {"object", "geometry", "hierarchy", "other"}
        Its meaning by its place: one of QuPath's objects, which are features; a bare geometry; the holder of
        the root object of a hierarchy; or something that GeoJSON does not define.
    """

    value: Any
    where: str
    role: Role

    @property
    def properties(self) -> dict[str, Any]:
        """The properties of an object; empty if it has none."""
        own = self.value.get("properties") if isinstance(self.value, dict) and self.role == "object" else None
        return own if isinstance(own, dict) else {}

    @property
    def geometry(self) -> Any:
        """The geometry, of any type; None if there is none."""
        if not isinstance(self.value, dict):
            return None
        return self.value if _type(self.value) in GEOMETRIES else self.value.get("geometry")

    @property
    def object_type(self) -> Any:
        """The kind of object for QuPath, under any name that its versions wrote; mostly text."""
        stated = self.properties
        for key in ("objectType", "object_type", "type"):
            if key in stated:
                return stated[key]
        identifier = self.value.get("id") if isinstance(self.value, dict) else None
        return identifier if isinstance(identifier, str) and identifier in IDENTIFIERS else "unknown"

    @property
    def is_root(self) -> bool:
        """Whether it only holds all other objects."""
        return isinstance(self.object_type, str) and self.object_type in ROOTS

    @property
    def is_core(self) -> bool:
        """Whether it is a core of a tissue microarray."""
        return isinstance(self.object_type, str) and self.object_type in CORES

    @property
    def is_detection(self) -> bool:
        """Whether a program found it: a cell, a tile, or another detection."""
        return isinstance(self.object_type, str) and self.object_type in DETECTIONS

    @property
    def inside(self) -> list[Item]:
        """The objects inside it, in order."""
        if self.role == "hierarchy":
            return [Item(self.value["root"], "root", "object")]
        if self.role != "object":
            return []
        children = self.properties.get("childObjects", self.properties.get("children"))
        features = self.value.get("features") if isinstance(self.value, dict) else None
        held = [each for inner in (children, features) if isinstance(inner, list) for each in inner]
        return [Item(each, f"{self.where}, child {n}", "object") for n, each in enumerate(held, start=1)]


def items(content: Any) -> Iterator[Item]:
    """Yield the content of a file in order, each object before those inside it.

    Parameters
    ----------
    content : object
        The parsed JSON.
    """
    features = 0
    pending = [Item(content, "file", "other")]
    while pending:
        item = pending.pop()
        value = item.value
        if item.role == "other":
            listed = value.get("features") if _type(value) == "FeatureCollection" else None
            if isinstance(value, list):
                pending += [Item(part, f"item {n}", "other") for n, part in _last_first(value)]
                continue
            if isinstance(listed, list):
                pending += [Item(part, "", "object") for _, part in _last_first(listed)]
                continue
            role = _role(value)
            item = Item(value, "" if role == "object" else item.where, role)
        if not item.where:
            features += 1
            item = Item(value, f"feature {features}", item.role)
        yield item
        pending += reversed(item.inside)


def plain_geometries(geometry: Any) -> Iterator[dict[str, Any]]:
    """Yield a geometry, or those in a collection, in order; nothing if there is none."""
    pending = [geometry]
    while pending:
        item = pending.pop()
        if not isinstance(item, dict):
            continue
        held = item.get("geometries")
        if _type(item) != COLLECTION:
            yield item
        elif isinstance(held, list):
            pending += reversed(held)


def _role(value: Any) -> Role:
    kind = _type(value)
    if kind == "Feature":
        return "object"
    if kind in GEOMETRIES:
        return "geometry"
    if isinstance(value, dict) and "type" not in value and isinstance(value.get("root"), dict):
        return "hierarchy"
    return "other"


def _type(value: Any) -> str | None:
    """Return the type that a GeoJSON object states; None if it states none, or is not an object."""
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


def _last_first(values: list[Any]) -> list[tuple[int, Any]]:
    """Return values with their numbers, which begin at 1, in reverse."""
    return list(enumerate(values, start=1))[::-1]
