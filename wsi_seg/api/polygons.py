"""Polygons of a result, with their class, area and frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import shapely

from wsi_seg.errors import UsageError
from wsi_seg.packages import ImportFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import geopandas

    from wsi_seg.results.polygons.objects import ClassPolygon
    from wsi_seg.slides.frames import Frames

    Frame = Literal["slide", "qupath", "label"]


@dataclass(frozen=True)
class Polygon:
    """One polygon of a result.

    Attributes
    ----------
    id : str
        The id in the GeoJSON.
    class_id : int
        Label value of its class.
    class_name : str
    color : (int, int, int)
    geometry : shapely.Polygon or shapely.MultiPolygon
        Its outline, including holes.
    frame : {"slide", "qupath", "label"}
        The frame of the coordinates of `geometry`.
    area_um2 : float
        Area inside the outline.
    label_area_um2 : float
        Area of the label pixels in it.
    mean_confidence : float or None
        From 0 to 1; None if the result has no confidence.
    """

    id: str
    class_id: int
    class_name: str
    color: tuple[int, int, int]
    geometry: shapely.Geometry
    frame: Frame
    area_um2: float
    label_area_um2: float
    mean_confidence: float | None


def polygon_in(frame: Frame, drawn: ClassPolygon, frames: Frames) -> Polygon:
    """Convert a polygon to a frame."""
    geometry = drawn.outline_qupath
    if frame == "slide":
        geometry = shapely.transform(geometry, frames.qupath_to_slide)
    elif frame == "label":
        geometry = shapely.transform(geometry, frames.qupath_to_label)
    return Polygon(
        id=drawn.id,
        class_id=drawn.class_id,
        class_name=drawn.class_name,
        color=drawn.color,
        geometry=geometry,
        frame=frame,
        area_um2=drawn.area_um2,
        label_area_um2=drawn.label_area_um2,
        mean_confidence=drawn.mean_confidence,
    )


def to_geopandas(draw: Callable[[], Sequence[Polygon]], frame: Frame) -> geopandas.GeoDataFrame:
    """Return polygons as a table; its ``attrs["frame"]`` names the frame of the coordinates.

    Raises
    ------
    UsageError
        If GeoPandas is not installed, or broken; this is checked before any polygon is made.
    """
    try:
        import geopandas
    except Exception as error:  # a broken installation may raise anything
        fault = ImportFault.of(error, "geo")
        raise UsageError(f"to_geopandas needs {fault.package}, which {fault.says}") from error
    drawn = draw()
    columns = {
        "id": [p.id for p in drawn],
        "class_id": [p.class_id for p in drawn],
        "class": [p.class_name for p in drawn],
        "area_um2": [p.area_um2 for p in drawn],
        "label_area_um2": [p.label_area_um2 for p in drawn],
        "mean_confidence": [p.mean_confidence for p in drawn],
    }
    table = geopandas.GeoDataFrame(columns, geometry=[p.geometry for p in drawn])
    table.attrs["frame"] = frame
    return table
