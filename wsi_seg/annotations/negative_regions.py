"""Negative regions, which ImageScope and HALO write: holes in the regions of their layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import shapely

from wsi_seg.annotations.repair import polygonal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wsi_seg.annotations.formats.outline import Outline
    from wsi_seg.annotations.repair import Repaired

ISLAND = 0.95
"""Share of a shape that larger negative regions cover, from which on it is an island in them."""


def cut(
    sound: Sequence[tuple[Outline, Repaired]],
) -> Iterator[tuple[Outline, shapely.Geometry, set[int]]]:
    """Yield the shapes, each without the negative regions of its layer, and the numbers of these.

    A shape that is drawn inside of holes, an island, stays. A hole over the edge of a shape is cut out of it,
    also where the shape is the smaller one.

    Parameters
    ----------
    sound : sequence of (Outline, Repaired)
        All outlines of a file, and the areas that they mean.
    """
    holes: dict[int, list[tuple[int, shapely.Geometry]]] = {}
    for outline, repaired in sound:
        if outline.negative:
            holes.setdefault(outline.layer, []).append((outline.number, repaired.geometry))
    trees = {layer: shapely.STRtree([hole for _, hole in own]) for layer, own in holes.items()}
    for outline, (geometry, _) in sound:
        if outline.negative:
            continue
        cutting: list[tuple[int, shapely.Geometry]] = []
        if outline.layer in trees:
            met = trees[outline.layer].query(geometry, predicate="intersects")
            cutting = _cutting([holes[outline.layer][i] for i in met], geometry)
        if cutting:
            united = shapely.union_all([hole for _, hole in cutting])
            geometry = polygonal(shapely.difference(geometry, united))
        yield outline, geometry, {number for number, _ in cutting}


def _cutting(
    met: list[tuple[int, shapely.Geometry]], shape: shapely.Geometry
) -> list[tuple[int, shapely.Geometry]]:
    """Return those of the holes that a shape meets that are cut out of it."""
    met = [each for each in met if shapely.intersection(each[1], shape).area > 0]
    smaller = [each for each in met if each[1].area < shape.area]
    larger = [each for each in met if each[1].area >= shape.area]
    within = shapely.intersection(shapely.union_all([hole for _, hole in larger]), shape)
    return smaller if within.area >= ISLAND * shape.area else [*smaller, *larger]
