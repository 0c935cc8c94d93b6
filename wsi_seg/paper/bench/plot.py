"""Throughput against parameters, as a picture: a panel for each setting."""

from __future__ import annotations

import math
import textwrap
from itertools import groupby
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from wsi_seg.charts import BLUE, FAINT, GREEN, INK, LINE, MUTED, ORANGE, tidy
from wsi_seg.paper.bench.catalogue import SWAPPED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from wsi_seg.paper.bench.bench_run import Report
    from wsi_seg.paper.bench.catalogue import Group
    from wsi_seg.paper.bench.trial import Row

STYLES: dict[Group, tuple[str, str, str]] = {
    "ESPNet": (BLUE, "o", "ESPNet"),
    "swap": (ORANGE, "s", "ESPNet-C with other modules"),
    "comparison": (INK, "D", "other networks"),
    "model": (GREEN, "^", "model files"),
}
"""Colour, marker and name of each group."""

PANEL_INCHES = (8.6, 5.6)
COLUMNS = 2

NAME_SIZE, NAME_GAP, NAME_OFFSET = 8.5, 11.5, 9.0
"""Points: of letters, between the middles of names above one another, from a marker to its name."""

CROWD = 20.0
"""Points along the axis of parameters: markers nearer to one another than this share a column of names."""

FEW = 2


def draw_throughput(report: Report) -> Figure:
    """Draw images a second at the best batch over parameters, both on logarithmic axes."""
    panels = [list(rows) for _, rows in groupby(report.rows, key=lambda row: row.setting)]
    columns = min(COLUMNS, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).flat
    for axes, rows in zip(grid, panels, strict=False):
        _draw_panel(axes, rows)
    for axes in figure.axes[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel(textwrap.fill(report.machine, 110 * columns), fontsize=8, color=MUTED, x=0.01, ha="left")
    figure.draw_without_rendering()  # only now are the positions on the page known
    for axes, rows in zip(figure.axes, panels, strict=False):
        _write_names(axes, [row for row in rows if row.best is not None])
    return figure


def _draw_panel(axes: Axes, rows: Sequence[Row]) -> None:
    axes.set_title(str(rows[0].setting), loc="left", fontsize=11, color=INK)
    axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="images a second, at the best batch")
    for group, (color, marker, name) in STYLES.items():
        x, y = _places([row for row in rows if row.group == group])
        if x:
            axes.plot(x, y, marker, color=color, markersize=7, markeredgecolor="white", label=name, zorder=3)
    x, y = _places(rows)
    if x:
        axes.set_xlim(min(x) / 4, max(x) * 2.5)
        axes.set_ylim(min(y) / 1.8, max(y) * 1.8)
        axes.legend(frameon=False, fontsize=9, loc="upper right")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(10, (1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
        axis.set_minor_locator(NullLocator())
    tidy(axes)
    axes.tick_params(labelsize=9)
    axes.grid(color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)


def _places(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """Return parameters, and images a second, of those that ran."""
    there = [(row.cost.parameters, row.best.images_per_second) for row in rows if row.best is not None]
    return [x for x, _ in there], [y for _, y in there]


class Mark(NamedTuple):
    """A network's marker: where it is on the page, in points."""

    x: float
    y: float
    row: Row


def _write_names(axes: Axes, rows: Sequence[Row]) -> None:
    """Write each network's name beside its marker."""
    x, y = _places(rows)
    if not x:
        return
    points = axes.transData.transform(np.column_stack((x, y))) * 72 / axes.figure.dpi
    marks = [Mark(float(left), float(up), row) for (left, up), row in zip(points, rows, strict=True)]
    for crowd in _crowds(marks):
        if len(crowd) > FEW:  # to the left, where there is nothing smaller
            _write_column(axes, crowd, min(mark.x for mark in crowd) - NAME_OFFSET, "right")
        else:
            _write_column(axes, crowd, max(mark.x for mark in crowd) + NAME_OFFSET, "left")


def _crowds(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Group marks that are close to each other along the axis of parameters."""
    crowds: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.x):
        if crowds and mark.x - crowds[-1][-1].x < CROWD:
            crowds[-1].append(mark)
        else:
            crowds.append([mark])
    return crowds


def _write_column(axes: Axes, marks: Sequence[Mark], x: float, align: Literal["left", "right"]) -> None:
    """Write names above each other at `x`, as close to their marks as possible, with lines to them."""
    marks = sorted(marks, key=lambda mark: mark.y)
    for mark, height in zip(marks, spread_out([mark.y for mark in marks], NAME_GAP), strict=True):
        assert mark.row.best is not None  # the others have no mark
        shift = (x - mark.x, height - mark.y)
        line = {"arrowstyle": "-", "color": FAINT, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 4}
        axes.annotate(
            mark.row.title.removeprefix(SWAPPED).replace("$", r"\$"),
            (mark.row.cost.parameters, mark.row.best.images_per_second),
            shift,
            textcoords="offset points",
            ha=align,
            va="center",
            fontsize=NAME_SIZE,
            color=STYLES[mark.row.group][0],
            arrowprops=line if math.hypot(*shift) > NAME_OFFSET + 3 else None,
        )


def spread_out(places: Sequence[float], gap: float) -> list[float]:
    """Move places apart until each is `gap` from the next, in their order and as little as possible.

    Parameters
    ----------
    places : sequence of float
        Ascending.
    gap : float

    Returns
    -------
    list of float
        The places with the smallest sum of squared moves.
    """
    # With k * gap taken from the k-th, they need only not descend: those that do are pooled at their mean.
    pools: list[tuple[float, int]] = []
    for index, place in enumerate(places):
        total, count = place - index * gap, 1
        while pools and pools[-1][0] / pools[-1][1] >= total / count:
            before, more = pools.pop()
            total, count = total + before, count + more
        pools.append((total, count))
    level = [total / count for total, count in pools for _ in range(count)]
    return [value + index * gap for index, value in enumerate(level)]


def _tick(value: float) -> str:
    """Write a number along an axis.

    >>> _tick(200_000), _tick(1e6), _tick(5), _tick(0.2)
    ('200 k', '1 M', '5', '0.2')
    """
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
