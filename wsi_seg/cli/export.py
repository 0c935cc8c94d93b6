"""`wsi-seg export`: make polygons again from finished labels, with other settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.terminal import say
from wsi_seg.wording import counted


def export(
    result: Annotated[
        Path,
        typer.Argument(help="Result folder of `wsi-seg predict`, or its slide.ome.zarr.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to write. [default: in the result folder]")
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="geojson (for QuPath) or csv (one line for each polygon).")
    ] = "geojson",
    min_area: Annotated[
        float | None,
        typer.Option(
            help="Merge islands smaller than this, in um2, into their neighbours. [default: the result's own]"
        ),
    ] = None,
    simplify: Annotated[
        float | None,
        typer.Option(
            help="Tolerance of the outlines in um; 0 keeps pixel edges. [default: the result's own]"
        ),
    ] = None,
    object_type: Annotated[
        str | None, typer.Option(help="annotation or detection. [default: the result's own]")
    ] = None,
    gzip: Annotated[
        bool | None,
        typer.Option(
            "--gzip/--no-gzip",
            help="Compress GeoJSON. [default: by the name in -o, else the result's own]",
        ),
    ] = None,
    include_background: Annotated[
        bool | None,
        typer.Option(
            "--include-background/--no-include-background",
            help="Outline the background class too. [default: the result's own]",
            show_default=False,
        ),
    ] = None,
    max_vertices: Annotated[
        int | None, typer.Option(help="Split polygons with more corners. [default: the result's own]")
    ] = None,
) -> None:
    """Make polygons again from a finished label pyramid, without inference.

    What no option changes is as in the result's own polygons. An OME-Zarr alone has none, and gets the
    defaults of `wsi-seg predict`.

    Example: `wsi-seg export results/slide --simplify 4 --min-area 2000`
    """
    from pydantic import ValidationError

    from wsi_seg.cli.pictures import option_name
    from wsi_seg.errors import UsageError, explain
    from wsi_seg.results.folder import folder_of, labels_in, require_finished
    from wsi_seg.results.labels.reading import read_labels
    from wsi_seg.results.polygon_files import (
        file_for,
        packed_by_name,
        settings_beside,
        write_polygons,
    )
    from wsi_seg.results.whole import require_whole
    from wsi_seg.settings import ExportSettings

    if file_format not in {"geojson", "csv"}:
        raise UsageError(f"--format {file_format}: use geojson or csv")
    named = None if out is None else packed_by_name(out)
    if file_format == "geojson" and None not in {named, gzip} and gzip != named:
        raise UsageError(
            f"{out}: the name must end in .gz with --gzip, and only then: QuPath relies on the name"
        )
    zarr = labels_in(result)
    require_finished(zarr)
    pyramid = read_labels(zarr)
    own = settings_beside(folder_of(pyramid.path))
    packed = next(choice for choice in (named, gzip, own.gzip) if choice is not None)
    suffix = "csv" if file_format == "csv" else "geojson.gz" if packed else "geojson"
    folder, target = file_for(pyramid.path, out, suffix)
    unknown = require_whole(pyramid.path)
    if unknown is not None:
        say(f"wsi-seg: {unknown}", err=True)
    given = {
        "simplify_um": simplify,
        "min_area_um2": min_area,
        "object_type": object_type,
        "gzip": packed,
        "include_background": include_background,
        "max_vertices": max_vertices,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        settings = ExportSettings.model_validate({**own.model_dump(), **chosen})
    except ValidationError as error:
        setting, _, said = explain(error).partition(": ")
        raise UsageError(f"{option_name(setting)}: {said}: see `wsi-seg export --help`") from error
    signals.working()
    report = write_polygons(pyramid, folder, target, settings, file_format)
    shapes, vertices = sum(report.file.polygons.values()), report.file.vertices
    say(f"{target}: {counted(shapes, 'shapes')}, {counted(vertices, 'vertices')}")
    tolerance = report.outlined.simplify
    say(f"  islands from {settings.min_area_um2:g} um2, outlines simplified by {tolerance}")
    for what, count in report.remarks.items():
        say(f"  {counted(count, what)}")
