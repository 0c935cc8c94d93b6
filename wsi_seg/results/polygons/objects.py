"""The polygons of a label pyramid as objects: those that `wsi-seg export` would write to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.results.polygons.geojson_writer import areas_um2, feature_id
from wsi_seg.results.polygons.placing import place
from wsi_seg.results.polygons.polygon_export import ConfidenceSource, geojson_settings, polygon_settings
from wsi_seg.results.polygons.tile_tally import Tally
from wsi_seg.results.polygons.vectorise import vectorise
from wsi_seg.results.polygons.written_classes import left_out, visible, written_classes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import shapely

    from wsi_seg.models.classes import Rgb
    from wsi_seg.results.labels.read_labels import LabelPyramid
    from wsi_seg.settings import ExportSettings


class ClassPolygon(NamedTuple):
    """One polygon.

    Attributes
    ----------
    id : str
        As in the GeoJSON.
    class_id : int
    class_name : str
    color : (int, int, int)
    outline_qupath : Polygon or MultiPolygon
    area_um2 : float
        By the outline.
    label_area_um2 : float
        By the label pixels in it.
    mean_confidence : float or None
        From 0 to 1; None if the result has no confidence.
    """

    id: str
    class_id: int
    class_name: str
    color: Rgb
    outline_qupath: shapely.Geometry
    area_um2: float
    label_area_um2: float
    mean_confidence: float | None


def class_polygons(pyramid: LabelPyramid, settings: ExportSettings) -> Iterator[ClassPolygon]:
    """Yield the polygons of a label pyramid, in the order of the file.

    Raises
    ------
    OutputError
        If the labels are damaged.
    """
    frames, schema = pyramid.frames, pyramid.schema
    classes = written_classes(schema, geojson_settings(settings))
    confidence = ConfidenceSource(pyramid) if pyramid.confidence else None
    unseen = left_out(schema, geojson_settings(settings))
    shapes = vectorise(pyramid, polygon_settings(settings, frames), confidence, Tally(), unseen)
    for placed in place(visible(shapes, classes, schema, pyramid.path), frames):
        shape, outline = placed.shape, placed.outline_qupath
        if outline.is_empty:
            continue
        name, color = classes[shape.class_id]
        sure = None if shape.mean_confidence is None else shape.mean_confidence / 255
        yield ClassPolygon(
            feature_id(name, placed.coordinates),
            shape.class_id,
            name,
            color,
            outline,
            *areas_um2(placed, frames),
            sure,
        )
