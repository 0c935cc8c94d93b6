"""Check the geometries of a GeoJSON file against QuPath's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from wsi_seg.annotations.formats.qupath import ring_points
from wsi_seg.results.polygons.placing import valid_in_qupath
from wsi_seg.results.qupath.faults import Findings, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 1000
FARTHEST = 2**31
"""No image reaches this far, in pixels."""

REDRAW = "make it valid before writing (shapely.make_valid), or draw it again"


class GeometryCheck:
    """Checks geometries one by one, and their polygons together.

    Parameters
    ----------
    findings : Findings
        Receives the faults.
    image_size : (int, int) or None
        Width and height of the image in QuPath pixels, where known.
    keep : bool
        Whether all polygons are kept for `check_coverage`.
    """

    def __init__(self, findings: Findings, image_size: tuple[int, int] | None, keep: bool) -> None:
        self._findings = findings
        self._image_size = image_size
        self._keep = keep
        self._batch: list[tuple[shapely.Polygon, str]] = []
        self._kept: list[tuple[shapely.Polygon, str]] = []
        self.polygons = 0
        self.vertices = 0

    def add(self, geometry: Any, where: str) -> None:
        """Check one GeoJSON geometry object."""
        error = self._findings.error
        if not isinstance(geometry, dict):
            error("no geometry", where, "has no geometry", "give it a Polygon or MultiPolygon")
            return
        kind, coordinates = geometry.get("type"), geometry.get("coordinates")
        if kind == "GeometryCollection":
            remedy = "write its polygons as one MultiPolygon"
            error("collection", where, "is a GeometryCollection, which is not a shape in QuPath", remedy)
        elif kind not in ("Polygon", "MultiPolygon", "Point", "MultiPoint", "LineString", "MultiLineString"):
            error(
                "geometry type", where, f"has no geometry type {shown(kind)}", "use Polygon or MultiPolygon"
            )
        elif not isinstance(coordinates, list):
            error("coordinates", where, "has no list of coordinates", "write them as [[[x, y], ...]]")
        elif kind == "Polygon":
            self._add_polygon(coordinates, where)
        elif kind == "MultiPolygon":
            for number, rings in enumerate(coordinates, start=1):
                self._add_polygon(rings, f"{where}, part {number}")
        else:
            lines = {"Point": [[coordinates]], "MultiLineString": coordinates}.get(kind, [coordinates])
            for line in lines:
                self._points(line, where)

    def _add_polygon(self, rings: Any, where: str) -> None:
        if not isinstance(rings, list) or not rings:
            self._findings.error("no rings", where, "is a polygon without an outline", "leave it out")
            return
        outline = [
            self._ring(ring, f"{where}, ring {n}" if n > 1 else where) for n, ring in enumerate(rings, 1)
        ]
        points = [ring for ring in outline if ring is not None]
        if len(points) < len(outline):
            return
        self.polygons += 1
        self.vertices += sum(map(len, points))
        self._batch.append((shapely.Polygon(points[0], points[1:]), where))
        if len(self._batch) >= BATCH:
            self.flush()

    def _ring(self, ring: Any, where: str) -> NDArray[np.float64] | None:
        points = self._points(ring, where)
        if points is None:
            return None
        if len(points) < 4:
            what = f"has a ring of {len(points)} points"
            self._findings.error("short ring", where, what, "a ring has 4 or more, the first one again last")
            return None
        if (points[0] != points[-1]).any():
            self._findings.error(
                "open ring", where, "has a ring that is not closed", "repeat its first point last"
            )
            return None
        return points

    def _points(self, points: Any, where: str) -> NDArray[np.float64] | None:
        try:
            found = ring_points(points) if points else np.empty((0, 2))
        except ValueError as error:
            self._findings.error("coordinates", where, str(error), "write finite numbers as [[x, y], ...]")
            return None
        if (np.abs(found) > FARTHEST).any():
            what = "lies billions of pixels away"
            self._findings.error("coordinates", where, what, "give coordinates in full-resolution pixels")
            return None
        return found

    def flush(self) -> None:
        """Check the polygons gathered since the last time."""
        if not self._batch:
            return
        polygons = np.array([polygon for polygon, _ in self._batch])
        valid, held = shapely.is_valid(polygons), valid_in_qupath(polygons)
        for i in np.flatnonzero(~valid):
            reason = shapely.is_valid_reason(polygons[i])
            self._findings.error("invalid polygon", self._batch[i][1], f"is invalid ({reason})", REDRAW)
        for i in np.flatnonzero(valid & ~held):
            what = "is valid as written, but not once QuPath has rounded it to hundredths of a pixel"
            remedy = "round coordinates to whole or half pixels, and make it valid again"
            self._findings.error("invalid when rounded", self._batch[i][1], what, remedy)
        self._check_place(polygons)
        if self._keep:
            self._kept += [item for item, sound in zip(self._batch, valid.tolist(), strict=True) if sound]
        self._batch = []

    def _check_place(self, polygons: NDArray[np.object_]) -> None:
        left, top, right, bottom = shapely.bounds(polygons).T
        width, height = self._image_size or (np.inf, np.inf)
        for i in np.flatnonzero((left < 0) | (top < 0) | (right > width) | (bottom > height)):
            bounds = ", ".join(f"{v:g}" for v in polygons[i].bounds)
            remedy = "subtract openslide.bounds-x and -y, which QuPath does, or draw it inside"
            self._findings.warn(
                "off the image", self._batch[i][1], f"reaches beyond the image ({bounds})", remedy
            )

    def check_coverage(self) -> None:
        """Check that no two polygons overlap, and that those that touch have the same corners there."""
        polygons = np.array([polygon for polygon, _ in self._kept], dtype=object)
        if len(polygons) < 2:
            return
        suspects = np.flatnonzero(~shapely.is_empty(shapely.coverage_invalid_edges(polygons)))
        one, other = shapely.STRtree(polygons).query(polygons[suspects], predicate="intersects")
        pairs = np.unique(np.sort(np.stack([suspects[one], other]), axis=0), axis=1)
        one, other = pairs[:, pairs[0] < pairs[1]]
        shared = shapely.area(shapely.intersection(polygons[one], polygons[other]))
        one, other, shared = one[shared > 0], other[shared > 0], shared[shared > 0]
        for i, j, area in zip(one, other, shared, strict=True):
            what = f"overlaps {self._kept[j][1]} by {area:.3g} square pixels"
            self._findings.error("overlap", self._kept[i][1], what, "simplify shared borders together")
        for i in np.setdiff1d(suspects, np.concatenate([one, other])):
            what = "has other corners than its neighbour along their border"
            self._findings.warn("corners", self._kept[i][1], what, "simplify shared borders together")
