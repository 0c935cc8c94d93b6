"""Polygons as a GeoParquet table, for GeoPandas and the like."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wsi_seg.exports.geoparquet import GeoParquet, require_pyarrow
from wsi_seg.exports.options import FRAMES
from wsi_seg.exports.stated_of_run import stated
from wsi_seg.exports.written_files import Written
from wsi_seg.results.polygon_files import file_for
from wsi_seg.results.polygons.polygon_export import export_as

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.exports.formats import Write
    from wsi_seg.exports.options import Options
    from wsi_seg.exports.source import Source
    from wsi_seg.settings import ExportSettings


def prepare(source: Source, out: Path | None, options: Options) -> Write:
    """See that the table can be written.

    Raises
    ------
    UsageError
        If the file belongs to something else or is not called as a table, or pyarrow is missing.
    OutputError
        If the settings of the result's own polygons, or its record, cannot be read.
    """
    settings = options.drawn(source)
    _, target = file_for(source.zarr, out, "parquet")
    require_pyarrow(target)
    write = GeoParquet(options.frame or "slide", stated(source, settings))
    return partial(_write, source, target, settings, write)


def _write(source: Source, target: Path, settings: ExportSettings, write: GeoParquet) -> Written:
    report = export_as(write, source.pyramid, target, settings)
    return Written.of_polygons(target, report, settings, f"coordinates in {FRAMES[write.frame]}")
