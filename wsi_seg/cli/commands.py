"""The commands of `wsi-seg`, put together."""

from __future__ import annotations

import typer

from wsi_seg import __version__
from wsi_seg.cli import (
    bench,
    check,
    demo,
    doctor,
    evaluate,
    export,
    info,
    measure,
    models,
    paper,
    predict,
    report,
    suggest,
    tiles,
    train,
    view,
)
from wsi_seg.cli.terminal import say

app = typer.Typer(
    name="wsi-seg",
    help="Whole-slide histopathology segmentation with ESPNet: from a slide file to QuPath.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# The help page shows them in this order.
RESULT, TRAINING, CARE, PAPER = "From slide to result", "Train", "Look after", "The paper"
app.command("predict", rich_help_panel=RESULT)(predict.predict)
app.command("export", rich_help_panel=RESULT)(export.export)
app.command("measure", rich_help_panel=RESULT)(measure.measure)
app.command("report", rich_help_panel=RESULT)(report.report)
app.command("view", rich_help_panel=RESULT)(view.view)
app.command("info", rich_help_panel=RESULT)(info.info)
app.command("train", rich_help_panel=TRAINING)(train.train)
app.command("suggest", rich_help_panel=TRAINING)(suggest.suggest)
app.command("evaluate", rich_help_panel=TRAINING)(evaluate.evaluate)
app.command("tiles", rich_help_panel=TRAINING)(tiles.tiles)
app.command("check", rich_help_panel=CARE)(check.check)
app.command("doctor", rich_help_panel=CARE)(doctor.doctor)
app.add_typer(models.app, name="models", rich_help_panel=CARE)
app.add_typer(
    demo.app,
    name="demo",
    rich_help_panel=CARE,
    help="Generate a demo slide with exact truth, and score against it.",
)
app.add_typer(
    paper.app,
    name="paper",
    rich_help_panel=PAPER,
    help="The comparison of the ESPNet paper: networks side by side.",
)
app.command("bench", hidden=True, cls=paper.MovedHere)(bench.bench)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"wsi-seg {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass
