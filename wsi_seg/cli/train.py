"""`wsi-seg train`: from annotated slides, or images with masks, to a model file and a report."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.suggest import command_after
from wsi_seg.cli.terminal import say

if TYPE_CHECKING:
    from wsi_seg.training.train_model import Trained

learning = partial(typer.Option, rich_help_panel="What is learned")
running = partial(typer.Option, rich_help_panel="How it runs")


def train(
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA",
            help="SLIDE ANNOTATIONS [SLIDE ANNOTATIONS ...], a CSV (slide,annotations[,mpp]), "
            "a QuPath project and a folder of outlines, or a folder with images and masks.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for the model, the report and the checkpoints.")
    ] = Path("training"),
    pipeline: Annotated[
        str,
        typer.Option(
            help="Recipe: quick, one-stain, breast-biopsy, cityscapes, voc, camvid, camvid-quick, "
            "or a YAML file."
        ),
    ] = "quick",
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Training time in minutes, instead of the recipe's length. The learning rate of cityscapes, "
            "voc and camvid falls by epochs: give --set optimiser.schedule=cosine, too.",
            show_default=False,
        ),
    ] = None,
    rest: Annotated[
        str | None,
        learning(metavar="CLASS", help="Class of all tissue that is not outlined; otherwise it is unknown."),
    ] = None,
    roi_class: Annotated[
        str | None,
        learning(metavar="CLASS", help="Class of shapes inside which everything is outlined."),
    ] = None,
    classes: Annotated[
        str | None,
        learning(help="Class schema: a shipped one's name, or a YAML file. [default: the data's own]"),
    ] = None,
    mpp: Annotated[float | None, learning(help="The slides' um per pixel, if not stated.")] = None,
    working_mpp: Annotated[
        float | None,
        learning(help="Train at this um per pixel. [default: recommended from the data]"),
    ] = None,
    allow_coarser: Annotated[
        bool, learning("--allow-coarser", help="Take slides coarser than the working mpp.")
    ] = False,
    from_level_0: Annotated[
        bool, learning("--from-level-0", help="Read level 0, not the coarser levels in the files: slower.")
    ] = False,
    series: Annotated[
        int | None, learning(min=0, help="Which image of the slide files, as `info` numbers them.")
    ] = None,
    init: Annotated[
        str | None,
        learning(
            help="Model to start from: a file, or the name of a built-in one. [default: the recipe's; "
            "--set training.init=null for random weights]"
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        learning(
            "--set",
            metavar="NAME=VALUE",
            help="Change a value of the recipe, such as training.epochs=20. Can be repeated.",
        ),
    ] = None,
    device: Annotated[str, running(help="auto, cpu, cuda or cuda:N.")] = "auto",
    resume: Annotated[bool, running("--resume", help="Resume an interrupted training.")] = False,
    overwrite: Annotated[bool, running("--overwrite", help="Replace an earlier training.")] = False,
    quiet: Annotated[bool, running("--quiet", "-q", help="Show nothing but errors.")] = False,
) -> None:
    """Train a network on outlines drawn in QuPath, or on images with masks.

    Writes OUT/model.safetensors, for `wsi-seg predict --model`, and OUT/report/report.html.

    Examples
    --------
        wsi-seg train slide.svs outlines.geojson --rest Other --minutes 10 -o tumour

        wsi-seg train slides.csv --init tumour/model.safetensors -o finer

        wsi-seg train project.qpproj outlines/ -o tumour

        wsi-seg train cityscapes/ --pipeline cityscapes -o streets
    """
    from wsi_seg.cli.display import listening
    from wsi_seg.data.pairs import is_data_set, read_pairs
    from wsi_seg.errors import FinishedError
    from wsi_seg.slides.resolution import check_mpp

    check_mpp(mpp, working_mpp)
    if not is_data_set(data):
        read_pairs(data, mpp, series)
    # Only now, as PyTorch takes seconds to import: a file that is missing is named at once.
    from wsi_seg.api.training import TrainOptions, run_training

    request = TrainOptions(
        data=tuple(data),
        out=out,
        pipeline=pipeline,
        minutes=minutes,
        rest=rest,
        roi_class=roi_class,
        classes=classes,
        mpp=mpp,
        working_mpp=working_mpp,
        allow_coarser=allow_coarser,
        from_level_0=from_level_0,
        series=series,
        init=init,
        settings=tuple(settings or ()),
        device=device,
        resume=resume,
        overwrite=overwrite,
        command=shlex.join(["wsi-seg", *sys.argv[1:]]),
    ).request()
    signals.working(
        f"stopping after this step; again to end at once; {signals.AGAIN} with --resume to continue"
    )
    with listening(quiet) as listener:
        try:
            trained = run_training(request, listener)
        except FinishedError as finished:
            listener.say(str(finished))
            return
    if not quiet:
        _print(trained)
        if trained.for_slides and not is_data_set(data):
            then = command_after(data, trained.model, mpp, allow_coarser, from_level_0, series)
            say(f"  where to outline next: {then}")


def _print(trained: Trained) -> None:
    say(
        f"mean IoU {trained.confusion.mean_iou:.3f}, pixel accuracy {trained.confusion.pixel_accuracy:.3f} "
        f"on {trained.scored}, after {trained.seconds:.0f} s"
    )
    for line in trained.limits.table():
        say(f"  {line}")
    for line in trained.limits.verdict():
        say(f"  {line}")
    if trained.for_slides:
        say("  scores cover only pixels of known class; tissue that nobody outlined may be harder")
    if trained.diagnoses.pixels:
        say(f"diagnosis correct for {trained.diagnoses.pixel_accuracy:.1%} of {trained.diagnoses.pixels}")
    what = "SLIDE" if trained.for_slides else "IMAGE"
    name = shlex.quote(f"{trained.model.parent.name}-results")  # else beside another model's results
    say(f"  {trained.model}: wsi-seg predict {what} --model {shlex.quote(str(trained.model))} -o {name}")
    say(f"  {trained.report}: curves, scores, examples")
