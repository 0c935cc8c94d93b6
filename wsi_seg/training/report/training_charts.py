"""The charts of a training's report: curves, confusion matrix, scores by class.

Nothing is shown by colour alone: lightness, line style or marker differ, too.
"""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.ticker import MaxNLocator

from wsi_seg.charts import BLUE, FAINT, GREEN, INK, LINE, MUTED, ORANGE, PALE_BLUE, tidy
from wsi_seg.results.pictures.fonts import face_of
from wsi_seg.results.pictures.lettering import LACKING
from wsi_seg.wording import short_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from wsi_seg.evaluation.metrics import Confusion
    from wsi_seg.training.report.contents import HistoryRow

Series: TypeAlias = "tuple[NDArray[np.float64], NDArray[np.float64]]"
"""Steps, and the values at these steps."""

OWN_FONT = "DejaVu Sans"
"""It comes with matplotlib."""

NAME_WIDTH, NAME_LINES = 30, 2
COUNTED_CELLS, NUMBERED_CELLS = 8, 30
"""Most classes for which a cell of the confusion matrix has room for a count, and for a percentage."""

SMOOTHED_FROM = 60
"""Number of values from which a curve is smoothed."""


def draw_curves(history: Sequence[HistoryRow]) -> Figure:
    """Draw losses, validation mIoU and learning rate over steps, with minutes along the top."""
    figure = Figure(figsize=(9, 8.5), layout="constrained")
    losses, miou, rate = figure.subplots(3, sharex=True, height_ratios=(3, 3, 1.6))
    train = _stages(history, [row.train_loss for row in history])
    validated = _stages(history, [row.val_loss for row in history])
    _draw_train_loss(losses, train)
    losses.plot(
        *_broken(validated), color=ORANGE, marker="o", markersize=4.5, linewidth=1.6, label="validation"
    )
    losses.set_ylabel("loss")
    _limit_losses(losses, [values for _, values in train + validated])
    if train or validated:
        losses.legend(frameon=False, loc="best")  # upper right, unless curves are there

    scores = _stages(history, [row.val_miou for row in history])
    miou.plot(*_broken(scores), color=GREEN, marker="o", markersize=4.5, linewidth=1.6)
    miou.set_ylim(0, 1)
    miou.set_ylabel("validation mIoU")
    if scores:
        x, y = (np.concatenate(parts) for parts in zip(*scores, strict=True))
        best = int(y.argmax())
        note = f"best {y[best]:.3f} at step {x[best]:.0f}"
        miou.plot(x[best], y[best], marker="o", markersize=10, fillstyle="none", color=INK)
        # Below a high point, above a low one, and on the side with room.
        up, right = (14 if y[best] < 0.75 else -22), x[best] > np.mean([row.step for row in history])
        align = "right" if right else "left"
        miou.annotate(note, (x[best], y[best]), (0, up), textcoords="offset points", ha=align, color=INK)

    rates = _stages(history, [row.learning_rate for row in history])
    rate.plot(*_broken(rates), color=INK, linewidth=1.4)
    rate.set_ylim(bottom=0)
    rate.set_ylabel("learning rate")
    rate.set_xlabel("step")
    for axes in (losses, miou, rate):
        tidy(axes)
        axes.margins(x=0.02)
        axes.grid(color=LINE, linewidth=0.7)
    _number_minutes(losses, history)
    figure.align_ylabels()
    return figure


def _stages(history: Sequence[HistoryRow], values: Sequence[float | None]) -> list[Series]:
    """Return the steps and values of each stage where a value was measured."""
    stages: dict[int, list[tuple[float, float]]] = {}
    for row, value in zip(history, values, strict=True):
        if value is not None and math.isfinite(value):
            stages.setdefault(row.stage, []).append((row.step, value))
    return [(points[:, 0], points[:, 1]) for points in map(np.array, stages.values())]


def _broken(stages: Sequence[Series]) -> Series:
    """Put stages one after another, without a line from one to the next."""
    gap = np.full(1, math.nan)
    steps = [part for stage in stages for part in (gap, stage[0])]
    values = [part for stage in stages for part in (gap, stage[1])]
    return np.concatenate(steps[1:] or [gap]), np.concatenate(values[1:] or [gap])


def _draw_train_loss(axes: Axes, stages: Sequence[Series]) -> None:
    """Draw the training loss; a long one in a pale colour, with its moving mean on top."""
    count = sum(len(losses) for _, losses in stages)
    if count < SMOOTHED_FROM:
        mark = "o" if count < 2 else None
        drawn = _broken(stages)
        axes.plot(*drawn, color=BLUE, linewidth=1.6, linestyle="--", marker=mark, label="training")
        return
    smooth = [(steps, _moving_mean(losses, count // 30)) for steps, losses in stages]
    axes.plot(*_broken(stages), color=PALE_BLUE, linewidth=0.8, label="training, as measured")
    axes.plot(*_broken(smooth), color=BLUE, linewidth=1.8, linestyle="--", label="training, moving mean")


def _moving_mean(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    window = np.ones(min(width, len(values)))
    counts = np.convolve(np.ones_like(values), window, mode="same")
    return np.asarray(np.convolve(values, window, mode="same") / counts)


def _limit_losses(axes: Axes, losses: Sequence[NDArray[np.float64]]) -> None:
    """Begin at zero, and leave out rare spikes that would flatten everything else."""
    values = np.concatenate([*losses, []])
    if len(values) and values.min() >= 0 and values.max() > 0:
        axes.set_ylim(0, 1.08 * float(np.quantile(values, 0.99, method="higher")))


def _number_minutes(axes: Axes, history: Sequence[HistoryRow]) -> None:
    """Write minutes along the top of a chart of steps."""
    if not history:
        return
    minutes = np.maximum.accumulate([row.seconds / 60 for row in history])
    steps = [row.step for row in history]
    ticks: list[tuple[float, str]] = []
    for minute in MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(0, max(minutes[-1], 1e-6)):
        step = float(np.interp(minute, minutes, steps))
        # Where time passed without steps, the numbers would overlap.
        apart = not ticks or step - ticks[-1][0] > 0.04 * (steps[-1] - steps[0])
        if minutes[0] <= minute <= minutes[-1] and apart:
            ticks.append((step, f"{minute:g}"))
    top = axes.secondary_xaxis("top")
    top.set_xticks([step for step, _ in ticks], [text for _, text in ticks])
    top.set_xlabel("minutes", color=MUTED)
    top.tick_params(colors=MUTED, length=3)
    top.spines["top"].set_visible(False)


def draw_confusion(confusion: Confusion, names: Sequence[str]) -> Figure:
    """Draw the confusion matrix; a row adds up to 100 % of a true class."""
    n = len(names)
    counts = confusion.counts[:, :n]
    totals = counts.sum(1)
    percent = 100 * counts / np.maximum(totals, 1)[:, None]
    cell = 0.95 if n <= COUNTED_CELLS else 0.52 if n <= NUMBERED_CELLS else 14 / n
    figure = Figure(figsize=(n * cell + 1, n * cell + 1))
    axes = figure.add_axes((0, 0, 1, 1))
    # Colours by the square root, so that a confusion of 2 % can be seen.
    picture = axes.imshow(percent, cmap="Blues", norm=PowerNorm(0.5, 0, 100))

    labels = [_name(name) for name in names]
    small = 9 if n <= NUMBERED_CELLS else max(3.0, 9 * 30 / n)
    fonts = _fonts(labels)
    axes.set_xticks(
        range(n), labels, rotation=40, ha="right", rotation_mode="anchor", fontsize=small, fontfamily=fonts
    )
    axes.set_yticks(range(n), labels, fontsize=small, fontfamily=fonts)
    axes.set_xlabel("found", fontsize=11, color=MUTED)
    axes.set_ylabel("true", fontsize=11, color=MUTED)
    axes.set_title(
        "Of each true class, the pixels found as each class, in %", fontsize=12, loc="left", pad=26
    )
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    if n <= NUMBERED_CELLS:
        axes.grid(which="minor", color=LINE, linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)

    for row, text in [(-0.5, "true pixels"), *((i, f"{t:,}" if t else "none") for i, t in enumerate(totals))]:
        shift = (10, 8 if row < 0 else 0)
        place = (n - 0.5, row)
        axes.annotate(
            text, place, shift, textcoords="offset points", va="center", color=MUTED, fontsize=small
        )
    for i in range(n):
        if not totals[i]:
            axes.axhspan(i - 0.5, i + 0.5, facecolor="none", edgecolor=LINE, hatch="///", linewidth=0)
    if n <= NUMBERED_CELLS:
        _number_cells(axes, counts, percent)
    else:
        figure.colorbar(picture, ax=axes, label="%", location="right", shrink=0.4, pad=0.12)
    return figure


def _number_cells(axes: Axes, counts: NDArray[np.int64], percent: NDArray[np.float64]) -> None:
    """Write percentages into the cells, and pixel counts if there is room; nothing into empty cells."""
    roomy = len(counts) <= COUNTED_CELLS
    for row, column in zip(*np.nonzero(counts), strict=True):
        value = percent[row, column]
        few = value < 0.5 and not roomy
        color = "white" if value > 45 else FAINT if few else INK
        text = "<1" if few else f"{value:.1f}" if roomy else f"{value:.0f}"
        raised = -0.12 if roomy else 0
        size = 12 if roomy else 9
        axes.text(column, row + raised, text, color=color, fontsize=size, ha="center", va="center")
        if roomy:
            pixels = short_count(int(counts[row, column]))
            axes.text(column, row + 0.22, pixels, color=color, fontsize=8, ha="center", va="center")


def draw_scores(confusion: Confusion, names: Sequence[str]) -> Figure:
    """Draw IoU and Dice of each class as bars, and their means."""
    entries = [
        (_name(name), iou, dice, "" if true else "not in the truth")
        for name, iou, dice, true in zip(
            names, confusion.iou, confusion.dice, confusion.present.tolist(), strict=True
        )
    ]
    entries.append(("Mean", confusion.mean_iou, confusion.mean_dice, ""))
    rows = np.arange(len(entries), dtype=float)
    rows[-1] += 0.35
    figure = Figure(figsize=(8, 0.46 * len(entries) + 1.1), layout="constrained")
    axes = figure.add_subplot()
    for column, (label, color, shift) in enumerate(
        (("IoU", BLUE, -0.19), ("Dice", PALE_BLUE, 0.19)), start=1
    ):
        values = np.array([entry[column] for entry in entries], float)
        axes.barh(rows + shift, np.nan_to_num(values), 0.36, color=color, label=label)
        for row, value, remark in zip(rows, values, (entry[3] for entry in entries), strict=True):
            text = f"{value:.3f}" if math.isfinite(value) else "no pixels"
            if remark and column == 1:
                text = f"{text}, {remark}" if math.isfinite(value) else "not in the truth, not found"
            elif not math.isfinite(value):
                text = "" if column == 2 else text
            place = 0.0 if math.isnan(value) else value
            axes.text(place + 0.008, row + shift, text, fontsize=8, color=INK, va="center")
    axes.axhline(rows[-1] - 0.68, color=LINE, linewidth=1)
    names = [entry[0] for entry in entries]
    axes.set_yticks(rows, names, fontfamily=_fonts(names))
    axes.set_ylim(rows[-1] + 0.6, -0.6)
    axes.set_xlim(0, 1.08)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    tidy(axes)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    return figure


def _name(name: str) -> str:
    """Break a class's name into lines, replace letters that no font has by ?, and escape dollars."""
    lines = textwrap.wrap(name, NAME_WIDTH, max_lines=NAME_LINES, placeholder="…")
    known = get_font(findfont(OWN_FONT)).get_charmap()
    letters = (
        c if ord(c) in known or c == "\n" or face_of(c) is not None else LACKING for c in "\n".join(lines)
    )
    return "".join(letters).replace("$", r"\$")


def _fonts(names: Sequence[str]) -> list[str]:
    """Return the fonts to write names in: matplotlib's own, then those of the machine that it needs."""
    known = get_font(findfont(OWN_FONT)).get_charmap()
    faces = [face_of(c) for name in names for c in name if ord(c) not in known and c != "\n"]
    paths = sorted({face.path for face in faces if face is not None})
    for path in paths:
        fontManager.addfont(path)
    return [OWN_FONT, *(get_font(path).family_name for path in paths)]
