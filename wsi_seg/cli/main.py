"""The program `wsi-seg`: its commands, and how errors reach the user."""

from __future__ import annotations

import logging
import os
import sys
import traceback

import typer

from wsi_seg import __version__
from wsi_seg.cli import bench, check, demo, doctor, evaluate, export, info, models, predict, tiles, train
from wsi_seg.errors import WsiSegError

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
        typer.echo(f"wsi-seg {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def main() -> None:
    """Run the program; end with one line and an exit code when something is wrong."""
    # When one of several writes fails, its error reaches us; asyncio would print the others' tracebacks.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        app()
    except WsiSegError as error:
        _fail(str(error), error.exit_code)
    except Exception as error:  # the last line of defence: no traceback reaches a user
        if os.environ.get("WSI_SEG_DEBUG"):
            traceback.print_exc()
        _fail(
            f"internal error ({type(error).__name__}: {error}): please report it; "
            "WSI_SEG_DEBUG=1 shows where it happened",
            1,
        )


def _fail(message: str, code: int) -> None:
    # Writes that were under way beside the one that failed are torn down with the interpreter; what they
    # have to say about that is no news.
    sys.unraisablehook = lambda _: None
    print(f"wsi-seg: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
