"""The polygons of a result by place: which one lies under a point, with its class, area and confidence."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import orjson
import shapely

from wsi_seg.errors import OutputError
from wsi_seg.view.page_rings import fewer_points, rings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedReader
    from pathlib import Path

    from pydantic import JsonValue

GEOS = shapely.errors.GEOSException

MOST_POINTS = 20_000
"""Points of an outline that is sent to the page; one of more is simplified."""


@dataclass(frozen=True)
class _Index:
    tree: shapely.STRtree
    about: list[dict[str, JsonValue]]


class Polygons:
    """The polygons in a result's file, read in the background when the first one is asked for.

    `wsi_seg.results.polygons.geojson_writer` writes one to a line, so that no more than one is ever parsed at
    a time: memory is what shapely needs to hold the outlines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index: _Index | None = None
        self._fault: str | None = None
        self._reading: threading.Thread | None = None
        self._lock = threading.Lock()

    def at(self, qupath_xy: tuple[float, float]) -> JsonValue:
        """Return the polygon at a point, the smallest of several; None if there is none.

        Returns
        -------
        JSON
            With ``"reading": true`` in place of it until all are read, ``"fault"`` if they cannot be.
        """
        with self._lock:
            if self._reading is None:
                self._reading = threading.Thread(target=self._read, name="shapes", daemon=True)
                self._reading.start()
        if self._fault is not None:
            return {"fault": self._fault}
        if self._index is None:
            return {"reading": True}
        return _found(self._index, qupath_xy)

    def wait(self) -> None:
        """Wait until all are read."""
        self.at((0, 0))
        if self._reading is not None:
            self._reading.join()

    def _read(self) -> None:
        try:
            self._index = _read_index(self._path)
        except OutputError as error:
            self._fault = str(error)


def _found(index: _Index, qupath_xy: tuple[float, float]) -> JsonValue:
    hits = index.tree.query(shapely.Point(qupath_xy), predicate="intersects").tolist()
    if not hits:
        return None
    hit = min(hits, key=lambda i: index.tree.geometries[i].area)
    return {**index.about[hit], "outline": _outline(index.tree.geometries[hit])}


def _outline(shape: shapely.Geometry) -> JsonValue:
    (drawn,) = fewer_points(np.array([shape], dtype=object), MOST_POINTS)
    return rings_of(drawn)


def _read_index(path: Path) -> _Index:
    shapes: list[shapely.Geometry] = []
    about: list[dict[str, JsonValue]] = []
    try:
        with _opened(path) as file:
            for feature in _features(file):
                shapes.append(shapely.from_geojson(orjson.dumps(feature["geometry"])))
                properties = feature["properties"]
                measured = properties.get("measurements", {})
                about.append(
                    {
                        "class": properties["classification"]["name"],
                        "area_um2": measured.get("Area um^2"),
                        "confidence": measured.get("Mean confidence"),
                    }
                )
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, GEOS) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else "not as wsi-seg wrote it"
        raise OutputError(
            f"{path}: cannot be read ({said}): polygons are not shown at the pointer; "
            "`wsi-seg export` writes them again"
        ) from error
    return _Index(shapely.STRtree(np.array(shapes, dtype=object)), about)


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _features(file: Iterable[bytes]) -> Iterator[dict[str, dict[str, dict[str, str]]]]:
    """Yield the features of a file that has one in each line."""
    lines = iter(file)
    if not next(lines, b"").startswith(b'{"type":"FeatureCollection","features":['):
        raise ValueError
    for line in lines:
        if line.startswith(b'{"type":"Feature"'):
            yield orjson.loads(line.rstrip().removesuffix(b","))
