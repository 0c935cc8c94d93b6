"""`wsi-seg export`: polygons again, with other settings, from labels that are finished."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.terminal import say
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from wsi_seg.results.folder import ResultFolder
    from wsi_seg.settings import ExportSettings


def export(
    result: Annotated[
        Path,
        typer.Argument(help="Result folder of `wsi-seg predict`, or its slide.ome.zarr.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to write. [default: in the result folder]")
    ] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="geojson (for QuPath) or csv (one line a shape).")
    ] = "geojson",
    min_area: Annotated[
        float | None, typer.Option(help="Drop islands smaller than this, in um2. [default: 400]")
    ] = None,
    simplify: Annotated[
        float | None,
        typer.Option(help="Tolerance of outlines in um; 0: pixel edges. [default: 1.5 label px]"),
    ] = None,
    object_type: Annotated[
        str | None, typer.Option(help="annotation or detection. [default: annotation]")
    ] = None,
    gzip: Annotated[
        bool | None,
        typer.Option("--gzip/--no-gzip", help="Compress GeoJSON. [default: by the name in -o, else gzip]"),
    ] = None,
    include_background: Annotated[
        bool | None,
        typer.Option(
            "--include-background/--no-include-background",
            help="Outline the background class too.",
            show_default=False,
        ),
    ] = None,
    max_vertices: Annotated[
        int | None, typer.Option(help="Split shapes that have more. [default: 50000]")
    ] = None,
) -> None:
    """Make polygons again from a finished label pyramid, without inference.

    A CSV holds the shapes of the result's GeoJSON, unless options say otherwise.

    Example: `wsi-seg export results/slide --simplify 4 --min-area 2000`
    """
    from pydantic import ValidationError

    from wsi_seg.cli.pictures import option_name
    from wsi_seg.errors import UsageError, explain
    from wsi_seg.results.folder import labels_in
    from wsi_seg.results.labels.reading import read_labels
    from wsi_seg.results.polygons.export import export_csv, export_polygons
    from wsi_seg.results.summary import read_summary
    from wsi_seg.results.whole import require_own, require_whole
    from wsi_seg.settings import ExportSettings

    if file_format not in {"geojson", "csv"}:
        raise UsageError(f"--format {file_format}: use geojson or csv")
    named_gzip = gzip is not False if out is None else out.suffix == ".gz"
    if file_format == "geojson" and gzip not in {None, named_gzip}:
        raise UsageError(f"{out}: end its name with .gz for --gzip, and only then: QuPath goes by the name")
    pyramid = read_labels(labels_in(result))
    suffix = "csv" if file_format == "csv" else "geojson.gz" if named_gzip else "geojson"
    folder, target = _place(pyramid.path, out, suffix)
    unknown = require_whole(pyramid.path)
    if unknown is not None:
        say(f"wsi-seg: {unknown}", err=True)
    given = {
        "simplify_um": simplify,
        "min_area_um2": min_area,
        "object_type": object_type,
        "gzip": named_gzip,
        "include_background": include_background,
        "max_vertices": max_vertices,
    }
    base = _settings_beside(folder) if file_format == "csv" else ExportSettings()
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        settings = ExportSettings.model_validate({**base.model_dump(), **chosen})
    except ValidationError as error:
        setting, _, said = explain(error).partition(": ")
        raise UsageError(f"{option_name(setting)}: {said}: see `wsi-seg export --help`") from error
    signals.working()
    own = folder if folder is not None and folder.owns_polygons(target) else None
    if own is not None:
        require_own(own, target)
        own.disown_polygons(target)
    if file_format == "csv":
        report = export_csv(pyramid, target, settings)
    else:
        report = export_polygons(pyramid, target, settings)
    if own is not None:
        own.remove_other_polygons(target)
        if own.summary_json.exists():
            drawn = read_summary(own.summary_json).with_polygons(
                report.outlined, settings.model_dump(mode="json")
            )
            drawn.write(own.summary_json, own.summary_csv)
        own.own_polygons(target)
    shapes, vertices = sum(report.file.polygons.values()), report.file.vertices
    say(f"{target}: {counted(shapes, 'shapes')}, {counted(vertices, 'vertices')}")
    tolerance = report.outlined.simplify
    say(f"  islands from {settings.min_area_um2:g} um2, outlines simplified by {tolerance}")
    for what, count in report.remarks.items():
        say(f"  {counted(count, what)}")


def _place(zarr: Path, out: Path | None, suffix: str) -> tuple[ResultFolder | None, Path]:
    """Return the folder that labels are the result of, if any, and the file to write to.

    Raises
    ------
    UsageError
        If no file is named for labels that are no folder's own, or it is another result's, or is no polygons.
    """
    from wsi_seg.errors import UsageError
    from wsi_seg.results.folder import ResultFolder, folder_of

    folder = folder_of(zarr)
    if out is None and folder is None:
        raise UsageError(f"{zarr}: is no result folder's slide.ome.zarr: name the file to write with -o")
    target = zarr.parent / f"slide.{suffix}" if out is None else out
    there = ResultFolder(target.resolve().parent)
    if there.zarr.exists() or there.record_path.exists():
        others = folder is None or folder.folder.resolve() != there.folder
        polygons = there.owns_polygons(target)
        if polygons and others:
            raise UsageError(f"{target}: is another result's own: name another file with -o")
        if (polygons and suffix == "csv") or target.resolve() in there.documents:
            raise UsageError(f"{target}: is a result's own, and no file for this: name another with -o")
    return folder, target


def _settings_beside(folder: ResultFolder | None) -> ExportSettings:
    """Return the settings that a result's own polygons were drawn with."""
    from pydantic import ValidationError

    from wsi_seg.errors import OutputError
    from wsi_seg.results.summary import read_summary
    from wsi_seg.settings import ExportSettings

    if folder is None or not folder.summary_json.exists():
        return ExportSettings()
    try:
        return ExportSettings.model_validate(read_summary(folder.summary_json).settings.get("export", {}))
    except ValidationError as error:
        raise OutputError(
            f"{folder.summary_json}: its export settings are of another version: run `wsi-seg predict` again"
        ) from error
