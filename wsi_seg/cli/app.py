"""The commands of `wsi-seg`, put together."""

from __future__ import annotations

import typer

from wsi_seg import __version__
from wsi_seg.cli import bench, check, demo, doctor, evaluate, export, info, models, predict, tiles, train
from wsi_seg.cli.terminal import say

app = typer.Typer(
    name="wsi-seg",
    help="Whole-slide histopathology segmentation with ESPNet: from a slide file to QuPath.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("predict")(predict.predict)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("bench")(bench.bench)
app.command("info")(info.info)
app.command("export")(export.export)
app.command("tiles")(tiles.tiles)
app.command("check")(check.check)
app.command("doctor")(doctor.doctor)
app.add_typer(models.app, name="models")
app.add_typer(demo.app, name="demo", help="Generate a demo slide with exact truth, and score against it.")


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
