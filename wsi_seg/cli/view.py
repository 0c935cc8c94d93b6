"""`wsi-seg view`: results, slides and trainings in the browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.terminal import say


def view(
    shown: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT",
            help="A result of `wsi-seg predict`, a folder of results, a slide, or the folder of a training.",
            show_default=False,
        ),
    ],
    outlines: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="OUTLINES",
            help="Annotation files to show beside. For a folder of results, also a folder of them: each is "
            "shown on the slide that it is named after.",
            show_default=False,
        ),
    ] = None,
    slide: Annotated[
        Path | None,
        typer.Option(help="Where the result's slide is, if it has moved.", show_default=False),
    ] = None,
    series: Annotated[
        int | None, typer.Option(min=0, help="Which image of a slide file, as `info` numbers them.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of this machine. [default: a free one]")
    ] = None,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Print the address, and open no browser.")
    ] = False,
) -> None:
    """Show a result over its slide in the browser, at full depth.

    Only this machine can reach the page, and only by the address that is printed. Nothing is written. Ctrl-C
    ends it.

    Examples
    --------
        wsi-seg view results/slide

        wsi-seg view results

        wsi-seg view results outlines/

        wsi-seg view slide.svs outlines.geojson
    """
    from wsi_seg.errors import SlideError, UsageError
    from wsi_seg.packages import ImportFault

    if not os.path.lexists(shown):  # before what takes a second to import
        raise SlideError(f"{shown}: no such file")
    try:
        from wsi_seg.view.serving import bound, open_browser, serve
    except Exception as error:  # a broken installation may raise anything
        fault = ImportFault.of(error, "view")
        raise UsageError(f"`wsi-seg view` needs {fault.package}, which {fault.says}") from error
    from wsi_seg.view.finding import Asked, find_site
    from wsi_seg.view.openseadragon import require_script

    require_script()
    site = find_site(Asked(shown, tuple(outlines or ()), slide, series))
    listening = bound(port)

    def begun(address: str) -> None:
        say(address)
        opened = not no_open and open_browser(address)
        say("  opened in the browser; Ctrl-C ends it" if opened else "  open it in a browser; Ctrl-C ends it")

    signals.working("the page has ended")
    serve(site, listening, begun)
