"""Check that QuPath will open a GeoJSON file, and say what is wrong where it will not.

The rules are those of QuPath's own reader, versions 0.5 to 0.8 (``PathIO``, ``QuPathTypeAdapters``,
``ROITypeAdapters``, ``GsonTools`` in its source), where one fault anywhere mostly fails the whole file.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wsi_seg.data.jsonfile import read_json
from wsi_seg.errors import AnnotationError
from wsi_seg.outputs.check_geometry import GeometryCheck
from wsi_seg.outputs.faults import Fault, Findings, shown

if TYPE_CHECKING:
    from pathlib import Path

LARGE_BYTES = 300 * 2**20
NAMES = (".geojson", ".json")
GEOMETRIES = {
    "Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection",
}  # fmt: skip
OBJECT_TYPES = {
    "annotation", "detection", "cell", "tile", "tmaCore", "tma_core", "root", "unknown", "PathRootObject",
    "PathAnnotationObject", "PathDetectionObject", "PathCellObject", "PathTileObject", "TMACoreObject",
}  # fmt: skip
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
COLOR = "give it a colour as [red, green, blue], whole numbers from 0 to 255"


@dataclass(frozen=True)
class CheckReport:
    """What was found in a file.

    Attributes
    ----------
    path : Path
    faults : tuple of Fault
        In the order of the file, at most 20 of each kind.
    counts : dict of str to int
        Number of faults of each kind.
    errors : int
        Number of faults that are more than warnings.
    features, polygons, vertices : int
        What the file holds, as far as it could be read.
    classes : dict of str to int
        Features of each class; ``""`` stands for none.
    """

    path: Path
    faults: tuple[Fault, ...]
    counts: dict[str, int]
    errors: int
    features: int
    polygons: int
    vertices: int
    classes: dict[str, int]

    @property
    def ok(self) -> bool:
        """Whether QuPath will open the file and take all of it."""
        return self.errors == 0


def check_file(path: Path, coverage: bool = False, image_size: tuple[int, int] | None = None) -> CheckReport:
    """Check a GeoJSON file; whatever the file holds, this gives a report.

    Parameters
    ----------
    path : Path
        ``.geojson`` or ``.json``, perhaps with ``.gz``.
    coverage : bool
        Check also that polygons do not overlap, and share their corners where they touch.
    image_size : (int, int), optional
        Width and height of the image in QuPath pixels, to tell shapes that reach off it.
    """
    findings = Findings()
    check = _Check(findings, GeometryCheck(findings, image_size, keep=coverage))
    try:
        file = read_json(path)
    except AnnotationError as error:
        what, _, remedy = str(error).removeprefix(f"{path}: ").rpartition(": ")
        findings.error("unreadable", "file", what, remedy)
    else:
        _check_name(path, file.packed, findings)
        if file.size > LARGE_BYTES:
            what = f"holds {file.size / 2**20:.0f} MiB of text, all of which QuPath keeps in memory"
            findings.warn("large", "file", what, "simplify the outlines, or leave out small shapes")
        if not file.strict:
            what = "holds NaN, an infinity or half a character, which JSON does not allow"
            findings.warn("not strict", "file", what, "leave such values out: not every reader takes them")
        check.content(file.value)
        check.geometry.flush()
        if coverage:
            check.geometry.check_coverage()
    return CheckReport(
        path=path,
        faults=tuple(findings.faults),
        counts=dict(findings.counts),
        errors=findings.errors,
        features=check.features,
        polygons=check.geometry.polygons,
        vertices=check.geometry.vertices,
        classes=dict(check.classes),
    )


def _check_name(path: Path, packed: bool, findings: Findings) -> None:
    name = path.name.lower()
    if not name.removesuffix(".gz").endswith(NAMES):
        findings.error(
            "name", "file", "has a name that QuPath does not read", "call it .geojson or .geojson.gz"
        )
    elif name.endswith(".gz") != packed:
        state = "is" if packed else "is not"
        findings.error("name", "file", f"{state} gzipped, against its name", "end its name with .gz if it is")


class _Check:
    """Follows a file's objects as QuPath's reader does."""

    def __init__(self, findings: Findings, geometry: GeometryCheck) -> None:
        self.findings = findings
        self.geometry = geometry
        self.features = 0
        self.classes: Counter[str] = Counter()
        self._ids: dict[str, str] = {}

    def content(self, content: Any) -> None:
        """Check what a file holds at its root."""
        if content == []:
            return
        pending = [(content, "file")]
        while pending:
            item, where = pending.pop()
            kind = item.get("type") if isinstance(item, dict) else None
            if isinstance(item, list):
                pending += [(part, f"item {n}") for n, part in reversed(list(enumerate(item, start=1)))]
            elif kind == "FeatureCollection":
                self._collection(item, where)
            elif kind == "Feature":
                self._numbered(item)
            elif isinstance(kind, str) and kind in GEOMETRIES:
                self.features += 1
                self.classes[""] += 1
                self.geometry.add(item, where)
            else:
                what = f"is no GeoJSON object (type {shown(kind)}), and QuPath passes over it"
                self.findings.error(
                    "root", where, what, 'use {"type": "FeatureCollection", "features": [...]}'
                )

    def _collection(self, collection: dict[str, Any], where: str) -> None:
        features = collection.get("features")
        if not isinstance(features, list):
            what = "is a FeatureCollection without a list of features"
            self.findings.error("root", where, what, 'add "features": [...]')
            return
        for feature in features:
            self._numbered(feature)

    def _numbered(self, feature: Any) -> None:
        """Check a feature of the file, and the objects inside it."""
        self.features += 1
        pending = [(feature, f"feature {self.features}")]
        while pending:
            item, where = pending.pop()
            children = self._feature(item, where)
            pending += [(child, f"{where}, child {n}") for n, child in enumerate(children, start=1)]

    def _feature(self, feature: Any, where: str) -> list[Any]:
        """Check one object, and return those inside it."""
        if not isinstance(feature, dict):
            self.findings.error("feature", where, f"is {shown(feature)}", "leave it out")
            return []
        if feature.get("type") != "Feature":
            what = f"has type {shown(feature.get('type'))}"
            self.findings.warn("feature", where, what, 'features have "type": "Feature"')
        if "id" in feature:
            self._id(feature["id"], where)
        self.geometry.add(feature.get("geometry"), where)
        if "nucleusGeometry" in feature:
            self.geometry.add(feature["nucleusGeometry"], f"{where}, nucleus")
        properties = feature.get("properties", {})
        if not isinstance(properties, dict):
            what = f"has {shown(properties)} for properties"
            self.findings.error("properties", where, what, "leave properties out or make them {}")
            return []
        self._properties(properties, where)
        children = properties.get("childObjects", properties.get("children"))
        return children if isinstance(children, list) else []

    def _id(self, value: Any, where: str) -> None:
        if isinstance(value, dict | list) or value is None:
            self.findings.error("id", where, f"has the id {shown(value)}", "leave the id out or use a UUID")
        elif not isinstance(value, str) or not UUID.fullmatch(value):
            what = f"has the id {shown(value)}, which is no UUID; QuPath gives it another"
            self.findings.warn("id", where, what, "leave the id out or use a UUID")
        elif value in self._ids:
            what = f"has the id of {self._ids[value]}"
            self.findings.warn("id", where, what, "give every feature an id of its own")
        else:
            self._ids[value] = where

    def _properties(self, properties: dict[str, Any], where: str) -> None:
        error, warn = self.findings.error, self.findings.warn
        name = properties.get("name", "")
        if name is None or isinstance(name, dict | list):
            error("name", where, f"has {shown(name)} for a name", "leave the name out or make it text")
        kind = properties.get("objectType", properties.get("object_type", properties.get("type", "unknown")))
        if not isinstance(kind, str):
            error("objectType", where, f"has objectType {shown(kind)}", "use annotation or detection")
        elif kind not in OBJECT_TYPES:
            what = f"has objectType {shown(kind)}, which QuPath takes for an annotation"
            warn("objectType", where, what, "use annotation or detection")
        color = properties.get("color")
        if color is not None and not _is_color(color) and not _is_packed(color):
            error("colour", where, f"has the colour {shown(color)}", COLOR)
        self._classification(properties.get("classification"), where)
        self._measurements(properties.get("measurements"), where)

    def _classification(self, value: Any, where: str) -> None:
        """Check a class: text, or an object with a name and a colour; older files have other colours."""
        error = self.findings.error
        name: Any = ""
        if isinstance(value, str):
            name = value
        elif isinstance(value, dict) and (not value or "colorRGB" in value or "parentClass" in value):
            name = value.get("name", "")
        elif isinstance(value, dict):
            name = ": ".join(map(str, names)) if isinstance(names := value.get("names"), list) else None
            name = value.get("name", name)
            if not isinstance(name, str) or not name:
                error("class name", where, f"has the class {shown(value)}", "give the class a name")
            if "color" not in value:
                error("class colour", where, f"has a class without a colour ({shown(name)})", COLOR)
            elif not _is_color(value["color"]):
                error("class colour", where, f"has a class of colour {shown(value['color'])}", COLOR)
        elif value is not None:
            error("classification", where, f"has {shown(value)} for a class", 'use {"name", "color"}')
        self.classes[name if isinstance(name, str) else ""] += 1

    def _measurements(self, value: Any, where: str) -> None:
        """Check measurements: a map of numbers, or as in files before version 0.4, a list of pairs."""
        if isinstance(value, list):
            named = [(m.get("name"), m.get("value")) if isinstance(m, dict) else (None, m) for m in value]
        elif isinstance(value, dict):
            named = list(value.items())
        else:
            if value is not None:
                what = f"has {shown(value)} for measurements, which QuPath passes over"
                self.findings.warn("measurements", where, what, "use a map of name to number")
            return
        for name, number in named:
            if not isinstance(name, str) or isinstance(number, bool) or not isinstance(number, int | float):
                what = f"has the measurement {shown(name)}: {shown(number)}"
                self.findings.error("measurements", where, what, "use a map of name to number")


def _is_color(value: Any) -> bool:
    """Tell whether a value is a colour: three whole numbers, or four with opacity last."""
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and all(type(c) is int and 0 <= c <= 255 for c in value)
    )


def _is_packed(value: Any) -> bool:
    """Tell whether a value is a colour as a single number, which objects, but not classes, can have."""
    return type(value) is int
