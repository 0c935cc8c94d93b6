"""`wsi-seg report`: a page and a table of all slides in a folder of results."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from wsi_seg.cli.terminal import say
from wsi_seg.wording import counted


def report(
    folder: Annotated[
        Path, typer.Argument(help="Folder of results, as `wsi-seg predict -o` named it.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder to write to. [default: the folder of results]"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors.")] = False,
) -> None:
    """Write report.html and summary.csv: all slides of a folder of results, with what became of each.

    A batch writes both by itself, as its slides finish. This makes them again, and makes them of slides that
    were segmented one by one.

    Example: `wsi-seg report results`
    """
    from wsi_seg.predict.found import require_folder

    require_folder(folder)
    from wsi_seg.predict.report.write_batch_report import (
        write_report,  # only now, as it takes half a second to import
    )

    page, slides = write_report(folder, out)
    if not quiet:
        states = Counter(str(slide.state) for slide in slides)
        each = ", ".join(f"{count} {state}" for state, count in states.items())
        say(f"{page}: {counted(len(slides), 'slides')}: {each}")
