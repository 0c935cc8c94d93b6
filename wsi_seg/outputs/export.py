"""From a finished label pyramid to files of polygons."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.outputs.geojson import ExportReport, GeoJsonSettings, write_geojson
from wsi_seg.outputs.polygons import PolygonSettings, Tally, vectorise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.config import ExportSettings
    from wsi_seg.outputs.join import Shape
    from wsi_seg.outputs.labels import LabelPyramid
    from wsi_seg.slides.frames import Frames
    from wsi_seg.slides.lattice import Rect


@dataclass(frozen=True)
class ConfidenceSource:
    """The confidence of a label pyramid, read like labels."""

    pyramid: LabelPyramid

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the label frame."""
        return self.pyramid.shape

    def read(self, rect: Rect) -> NDArray[np.uint8]:
        """Return the confidence of a rectangle."""
        return self.pyramid.read_confidence(rect)


def export_polygons(pyramid: LabelPyramid, path: Path, settings: ExportSettings) -> ExportReport:
    """Write the polygons of a label pyramid as GeoJSON for QuPath.

    Parameters
    ----------
    pyramid : LabelPyramid
    path : Path
        File to write, whole or not at all.
    settings : ExportSettings

    Raises
    ------
    OutputError
        If the labels are damaged, or the file cannot be written.
    """
    return write_geojson(path, _shapes(pyramid, settings), pyramid.frames, pyramid.schema, _geojson(settings))


def export_csv(pyramid: LabelPyramid, path: Path, settings: ExportSettings) -> ExportReport:
    """Write one line of measurements for each polygon of a label pyramid.

    Raises
    ------
    OutputError
        If the labels are damaged, or the file cannot be written.
    """
    from wsi_seg.outputs.geojson import write_csv

    return write_csv(path, _shapes(pyramid, settings), pyramid.frames, pyramid.schema, _geojson(settings))


def polygon_settings(settings: ExportSettings, frames: Frames) -> PolygonSettings:
    """Turn micrometres into label pixels; the default tolerance is one label pixel."""
    side_um = frames.label_pixel_um2**0.5
    tolerance = 1.0 if settings.simplify_um is None else settings.simplify_um / side_um
    return PolygonSettings(
        min_area_px=max(1, round(settings.min_area_um2 / frames.label_pixel_um2)),
        tolerance_px=tolerance,
        max_vertices=settings.max_vertices,
        threads=min(4, os.cpu_count() or 1),
    )


def _shapes(pyramid: LabelPyramid, settings: ExportSettings) -> Iterator[Shape]:
    confidence = ConfidenceSource(pyramid) if pyramid.confidence else None
    return vectorise(pyramid, polygon_settings(settings, pyramid.frames), confidence, Tally())


def _geojson(settings: ExportSettings) -> GeoJsonSettings:
    return GeoJsonSettings(
        object_type=settings.object_type,
        include_background=settings.include_background,
        gzip=settings.gzip,
    )
