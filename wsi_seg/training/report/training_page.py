"""The page of a training's report: composed once, then written as HTML and as Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.training.report.contents import CONFUSION, CURVES, EXAMPLES, SCORES
from wsi_seg.training.report.elements import (
    Cell,
    Command,
    Examples,
    Figure,
    Figures,
    Matrix,
    Page,
    Paragraph,
    Picture,
    Section,
    Table,
    Verdict,
)
from wsi_seg.training.report.limits import HEADINGS, NOTHING_KEPT_OUT, TRUSTED
from wsi_seg.wording import short_count

if TYPE_CHECKING:
    from pydantic import JsonValue

    from wsi_seg.training.report.contents import TrainingReport
    from wsi_seg.training.report.elements import Block


def compose(report: TrainingReport) -> Page:
    """Compose the page: the scores first, the command last."""
    sections = [Section("Scores by class", (_score_table(report),))]
    if report.limits is not None:
        trust = Table(report.limits.rows(), (*HEADINGS, TRUSTED), in_words=True)
        said = map(Paragraph, report.limits.remarks())
        sections.append(Section("How far the scores can be trusted", (trust, *said)))
    sections.append(Section("Confusion matrix", (_matrix(report),)))
    if report.examples:
        which = "Trained on" if _of_training(report) else "Kept out of training"
        chart = Picture(EXAMPLES, f"{which}, the worst first: image, truth and prediction")
        sections.append(Section("Examples", (Examples(report.examples, report.schema, chart),)))
    curves = Picture(CURVES, "Losses, validation mIoU and learning rate over steps and minutes")
    sections.append(Section("Curves", (curves,)))
    # The command may be among the facts too; it comes last, unchanged.
    facts = {name: fact for name, fact in report.facts.items() if fact != report.command}
    sections += [Section(_heading(name), (_facts(fact),)) for name, fact in facts.items()]
    sections.append(Section("Command", (Command(report.command),)))
    verdict = () if report.limits is None else report.limits.verdict()
    if _of_training(report):
        verdict = (NOTHING_KEPT_OUT, *verdict)
    return Page(report.title, (*_opening(report), *map(Verdict, verdict)), tuple(sections))


def _opening(report: TrainingReport) -> tuple[Block, ...]:
    """Give the scores, and say in a line or two what they rest on."""
    scores = report.scores
    if not scores.pixels:
        return (Verdict("The validation had no pixel of known class: there are no scores."),)
    figures = (
        Figure("mIoU", _score(scores.mean_iou)),
        Figure("mean Dice", _score(scores.mean_dice)),
        Figure("pixel accuracy", _score(scores.pixel_accuracy)),
    )
    held = int(scores.present.sum())
    which = "pixels trained on" if _of_training(report) else "validation pixels"
    text = f"Over {held} classes and {scores.pixels:,} {which}."
    spread = None if report.limits is None else report.limits.ranges.mean
    if spread is not None:
        text += f" From place to place, mIoU {spread[0]:.3f} to {spread[1]:.3f}."
    absent = [name for name, present in zip(report.names, scores.present, strict=True) if not present]
    if absent:
        text += f" Not in the truth, so not part of the means: {', '.join(absent)}."
    return Figures(figures), Paragraph(text)


def _of_training(report: TrainingReport) -> bool:
    """Return whether the scores are on what was trained on."""
    return report.limits is not None and not report.limits.kept_out


def _score_table(report: TrainingReport) -> Table:
    scores = report.scores
    columns = (scores.iou, scores.dice, scores.precision, scores.recall)
    rows = [
        (name, *(_score(column[i]) for column in columns), f"{scores.true_pixels[i]:,}")
        for i, name in enumerate(report.names)
    ]
    means = ("Mean", _score(scores.mean_iou), _score(scores.mean_dice), "", _score(scores.class_accuracy))
    bars = (*zip(scores.iou.tolist(), scores.dice.tolist(), strict=True), (scores.mean_iou, scores.mean_dice))
    return Table(
        rows=(*rows, (*means, f"{scores.pixels:,}")),
        headings=("Class", "IoU", "Dice", "Precision", "Recall", "True pixels"),
        colors=(*(c.color for c in report.schema.classes), None),
        shares=tuple((None, *map(_share, pair), None, None, None) for pair in bars),
        chart=Picture(SCORES, "IoU and Dice of each class"),
    )


def _matrix(report: TrainingReport) -> Matrix:
    counts = report.confusion
    percent = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    cells = tuple(
        tuple(_cell(share, count) for share, count in zip(*row, strict=True))
        for row in zip(percent.tolist(), counts.tolist(), strict=True)
    )
    totals = tuple(f"{total:,}" if total else "none" for total in counts.sum(1).tolist())
    chart = Picture(CONFUSION, "Pixels by true class and class found, in % of the true class")
    return Matrix(report.names, cells, totals, chart)


def _cell(percent: float, count: int) -> Cell:
    """Fill a cell; its colour goes by the square root, so that a confusion of 2 % can be seen."""
    if not count:
        return Cell("", "", 0)
    return Cell(f"{percent:.1f}", short_count(count), round(9 * math.sqrt(percent)))


def _share(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _score(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _heading(name: str) -> str:
    return name[:1].upper() + name[1:].replace("_", " ")


def _facts(fact: JsonValue) -> Block:
    """Turn a section into a table if it is an object, else into a paragraph."""
    if isinstance(fact, dict) and fact:
        return Table(tuple((key.replace("_", " "), "\n".join(_lines(value))) for key, value in fact.items()))
    return Paragraph("; ".join(_lines(fact)))


def _lines(value: JsonValue, key: str = "") -> list[str]:
    """Write a value as lines; those of an object begin with its keys, joined by dots if it is nested."""
    prefix = f"{key}: " if key else ""
    match value:
        case dict() if value:
            return [line for k, v in value.items() for line in _lines(v, f"{key}.{k}" if key else k)]
        case list() if any(isinstance(v, dict) for v in value):
            return [prefix + "; ".join(_lines(v)) for v in value]
        case list() if value and sum(len(_plain(v)) for v in value) > 80:
            return [prefix + _plain(v) for v in value]
    return [prefix + _plain(value)]


def _plain(value: JsonValue) -> str:
    """Write a value on one line, in a readable form."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}" if abs(value) >= 10_000 else str(value)
        case float():
            return f"{value:.6g}"
        case list() | dict() if not value:
            return "none"
        case list():
            return ", ".join(_plain(v) for v in value)
    return str(value)
