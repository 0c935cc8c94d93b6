"""`wsi-seg tiles`: cut annotated slides into image and mask tiles, to look at or for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.terminal import say
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from wsi_seg.data.cut_tiles import TilingSettings


def tiles(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="SLIDE ANNOTATIONS",
            help="Slides and their annotations in turn, a QuPath project and a folder of outlines, "
            "or one CSV file (slide,annotations[,mpp]).",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the tiles.", show_default=False)],
    size: Annotated[int, typer.Option(help="Side of a tile in pixels.")] = 512,
    working_mpp: Annotated[
        float | None,
        typer.Option(help="Cut at this um per pixel. [default: recommended from the annotations]"),
    ] = None,
    mpp: Annotated[float | None, typer.Option(help="The slides' um per pixel, if not stated.")] = None,
    allow_coarser: Annotated[
        bool, typer.Option("--allow-coarser", help="Take slides coarser than the working mpp.")
    ] = False,
    from_level_0: Annotated[
        bool, typer.Option("--from-level-0", help="Read level 0, not the coarser levels in the files.")
    ] = False,
    series: Annotated[
        int | None, typer.Option(min=0, help="Which image of the slide files, as `info` numbers them.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Class schema: a shipped one's name, or a YAML file. [default: the annotations']"),
    ] = None,
    rest: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS", help="Class of all tissue that is not outlined; otherwise it is unknown."
        ),
    ] = None,
    roi_class: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Class of shapes inside which everything is outlined."),
    ] = None,
    min_labelled: Annotated[
        float, typer.Option(help="Leave out tiles with a smaller share of known pixels.")
    ] = 0.05,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors.")] = False,
) -> None:
    """Cut annotated slides into image and mask tiles.

    `wsi-seg train` does not need tiles: it reads slides directly. But `train` and `evaluate` accept the
    folder. An existing folder of tiles is replaced.

    Example: `wsi-seg tiles slide.svs outlines.geojson --rest Stroma -o tiles`
    """
    from wsi_seg.cli.display import shown
    from wsi_seg.data.pairs import read_pairs
    from wsi_seg.models.classes import load_schema
    from wsi_seg.slides.resolution import check_mpp

    settings = _settings(size, min_labelled)
    check_mpp(mpp, working_mpp)
    pairs, left_out = read_pairs(data, mpp, series)
    # Only now, as these take half a second to import: a file that is missing is named at once.
    from wsi_seg.annotations.annotation_files import AnnotationFiles
    from wsi_seg.data.annotated_slides import SlideReading, open_labelled_slides
    from wsi_seg.data.cut_tiles import write_tiles
    from wsi_seg.data.truth import TruthSettings
    from wsi_seg.data.working_mpp import recommend_mpp

    files = AnnotationFiles()
    truth = TruthSettings(rest=rest, roi_class=roi_class)
    label_mpp = working_mpp
    if label_mpp is None:
        label_mpp = recommend_mpp(pairs, mpp, truth, files=files, series=series)
    reading = SlideReading(mpp, allow_coarser, from_level_0, series)
    schema, slides = open_labelled_slides(
        pairs, load_schema(classes) if classes else None, label_mpp, truth, reading, files
    )
    signals.working(f"{out} is not complete; {signals.AGAIN}")
    with shown(len(slides), quiet) as progress:
        for remark in (*left_out, *(remark for slide in slides for remark in slide.remarks)):
            progress.say(remark)
        tiling = write_tiles(slides, schema, label_mpp, out, settings, progress)
    if quiet:
        return
    say(f"{out}: {counted(sum(tiling.tiles.values()), f'tiles of {size} px')} at {label_mpp:g} um/px")
    for c, pixels in zip(schema.classes, tiling.pixels, strict=True):
        say(f"  {c.name}: {pixels / max(tiling.pixels.sum(), 1):.1%} of the known pixels")


def _settings(size: int, min_labelled: float) -> TilingSettings:
    from pydantic import ValidationError

    from wsi_seg.data.cut_tiles import TilingSettings
    from wsi_seg.errors import UsageError, explain

    try:
        return TilingSettings(size=size, min_labelled=min_labelled)
    except ValidationError as error:
        remedy = "see `wsi-seg tiles --help`"
        raise UsageError(f"--{explain(error).replace('_', '-', 1)}: {remedy}") from error
