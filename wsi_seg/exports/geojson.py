"""Polygons as GeoJSON for QuPath."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError
from wsi_seg.exports.written_files import Written
from wsi_seg.results.polygon_files import file_for, packed_by_name, write_polygons

if TYPE_CHECKING:
    from pathlib import Path

    from wsi_seg.exports.formats import Write
    from wsi_seg.exports.options import Options
    from wsi_seg.exports.source import Source
    from wsi_seg.settings import ExportSettings


def prepare(source: Source, out: Path | None, options: Options) -> Write:
    """See that polygons can be written; whether they are gzipped goes by the name of the file.

    Raises
    ------
    UsageError
        If name and options contradict each other, or the file belongs to something else.
    OutputError
        If the settings of the result's own polygons cannot be read.
    """
    named = None if out is None else packed_by_name(out)
    if None not in {named, options.gzip} and options.gzip != named:
        raise UsageError(
            f"{out}: the name must end in .gz with --gzip, and only then: QuPath relies on the name"
        )
    settings = options.drawn(source)
    if named is not None:
        settings = settings.model_copy(update={"gzip": named})
    _, target = file_for(source.zarr, out, "geojson.gz" if settings.gzip else "geojson")
    return partial(_write, source, target, settings)


def _write(source: Source, target: Path, settings: ExportSettings) -> Written:
    report = write_polygons(source.pyramid, source.folder, target, settings)
    return Written.of_polygons(target, report, settings)
