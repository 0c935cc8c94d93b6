"""`wsi-seg paper`: what only the ESPNet paper's comparison needs."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from wsi_seg.cli.bench import bench
from wsi_seg.cli.terminal import say

app = typer.Typer(no_args_is_help=True)
app.command("bench")(bench)


class MovedHere(TyperCommand):
    """A command by its old name, at the top level: it works until the next version, and says where it is."""

    def invoke(self, ctx: Any) -> Any:
        """Name the new place, then run."""
        new = f"`wsi-seg paper {self.name}`"
        say(f"wsi-seg: `wsi-seg {self.name}` is now {new}; the old name is removed after 0.1", err=True)
        return super().invoke(ctx)
