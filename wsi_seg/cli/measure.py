"""`wsi-seg measure`: areas, components, borders and distances of the classes of results, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.terminal import say
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from wsi_seg.measures.measure_settings import MeasureSettings


def measure(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULT",
            help="Result folders of `wsi-seg predict`, or their slide.ome.zarr.",
            show_default=False,
        ),
    ],
    regions: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Annotation file whose shapes are measured one by one. With several results, once for each, "
            "in their order, or a folder of files named after the results. [default: the whole slide]",
            show_default=False,
        ),
    ] = None,
    distance_to: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Measure in bands around the border of this class, too."),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(
            metavar="UM,UM,...",
            help="Ends of the bands of --distance-to, in um from the border. [default: 0,100,500]",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="Table to write, .csv or .parquet. A second one, NAME-boundaries, has the borders between "
            "classes.",
        ),
    ] = Path("measures.csv"),
    geojson: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a copy of the region file, with the figures as QuPath's measurements."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors.")] = False,
) -> None:
    """Measure each class: area, share, components, length of its borders, distance from another class.

    The table has a row for each result, region and class.

    Examples
    --------
        wsi-seg measure results/slide -o areas.csv

        wsi-seg measure results/slide --regions drawn.geojson --geojson measured.geojson

        wsi-seg measure results/*/ --regions outlines/ -o areas.csv

        wsi-seg measure results/slide --distance-to Tumour --bands 0,50,200 -o margin.parquet
    """
    from wsi_seg.cli.display import shown
    from wsi_seg.measures.pairing import pair_regions, require_folder

    settings = _settings(distance_to, bands)
    pairs = pair_regions(results, regions or [])
    for path, _ in pairs:
        require_folder(path)
    # Only now, as these take a second to import.
    from wsi_seg.measures.measure_results import measure_results
    from wsi_seg.measures.on_objects import check_copy, write_copy
    from wsi_seg.measures.write_measures import check_tables, write_tables

    check_tables(out)
    if geojson is not None:
        check_copy([path for _, path in pairs if path is not None], geojson)
    signals.working()
    with shown(1, quiet) as progress:
        measured = measure_results(pairs, settings, progress)
    beside = write_tables(measured, out)
    if geojson is not None:
        write_copy(measured, geojson)
    for remark in measured.remarks:
        say(f"wsi-seg: {remark}", err=True)
    if not quiet:
        count = sum(len(result.regions) for result in measured.results)
        say(f"{out}: {counted(len(measured.results), 'results')}, {counted(count, 'regions')}")
        say(f"  borders between classes: {beside}")
        if geojson is not None:
            say(f"  {geojson}: open it in QuPath")


def _settings(distance_to: str | None, bands: str | None) -> MeasureSettings:
    from wsi_seg.errors import UsageError
    from wsi_seg.measures.measure_settings import MeasureSettings

    if bands is None:
        return MeasureSettings(distance_to)
    try:
        ends = tuple(float(end) for end in bands.split(","))
    except ValueError as error:
        raise UsageError(
            f"--bands {bands}: give numbers with commas between them, such as 0,100,500"
        ) from error
    settings = MeasureSettings(distance_to, ends)
    if distance_to is None:
        raise UsageError(f"--bands {bands}: has no effect without --distance-to: give both, or leave it out")
    return settings
