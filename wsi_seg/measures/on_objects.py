"""A copy of a region file with the measures of each region, as measurements that QuPath shows."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import orjson

from wsi_seg.annotations.formats.qupath import numbered
from wsi_seg.annotations.formats.qupath_objects import AREAS
from wsi_seg.errors import AnnotationError, UsageError
from wsi_seg.files.files import check_writable, replacing
from wsi_seg.files.jsonfile import parse_json, read_json
from wsi_seg.files.unpack import read_unpacked
from wsi_seg.files.xmlfile import is_xml
from wsi_seg.measures.write_measures import DIGITS, require_free
from wsi_seg.results.polygon_files import packed_by_name
from wsi_seg.results.qupath.geojson_check import NAMES
from wsi_seg.results.stated_of_labels import STATED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from wsi_seg.measures.measure_results import Measured, MeasuredResult
    from wsi_seg.measures.measured import ClassMeasures, RegionMeasures


def check_copy(regions: Sequence[Path], target: Path) -> None:
    """See that a copy of the region file can be written, before anything is measured.

    Raises
    ------
    UsageError
        If there is not exactly one region file, or the copy's name is another file's or not one of GeoJSON.
    AnnotationError
        If the region file is not GeoJSON, or one of its shapes is no object of its own.
    OutputError
        If the copy cannot be written.
    """
    if len(regions) != 1:
        given = "none is given" if not regions else f"{len(regions)} are given: measure one result at a time"
        raise UsageError(f"{target}: --geojson copies the file of --regions, of which {given}")
    if target.resolve() == regions[0].resolve():
        raise UsageError(f"{target}: is the region file itself: name another file for the copy")
    if not target.name.lower().removesuffix(".gz").endswith(NAMES):
        raise UsageError(f"{target}: not a name for QuPath, which reads .geojson and .geojson.gz")
    content, packed = read_unpacked(regions[0])
    if is_xml(content):
        raise AnnotationError(
            f"{regions[0]}: is XML, and measurements are written for QuPath, which reads GeoJSON: leave "
            "--geojson out"
        )
    _objects(regions[0], parse_json(regions[0], content, packed).value)
    require_free(target)
    check_writable(target)


def write_copy(measured: Measured, target: Path) -> None:
    """Write a copy of the region file whose objects have the measures; all else in it stays as it is.

    Raises
    ------
    UsageError, AnnotationError, OutputError
        As for `check_copy`.
    """
    files = [result.file.path for result in measured.results if result.file is not None]
    check_copy(files, target)
    (result,) = measured.results
    read = read_json(files[0])
    objects = _objects(files[0], read.value)
    for region in result.regions:
        held = objects[region.region.number]
        if not isinstance(held.get("properties"), dict):
            held["properties"] = {}
        properties = held["properties"]
        own = dict(_measurements(region, result, measured))
        properties["measurements"] = {**_known(properties.get("measurements")), **own}
    if isinstance(read.value, dict) and read.value.get("type") == "FeatureCollection":
        bands = list(measured.settings.bands_um)
        read.value[STATED] = {"version": measured.version, "bands_um": bands, **result.stated}
    # What strict JSON does not have, as NaN, stays what it was.
    text = orjson.dumps(read.value) if read.strict else json.dumps(read.value).encode()
    with replacing(target) as partial:
        partial.write_bytes(gzip.compress(text, mtime=0) if packed_by_name(target) else text)


def _objects(path: Path, content: Any) -> dict[int, dict[str, Any]]:
    """Return the objects of a parsed file by the numbers of their shapes, each of which has one alone."""
    objects: dict[int, dict[str, Any]] = {}
    numbers: dict[int, int] = {}
    for number, item, geometry in numbered(content):
        if geometry is None or geometry.get("type") not in AREAS:
            continue
        if item.role != "object":
            raise AnnotationError(
                f"{path}: shape {number} is a bare geometry, which holds no measurements: open the file in "
                "QuPath and export it again, or leave --geojson out"
            )
        if id(item.value) in numbers:
            raise AnnotationError(
                f"{path}: shapes {numbers[id(item.value)]} and {number} are one object, which QuPath does "
                "not read: draw them one by one, or leave --geojson out"
            )
        numbers[id(item.value)] = number
        objects[number] = item.value
    return objects


def _known(measurements: Any) -> dict[str, Any]:
    """Return the measurements that an object has, also as QuPath before 0.4 wrote them: a list of pairs."""
    if isinstance(measurements, dict):
        return measurements
    if not isinstance(measurements, list):
        return {}
    pairs = [pair for pair in measurements if isinstance(pair, dict) and "name" in pair and "value" in pair]
    return {str(pair["name"]): pair["value"] for pair in pairs}


def _measurements(
    region: RegionMeasures, result: MeasuredResult, measured: Measured
) -> Iterator[tuple[str, float]]:
    """Yield the measurements of a region; nothing for what does not apply.

    Areas and shares are called as QuPath calls those that it measures by a pixel classifier, and lengths have
    the unit that it writes, with the micro sign.
    """
    yield "Region area mm^2", _rounded(region.mm2)
    yield "Tissue area mm^2", _rounded(region.tissue_mm2)
    yield "Unprocessed area mm^2", _rounded(region.unprocessed_mm2)
    yield "Outside area mm^2", _rounded(region.outside_mm2)
    yield "Off slide area mm^2", _rounded(region.off_slide_mm2)
    for found in region.classes:
        yield f"{found.name} area mm^2", _rounded(found.mm2)
        if found.share is not None:
            yield f"{found.name} %", _rounded(100 * found.share)
        yield f"{found.name}: Components", found.components
        yield f"{found.name}: Perimeter µm", _rounded(found.perimeter_um)
        yield f"{found.name}: Cut µm", _rounded(found.cut_um)
        yield from _near(found, result.distance_to, measured)
    for border in region.boundaries:
        if border.um:
            yield f"{border.name} - {border.other}: Boundary µm", _rounded(border.um)


def _near(found: ClassMeasures, distance_to: str | None, measured: Measured) -> Iterator[tuple[str, float]]:
    for (low, high), mm2, share in zip(
        measured.settings.bands, found.near_mm2, found.near_shares, strict=True
    ):
        band = f"{low:g}-{high:g} µm from {distance_to}"
        yield f"{found.name} area mm^2, {band}", _rounded(mm2)
        if share is not None:
            yield f"{found.name} %, {band}", _rounded(100 * share)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
