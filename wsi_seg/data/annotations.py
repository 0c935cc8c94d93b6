"""Regions drawn by hand: read from QuPath's GeoJSON, and painted onto label pixels."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from wsi_seg.data.jsonfile import read_json
from wsi_seg.errors import AnnotationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect


def read_regions(path: Path) -> shapely.MultiPolygon:
    """Read the areas of an annotation file, whatever their class.

    Takes what QuPath writes and reads: a FeatureCollection, an array, one Feature or a bare geometry, each
    also gzipped. Overlapping areas are united; outlines that cross themselves are mended.

    Parameters
    ----------
    path : Path
        GeoJSON file.

    Returns
    -------
    MultiPolygon
        In the QuPath frame; never empty.

    Raises
    ------
    AnnotationError
        If the file cannot be read, is no GeoJSON, or holds no area.
    """
    content = read_json(path).value
    polygons: list[shapely.Polygon] = []
    others: Counter[str] = Counter()
    for number, geometry in enumerate(_geometries(content), start=1):
        kind = str(geometry.get("type"))
        coordinates: Any = geometry.get("coordinates")
        try:
            if kind == "Polygon":
                polygons.append(_polygon(coordinates))
            elif kind == "MultiPolygon":
                polygons += [_polygon(rings) for rings in coordinates]
            else:
                others[kind] += 1
        except (TypeError, ValueError) as error:
            raise AnnotationError(
                f"{path}: geometry {number} is no {kind} ({error}): draw it again, or leave it out"
            ) from error
    united = shapely.union_all(shapely.make_valid(polygons))
    areas = [part for part in shapely.get_parts(shapely.get_parts(united)) if part.area > 0]
    if not areas:
        holds = ", ".join(f"{count} {kind!r}" for kind, count in sorted(others.items())) or "no shapes at all"
        raise AnnotationError(f"{path}: holds no area ({holds}): draw closed regions, export them as GeoJSON")
    return shapely.MultiPolygon(areas)


def _geometries(content: Any) -> Iterator[dict[str, Any]]:
    """Yield the plain geometries in any form of GeoJSON; what has none of these forms is passed over."""
    pending = [content]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending += reversed(item)
        elif isinstance(item, dict):
            inner = {
                "FeatureCollection": "features",
                "Feature": "geometry",
                "GeometryCollection": "geometries",
            }
            kind = item.get("type")
            if isinstance(kind, str) and kind in inner:
                pending.append(item.get(inner[kind]))
            else:
                yield item


def _polygon(rings: Any) -> shapely.Polygon:
    shell, *holes = (ring_points(ring) for ring in rings)
    return shapely.Polygon(shell, holes)


def ring_points(ring: Any) -> NDArray[np.float64]:
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


def rasterise(regions: shapely.Geometry, rect: Rect) -> NDArray[np.bool_]:
    """Tell which pixels of a rectangle have their centre inside regions.

    Where outlines cross each row of pixel centres is worked out in the regions' own frame, so a pixel's
    answer is the same for every rectangle that holds it; rasterising libraries work in the rectangle's.

    Parameters
    ----------
    regions : Polygon or MultiPolygon
        Valid, in the label frame.
    rect : Rect
        In label pixels.

    Returns
    -------
    NDArray of bool, shape (rect.height, rect.width)
    """
    points_xy, ring = shapely.get_coordinates(
        shapely.get_rings(shapely.get_parts(regions)), return_index=True
    )
    same_ring = ring[1:] == ring[:-1]
    start, end = points_xy[:-1][same_ring], points_xy[1:][same_ring]
    downwards = start[:, 1] < end[:, 1]
    upper = np.where(downwards[:, None], start, end)
    lower = np.where(downwards[:, None], end, start)

    first = np.clip(np.ceil(upper[:, 1] - 0.5), rect.y0, rect.y1).astype(np.int64)
    stop = np.clip(np.ceil(lower[:, 1] - 0.5), rect.y0, rect.y1).astype(np.int64)
    count = stop - first
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(len(edge)) + np.repeat(first - (np.cumsum(count) - count), count)
    (x0, y0), (x1, y1) = upper[edge].T, lower[edge].T
    crossing = x0 + (row + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
    column = np.clip(np.ceil(crossing - 0.5), rect.x0, rect.x1).astype(np.int64)

    # Every row is crossed an even number of times, so each starts outside.
    flips = np.sort((row - rect.y0) * rect.width + column - rect.x0)
    length = np.diff(flips, prepend=0, append=rect.area)
    return np.repeat(np.arange(len(length)) % 2 == 1, length).reshape(rect.height, rect.width)
