"""From a finished label pyramid to files of polygons."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsi_seg.outputs.geojson import ExportReport, GeoJsonSettings, write_csv, write_geojson
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


DEFAULT_TOLERANCE_PX = 1.5


@dataclass(frozen=True)
class Exported:
    """What was written, and what could not be done as asked.

    Attributes
    ----------
    file : ExportReport
    tiles : Tally
    """

    file: ExportReport
    tiles: Tally

    @property
    def remarks(self) -> dict[str, int]:
        """How often something had to be done otherwise than asked; empty if never."""
        counts = {
            "tiles less simplified, to stay valid": self.tiles.less_simplified,
            "tiles with tangles too large to sieve exactly": self.tiles.cut_short,
            "shapes snapped to a coarser grid, to stay valid": self.file.repaired,
            "shapes too thin to write": self.file.dropped,
        }
        return {what: count for what, count in counts.items() if count}


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


def export_polygons(pyramid: LabelPyramid, path: Path, settings: ExportSettings) -> Exported:
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
    tally = Tally()
    shapes = _shapes(pyramid, settings, tally)
    report = write_geojson(path, shapes, pyramid.frames, pyramid.schema, _geojson(settings))
    return Exported(report, tally)


def export_csv(pyramid: LabelPyramid, path: Path, settings: ExportSettings) -> Exported:
    """Write one line of measurements for each polygon of a label pyramid.

    Raises
    ------
    OutputError
        If the labels are damaged, or the file cannot be written.
    """
    tally = Tally()
    shapes = _shapes(pyramid, settings, tally)
    return Exported(write_csv(path, shapes, pyramid.frames, pyramid.schema, _geojson(settings)), tally)


def polygon_settings(settings: ExportSettings, frames: Frames) -> PolygonSettings:
    """Turn micrometres into label pixels."""
    side_um = frames.label_pixel_um2**0.5
    tolerance = DEFAULT_TOLERANCE_PX if settings.simplify_um is None else settings.simplify_um / side_um
    return PolygonSettings(
        min_area_px=max(1, round(settings.min_area_um2 / frames.label_pixel_um2)),
        tolerance_px=tolerance,
        max_vertices=settings.max_vertices,
        threads=min(4, os.cpu_count() or 1),
    )


def _shapes(pyramid: LabelPyramid, settings: ExportSettings, tally: Tally) -> Iterator[Shape]:
    confidence = ConfidenceSource(pyramid) if pyramid.confidence else None
    return vectorise(pyramid, polygon_settings(settings, pyramid.frames), confidence, tally)


def _geojson(settings: ExportSettings) -> GeoJsonSettings:
    return GeoJsonSettings(
        object_type=settings.object_type,
        include_background=settings.include_background,
        gzip=settings.gzip,
    )
