"""Measures as tables: a row for each result, region and class; and one for each border between two."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.measures.measure_results import Measured, MeasuredResult
    from wsi_seg.measures.measure_settings import MeasureSettings
    from wsi_seg.measures.measured import RegionMeasures

Row = dict[str, str | int | float | None]
"""Cells by the names of their columns; None for what does not apply."""

KEY = ("result", "slide", "regions", "region", "region_name", "region_class", "region_id")
"""The columns that name a region."""

CLASS = (
    *("class_id", "class", "mm2", "share", "components", "perimeter_um", "cut_um"),
    *("region_mm2", "tissue_mm2", "unprocessed_mm2", "outside_mm2", "off_slide_mm2"),
)
BOUNDARY = ("class_id", "class", "other_id", "other", "boundary_um")
DISTANCE = "distance_to"
SOURCE = ("mpp_x", "mpp_y", "model", "model_fingerprint", "wsi_seg")
"""The columns that state what the measures were made from, and by."""


def columns(settings: MeasureSettings) -> tuple[str, ...]:
    """Return the columns of the table of classes."""
    bands = [name for low, high in settings.bands for name in band_columns(low, high)]
    return (*KEY, *CLASS, *([DISTANCE] if bands else []), *bands, *SOURCE)


def boundary_columns() -> tuple[str, ...]:
    """Return the columns of the table of borders."""
    return (*KEY, *BOUNDARY, *SOURCE)


def band_columns(low: float, high: float) -> tuple[str, str]:
    """Return the columns of a band: its area, and its share of the class."""
    return f"mm2_{low:g}_{high:g}_um", f"share_{low:g}_{high:g}_um"


def class_rows(measured: Measured) -> Iterator[Row]:
    """Yield the rows of the table of classes."""
    for result, region in _regions(measured):
        for found in region.classes:
            row: Row = {
                **_key(result, region),
                "class_id": found.id,
                "class": found.name,
                "mm2": found.mm2,
                "share": found.share,
                "components": found.components,
                "perimeter_um": found.perimeter_um,
                "cut_um": found.cut_um,
                "region_mm2": region.mm2,
                "tissue_mm2": region.tissue_mm2,
                "unprocessed_mm2": region.unprocessed_mm2,
                "outside_mm2": region.outside_mm2,
                "off_slide_mm2": region.off_slide_mm2,
            }
            if result.distance_to is not None:
                row[DISTANCE] = result.distance_to
            for band, mm2, share in zip(
                measured.settings.bands, found.near_mm2, found.near_shares, strict=True
            ):
                row |= dict(zip(band_columns(*band), (mm2, share), strict=True))
            yield row | _source(measured, result)


def boundary_rows(measured: Measured) -> Iterator[Row]:
    """Yield the rows of the table of borders."""
    for result, region in _regions(measured):
        for border in region.boundaries:
            yield {
                **_key(result, region),
                "class_id": border.id,
                "class": border.name,
                "other_id": border.other_id,
                "other": border.other,
                "boundary_um": border.um,
                **_source(measured, result),
            }


def _regions(measured: Measured) -> Iterator[tuple[MeasuredResult, RegionMeasures]]:
    for result in measured.results:
        for region in result.regions:
            yield result, region


def _key(result: MeasuredResult, measures: RegionMeasures) -> Row:
    region = measures.region
    return {
        "result": str(result.opened.path),
        "slide": result.opened.slide,
        "regions": None if result.file is None else result.file.path.name,
        "region": region.number,
        "region_name": region.name,
        "region_class": region.class_name,
        "region_id": region.object_id,
    }


def _source(measured: Measured, result: MeasuredResult) -> Row:
    mpp_x, mpp_y = result.opened.labels.frames.label_mpp
    return {
        "mpp_x": mpp_x,
        "mpp_y": mpp_y,
        "model": result.opened.attribute("model"),
        "model_fingerprint": result.opened.attribute("model_fingerprint"),
        "wsi_seg": measured.version,
    }


def stated(measured: Measured) -> dict[str, object]:
    """Return what the measures of all results were made from, and by, as JSON."""
    return {
        "version": measured.version,
        "bands_um": list(measured.settings.bands_um) if measured.settings.bands else None,
        "results": [result.stated for result in measured.results],
    }
