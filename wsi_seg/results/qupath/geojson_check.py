"""Check that QuPath will open a GeoJSON file, and report what is wrong if not.

The rules are those of QuPath's own reader, versions 0.5 to 0.8 (``PathIO``, ``QuPathTypeAdapters``,
``ROITypeAdapters``, ``GsonTools`` in its source), where one fault usually fails the whole file.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wsi_seg.annotations.formats.qupath import classification
from wsi_seg.annotations.formats.qupath_objects import AREAS, OBJECT_TYPES, items, plain_geometries
from wsi_seg.errors import AnnotationError, shortened
from wsi_seg.files.jsonfile import read_json
from wsi_seg.models.classes import MAX_NAME
from wsi_seg.results.qupath.check_geometry import GeometryCheck
from wsi_seg.results.qupath.colours import Recoloured, colour_script, recoloured
from wsi_seg.results.qupath.faults import Fault, Findings, shown
from wsi_seg.results.qupath.repeated_areas import Repeats

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.annotations.formats.qupath_objects import Item
    from wsi_seg.models.classes import Rgb

LARGE_BYTES = 300 * 2**20
NAMES = (".geojson", ".json")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
COLOR = "give it a colour as [red, green, blue], whole numbers from 0 to 255"


@dataclass(frozen=True)
class CheckReport:
    """The report on a file.

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
        The readable content of the file: objects at any depth, except root objects, their polygons and the
        points of these.
    classes : dict of str to int
        Areas of each class, as training reads them; ``""`` means no class.
    cores, without_area, measured, repeated : int
        Cores of a tissue microarray; points and lines; detections without a class, such as cells; areas that
        are in the file already, with the same class and name. Training leaves all of them out.
    recoloured : tuple of Recoloured
        Classes that QuPath shows in other colours than the file's.
    script : str
        One line for QuPath's script editor that sets the file's colours; empty if there are none.
    """

    path: Path
    faults: tuple[Fault, ...]
    counts: dict[str, int]
    errors: int
    features: int
    polygons: int
    vertices: int
    classes: dict[str, int]
    cores: int
    without_area: int
    measured: int
    repeated: int
    recoloured: tuple[Recoloured, ...]
    script: str

    @property
    def ok(self) -> bool:
        """Whether QuPath will open the file and take all of it."""
        return self.errors == 0


def check_file(path: Path, coverage: bool = False, image_size: tuple[int, int] | None = None) -> CheckReport:
    """Check a GeoJSON file; returns a report, whatever the file contains.

    Parameters
    ----------
    path : Path
        ``.geojson`` or ``.json``, optionally with ``.gz``.
    coverage : bool
        Check also that polygons do not overlap, and share their corners where they touch.
    image_size : (int, int), optional
        Width and height of the image in QuPath pixels, to find shapes that reach beyond it.
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
        for item in items(file.value):
            check.item(item)
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
        cores=check.cores,
        without_area=check.without_area,
        measured=check.measured,
        repeated=check.repeated,
        recoloured=recoloured(check.colours),
        script=colour_script(check.colours) if check.colours else "",
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
        self.features = self.cores = self.without_area = self.measured = self.repeated = 0
        self.classes: Counter[str] = Counter()
        self.colours: dict[str, Rgb] = {}
        self._ids: dict[str, str] = {}
        self._repeats = Repeats()

    def item(self, item: Item) -> None:
        """Check one thing that a file holds."""
        error, kind = self.findings.error, item.value.get("type") if isinstance(item.value, dict) else None
        if item.role == "object":
            self._object(item)
        elif item.role == "geometry":
            self.geometry.add(item.value, item.where)
            self._count(item)
        elif item.role == "hierarchy":
            what = "is a whole hierarchy, which QuPath does not import"
            error("root", item.where, what, "export its objects as GeoJSON")
        elif kind == "FeatureCollection":
            what = "is a FeatureCollection without a list of features"
            error("root", item.where, what, 'add "features": [...]')
        else:
            what = f"is not a GeoJSON object (type {shown(kind)}), and QuPath ignores it"
            error("root", item.where, what, 'use {"type": "FeatureCollection", "features": [...]}')

    def _count(self, item: Item) -> None:
        """Count an object by its meaning for training."""
        if item.is_root:
            return
        self.features += 1
        class_name, _ = classification(item.properties)
        if class_name is not None and len(class_name) > MAX_NAME:
            what = f"has a class whose name has {len(class_name):,} characters, which training refuses"
            self.findings.warn("class name", item.where, what, f"give it one of up to {MAX_NAME}")
            class_name = shortened(class_name, MAX_NAME)
        for geometry in plain_geometries(item.geometry):
            if item.is_core:
                self.cores += 1
            elif str(geometry.get("type")) not in AREAS:
                self.without_area += 1
            elif item.is_detection and class_name is None:
                self.measured += 1
            elif self._again(geometry, item, class_name):
                self.repeated += 1
            else:
                self.classes[class_name or ""] += 1

    def _again(self, geometry: dict[str, Any], item: Item, class_name: str | None) -> bool:
        """Return whether the same area came before; a region of another name is not the same."""
        name = repr(item.properties.get("name"))
        kind = geometry.get("type")
        return self._repeats.again(geometry.get("coordinates"), kind, class_name, name, item.is_detection)

    def _object(self, item: Item) -> None:
        """Check one of QuPath's objects."""
        feature, where = item.value, item.where
        if not isinstance(feature, dict):
            self.findings.error("feature", where, f"is {shown(feature)}", "leave it out")
            self.features += 1
            return
        if feature.get("type") != "Feature":
            what = f"has type {shown(feature.get('type'))}"
            self.findings.warn("feature", where, what, 'features have "type": "Feature"')
        if "id" in feature:
            self._id(feature["id"], where)
        if not item.is_root:
            self.geometry.add(feature.get("geometry"), where)
        if "nucleusGeometry" in feature:
            self.geometry.add(feature["nucleusGeometry"], f"{where}, nucleus")
        properties = feature.get("properties", {})
        if not isinstance(properties, dict):
            what = f"has {shown(properties)} for properties"
            self.findings.error("properties", where, what, "leave properties out or make them {}")
        self._properties(item)
        self._count(item)

    def _id(self, value: Any, where: str) -> None:
        if isinstance(value, dict | list) or value is None:
            self.findings.error("id", where, f"has the id {shown(value)}", "leave the id out or use a UUID")
        elif not isinstance(value, str) or not UUID.fullmatch(value):
            what = f"has the id {shown(value)}, which is not a UUID; QuPath gives it another"
            self.findings.warn("id", where, what, "leave the id out or use a UUID")
        elif value in self._ids:
            what = f"has the id of {self._ids[value]}"
            self.findings.warn("id", where, what, "give every feature an id of its own")
        else:
            self._ids[value] = where

    def _properties(self, item: Item) -> None:
        error, warn = self.findings.error, self.findings.warn
        properties, where, kind = item.properties, item.where, item.object_type
        name = properties.get("name", "")
        if name is None or isinstance(name, dict | list):
            error("name", where, f"has {shown(name)} for a name", "leave the name out or make it text")
        if not isinstance(kind, str):
            error("objectType", where, f"has objectType {shown(kind)}", "use annotation or detection")
        elif kind not in OBJECT_TYPES:
            what = f"has objectType {shown(kind)}, which QuPath takes as an annotation"
            warn("objectType", where, what, "use annotation or detection")
        color = properties.get("color")
        if color is not None and not _is_color(color) and not _is_packed(color):
            error("colour", where, f"has the colour {shown(color)}", COLOR)
        self._classification(properties.get("classification"), where)
        self._measurements(properties.get("measurements"), where)
        _, colour = classification(properties)
        name = _class_name(properties["classification"]) if colour is not None else ""
        if colour is not None and 0 < len(name) <= MAX_NAME:
            self.colours.setdefault(name, colour)

    def _classification(self, value: Any, where: str) -> None:
        """Check a class: text, or an object with a name and a colour; older files have other colours."""
        error = self.findings.error
        if isinstance(value, dict) and value and "colorRGB" not in value and "parentClass" not in value:
            name = _class_name(value)
            if not name:
                error("class name", where, f"has the class {shown(value)}", "give the class a name")
            if "color" not in value:
                error("class colour", where, f"has a class without a colour ({shown(name)})", COLOR)
            elif not _is_color(value["color"]):
                error("class colour", where, f"has a class of colour {shown(value['color'])}", COLOR)
        elif value is not None and not isinstance(value, str | dict):
            error("classification", where, f"has {shown(value)} for a class", 'use {"name", "color"}')

    def _measurements(self, value: Any, where: str) -> None:
        """Check measurements: a map of numbers, or as in files before version 0.4, a list of pairs."""
        if isinstance(value, list):
            named = [(m.get("name"), m.get("value")) if isinstance(m, dict) else (None, m) for m in value]
        elif isinstance(value, dict):
            named = list(value.items())
        else:
            if value is not None:
                what = f"has {shown(value)} for measurements, which QuPath ignores"
                self.findings.warn("measurements", where, what, "use a map of name to number")
            return
        for name, number in named:
            if not isinstance(name, str) or isinstance(number, bool) or not isinstance(number, int | float):
                what = f"has the measurement {shown(name)}: {shown(number)}"
                self.findings.error("measurements", where, what, "use a map of name to number")


def _class_name(value: dict[str, Any]) -> str:
    """Return the name of a class as in QuPath; empty if it is not one."""
    names = value.get("names")
    name = value.get("name", ": ".join(map(str, names)) if isinstance(names, list) else None)
    return name.strip() if isinstance(name, str) else ""


def _is_color(value: Any) -> bool:
    """Return whether a value is a colour: three whole numbers, or four with opacity last."""
    return (
        isinstance(value, list)
        and len(value) in (3, 4)
        and all(type(c) is int and 0 <= c <= 255 for c in value)
    )


def _is_packed(value: Any) -> bool:
    """Return whether a value is a colour as a single number, which objects can have, but not classes."""
    return type(value) is int
