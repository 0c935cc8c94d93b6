"""Polygons as a table of measurements, a line for each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wsi_seg.exports.written_files import Written
from wsi_seg.results.polygon_files import file_for
from wsi_seg.results.polygons.polygon_export import export_csv

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
        If the file belongs to something else, or is not called as a table.
    OutputError
        If the settings of the result's own polygons cannot be read.
    """
    settings = options.drawn(source)
    _, target = file_for(source.zarr, out, "csv")
    return partial(_write, source, target, settings)


def _write(source: Source, target: Path, settings: ExportSettings) -> Written:
    return Written.of_polygons(target, export_csv(source.pyramid, target, settings), settings)
