"""`wsi-seg export`: a finished result in another format, or its polygons with other settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.terminal import say
from wsi_seg.exports.formats import FORMATS, Format, format_named

if TYPE_CHECKING:
    from wsi_seg.exports.options import Options

Choice = TypeVar("Choice", bound=str)


def export(
    result: Annotated[
        Path,
        typer.Argument(help="Result folder of `wsi-seg predict`, or its slide.ome.zarr.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to write. [default: in the result folder]")
    ] = None,
    file_format: Annotated[
        str,
        typer.Option("--format", help=", ".join(f"{name} ({each.says})" for name, each in FORMATS.items())),
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
        int | None,
        typer.Option(
            help="Split polygons with more corners, but not below 128 label px. [default: the result's own]"
        ),
    ] = None,
    frame: Annotated[
        str | None,
        typer.Option(
            help="Frame of the coordinates of parquet: slide, qupath, label or um. [default: slide]",
            show_default=False,
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            help="Picture in a spatialdata store: overview (the result's), slide (the slide itself, at the "
            "labels' resolution) or none. [default: overview]",
            show_default=False,
        ),
    ] = None,
    slide: Annotated[
        Path | None,
        typer.Option(
            help="The slide that the result was made of, where it lies now. [default: where it lay]",
            show_default=False,
        ),
    ] = None,
    seg_type: Annotated[
        str | None,
        typer.Option(
            help="What a dicom-seg is: labelmap, or binary, for programs that know no label maps. "
            "[default: labelmap]",
            show_default=False,
        ),
    ] = None,
    codes: Annotated[
        str | None,
        typer.Option(
            metavar="SCHEMA",
            help="Class schema, by name or YAML file, whose codes DICOM files get for classes without. "
            "[default: that of the result's name, if wsi-seg has one]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a finished result in another format, or make its polygons again; without inference.

    What no option changes is as in the result's own polygons. An OME-Zarr alone has none, and gets the
    defaults of `wsi-seg predict`.

    Examples
    --------
        wsi-seg export results/slide --simplify 4 --min-area 2000

        wsi-seg export results/slide --format parquet -o slide.parquet

        wsi-seg export results/slide --format spatialdata --image slide

        wsi-seg export results/slide --format dicom-seg -o segmentation
    """
    from wsi_seg.exports.options import FRAMES, IMAGES, SEG_TYPES, Options
    from wsi_seg.results.folder import labels_in, refuse_folder_of_results, require_finished
    from wsi_seg.results.labels.presence import require_labels

    chosen = format_named(file_format)
    options = Options(
        simplify_um=simplify,
        min_area_um2=min_area,
        object_type=object_type,
        gzip=gzip,
        include_background=include_background,
        max_vertices=max_vertices,
        frame=_one_of("--frame", frame, tuple(FRAMES)),
        image=_one_of("--image", image, IMAGES),
        slide=slide,
        seg_type=_one_of("--seg-type", seg_type, SEG_TYPES),
        codes=codes,
    )
    _check(options, chosen, file_format)
    require_finished(labels_in(result))
    refuse_folder_of_results(result, several=False)
    require_labels(labels_in(result))
    from wsi_seg.exports.source import Source  # only now, as zarr takes half a second to import
    from wsi_seg.results.whole import require_whole

    source = Source.at(result)
    write = chosen.prepare(source, out, options)
    unknown = require_whole(source.zarr)
    if unknown is not None:
        say(f"wsi-seg: {unknown}", err=True)
    signals.working()
    written = write()
    say(f"{written.path}: {written.what}")
    for line in written.lines:
        say(f"  {line}")


def _one_of(option: str, given: str | None, known: tuple[Choice, ...]) -> Choice | None:
    """Return a choice that is among those known."""
    from wsi_seg.errors import UsageError

    if given is None:
        return None
    for choice in known:
        if choice == given:
            return choice
    raise UsageError(f"{option} {given}: use {', '.join(known[:-1])} or {known[-1]}")


def _check(options: Options, chosen: Format, name: str) -> None:
    """Refuse options that the format has no use for, and values that no polygons can be made with."""
    from pydantic import ValidationError

    from wsi_seg.cli.flags import option_given, option_name
    from wsi_seg.errors import UsageError, explain
    from wsi_seg.settings import ExportSettings

    unused = [option_given(key, value) for key, value in options.given.items() if key not in chosen.uses]
    if unused:
        raise UsageError(f"{', '.join(unused)}: has no effect on --format {name}: leave it out")
    try:
        ExportSettings.model_validate(options.of_polygons)
    except ValidationError as error:
        setting, _, said = explain(error).partition(": ")
        raise UsageError(f"{option_name(setting)}: {said}: see `wsi-seg export --help`") from error
