"""From a finished label pyramid to files of polygons."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from wsi_seg.results.polygons.geojson_writer import write_csv, write_geojson
from wsi_seg.results.polygons.tile_tally import Tally
from wsi_seg.results.polygons.vectorise import SPLITS, PolygonSettings, vectorise
from wsi_seg.results.polygons.written_classes import GeoJsonSettings, left_out
from wsi_seg.results.stated_of_labels import STATED, stated_of_labels
from wsi_seg.results.summary import Outlined, Tolerance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.results.labels.read_labels import LabelPyramid
    from wsi_seg.results.polygons.complete_shapes import Shape
    from wsi_seg.results.polygons.export_report import ExportReport
    from wsi_seg.settings import ExportSettings
    from wsi_seg.slides.frames import Frames
    from wsi_seg.slides.lattice import Rect

    Writer = Callable[[Path, Iterable[Shape], Frames, ClassSchema, GeoJsonSettings], ExportReport]


DEFAULT_TOLERANCE_PX = 1.5

LARGEST_ERROR = 0.01
"""Largest relative error of the area of a class's polygons without a remark."""


@dataclass(frozen=True)
class Exported:
    """What was written, and what could not be done as requested.

    Attributes
    ----------
    file : ExportReport
    tiles : Tally
    settings : PolygonSettings
    pixel_um2 : float
        Area of a label pixel.
    """

    file: ExportReport
    tiles: Tally
    settings: PolygonSettings
    pixel_um2: float

    @property
    def remarks(self) -> dict[str, int]:
        """How often something was not done as requested; empty if never."""
        off = sum(
            abs(self.file.area_um2[i] - area) > LARGEST_ERROR * area
            for i, area in self.file.label_area_um2.items()
        )
        smallest = self.settings.tile // SPLITS
        counts = {
            "outlines simplified less, for the class to keep its area": self.tiles.finer,
            "tiles less simplified, to stay valid": self.tiles.less_simplified,
            "tiles with tangles too large to sieve exactly": self.tiles.cut_short,
            f"polygons left with more corners, as none is cut below {smallest} label px": self.tiles.too_many,
            "shapes snapped to a coarser grid, to stay valid": self.file.repaired,
            "shapes too thin to write": self.file.dropped,
            "classes outlined more than 1 % off sieved_mm2": off,
        }
        return {what: count for what, count in counts.items() if count}

    @property
    def outlined(self) -> Outlined:
        """The part of it for a summary."""
        side_um = self.pixel_um2**0.5
        return Outlined(
            polygons=self.file.polygons,
            sieved_mm2={i: n * self.pixel_um2 / 1e6 for i, n in enumerate(self.tiles.pixels.tolist())},
            outlined_mm2={i: area / 1e6 for i, area in self.file.area_um2.items()},
            simplify_um={i: self.tiles.tolerance(i) * side_um for i in self.file.polygons},
            simplify=Tolerance(
                asked_um=self.settings.tolerance_px * side_um, used_um=self.settings.step_px * side_um
            ),
            remarks=self.remarks,
        )


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
        File to write, completely or not at all.
    settings : ExportSettings

    Raises
    ------
    OutputError
        If the labels are damaged, or the file cannot be written.
    """
    write = partial(write_geojson, says={STATED: stated_of_labels(pyramid, settings)})
    return export_as(write, pyramid, path, settings)


def export_csv(pyramid: LabelPyramid, path: Path, settings: ExportSettings) -> Exported:
    """Write one line of measurements for each polygon of a label pyramid.

    Raises
    ------
    OutputError
        If the labels are damaged, or the file cannot be written.
    """
    return export_as(write_csv, pyramid, path, settings)


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


def export_as(write: Writer, pyramid: LabelPyramid, path: Path, settings: ExportSettings) -> Exported:
    """Write the polygons of a label pyramid by a writer of files.

    Parameters
    ----------
    write : callable
        Like `wsi_seg.results.polygons.geojson_writer.write_geojson`.
    pyramid, path, settings
        As for `export_polygons`.

    Raises
    ------
    OutputError
        If the labels are damaged, or the file cannot be written.
    """
    written, tally = geojson_settings(settings), Tally()
    chosen = polygon_settings(settings, pyramid.frames)
    unseen = left_out(pyramid.schema, written)
    confidence = ConfidenceSource(pyramid) if pyramid.confidence else None
    shapes = vectorise(pyramid, chosen, confidence, tally, unseen)
    report = write(path, shapes, pyramid.frames, pyramid.schema, written)
    return Exported(report, tally, chosen, pyramid.frames.label_pixel_um2)


def geojson_settings(settings: ExportSettings) -> GeoJsonSettings:
    """Return what of the settings decides which shapes are written, and as what."""
    return GeoJsonSettings(
        object_type=settings.object_type,
        include_background=settings.include_background,
        gzip=settings.gzip,
    )
