"""Shared parts of all charts: colours, saving, the look of axes.

Each chart has a figure of its own, without matplotlib's global state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsi_seg.files.files import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, PALE_BLUE, GREEN = "#0072b2", "#d55e00", "#9dc9e8", "#00785a"
INK, MUTED, FAINT, LINE = "#212529", "#646b73", "#a3a9af", "#d5d9dd"

DPI = 120


def save_chart(figure: Figure, path: Path) -> None:
    """Save a chart as a PNG, completely or not at all.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.2, facecolor="white")


def tidy(axes: Axes) -> None:
    """Remove the frame's top and right side, and make the rest pale."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=INK, length=3)
    axes.yaxis.label.set_color(INK)
