"""The page of a training's report: composed once, then written as HTML and as Markdown."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from wsi_seg.errors import printable
from wsi_seg.training.report.contents import CONFUSION, CURVES, EXAMPLES, SCORES
from wsi_seg.training.report.limits import HEADINGS, TRUSTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from wsi_seg.models.classes import Rgb
    from wsi_seg.training.report.contents import TrainingReport

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #212529; }
body { max-width: 1040px; margin: 2.5em auto; padding: 0 1.5em; }
h1 { font-size: 1.8em; line-height: 1.2; }
h2 { font-size: 1.25em; margin-top: 2.2em; }
table { border-collapse: collapse; }
tr { border-bottom: 1px solid #e4e7ea; }
td, th { padding: .3em 1.2em .3em 0; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; white-space: pre-line; }
th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.swatch { display: inline-block; width: 1em; height: 1em; margin-right: .5em; vertical-align: -.12em; }
.swatch { border: 1px solid #cdd2d7; }
img { max-width: 100%; }
pre { background: #f4f5f6; padding: .8em 1em; white-space: pre-wrap; overflow-wrap: anywhere; }
""".strip()


@dataclass(frozen=True)
class Paragraph:
    """A sentence or two."""

    text: str


@dataclass(frozen=True)
class Command:
    """The command line."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A picture in a file beside the page."""

    file: str
    says: str


@dataclass(frozen=True)
class Table:
    """Rows of text. With headings, all columns but the first hold numbers; with colours, each row has one."""

    rows: tuple[tuple[str, ...], ...]
    headings: tuple[str, ...] = ()
    colors: tuple[Rgb | None, ...] = ()


Block = Paragraph | Command | Picture | Table


@dataclass(frozen=True)
class Page:
    """A title, the blocks below it, and sections with headings."""

    title: str
    opening: tuple[Block, ...]
    sections: tuple[tuple[str, tuple[Block, ...]], ...]


def compose(report: TrainingReport) -> Page:
    """Compose the page: the scores first, the command last."""
    sections: list[tuple[str, tuple[Block, ...]]] = []
    if report.examples:
        sections.append(
            ("Examples", (Picture(EXAMPLES, "Validation patches: image, truth and prediction side by side"),))
        )
    if report.limits is not None:
        trust = Table(report.limits.rows(), (*HEADINGS, TRUSTED))
        said = map(Paragraph, report.limits.remarks())
        sections.append(("How far the scores can be trusted", (trust, *said)))
    sections += [
        ("Scores by class", (_score_table(report), Picture(SCORES, "IoU and Dice of each class"))),
        (
            "Confusion matrix",
            (Picture(CONFUSION, "Pixels by true class and class found, in % of the true class"),),
        ),
        ("Curves", (Picture(CURVES, "Losses, validation mIoU and learning rate over steps and minutes"),)),
    ]
    # The command may be among the facts too; it comes last, unchanged.
    facts = {name: fact for name, fact in report.facts.items() if fact != report.command}
    sections += [(_heading(name), (_facts(fact),)) for name, fact in facts.items()]
    sections.append(("Command", (Command(report.command),)))
    verdict = () if report.limits is None else report.limits.verdict()
    opening = (Paragraph(_summary(report)), *map(Paragraph, verdict))
    return Page(report.title, opening, tuple(sections))


def _summary(report: TrainingReport) -> str:
    """Describe the result in a line or two."""
    scores = report.scores
    if not scores.pixels:
        return "The validation had no pixel of known class: there are no scores."
    held = int(scores.present.sum())
    text = (
        f"mIoU {scores.mean_iou:.3f}, mean Dice {scores.mean_dice:.3f}, pixel accuracy "
        f"{scores.pixel_accuracy:.3f}, over {held} classes and {scores.pixels:,} validation pixels."
    )
    spread = None if report.limits is None else report.limits.ranges.mean
    if spread is not None:
        text += f" From place to place, mIoU {spread[0]:.3f} to {spread[1]:.3f}."
    absent = [name for name, present in zip(report.names, scores.present, strict=True) if not present]
    if absent:
        text += f" Not in the truth, so not part of the means: {', '.join(absent)}."
    return text


def _score_table(report: TrainingReport) -> Table:
    scores = report.scores
    columns = (scores.iou, scores.dice, scores.precision, scores.recall)
    rows = [
        (name, *(_score(column[i]) for column in columns), f"{scores.true_pixels[i]:,}")
        for i, name in enumerate(report.names)
    ]
    means = ("Mean", _score(scores.mean_iou), _score(scores.mean_dice), "", _score(scores.class_accuracy))
    return Table(
        rows=(*rows, (*means, f"{scores.pixels:,}")),
        headings=("Class", "IoU", "Dice", "Precision", "Recall", "True pixels"),
        colors=(*(c.color for c in report.schema.classes), None),
    )


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


def render_html(page: Page) -> str:
    """Write a page that any browser shows; the pictures lie beside it."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        f'<head><meta charset="utf-8"><title>{escape(page.title)}</title>',
        f"<style>\n{STYLE}\n</style></head>",
        "<body>",
        f"<h1>{escape(page.title)}</h1>",
        *map(_html_block, page.opening),
    ]
    for heading, blocks in page.sections:
        parts += [f"<h2>{escape(heading)}</h2>", *map(_html_block, blocks)]
    return "\n".join([*parts, "</body></html>", ""])


def _html_block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Command(text):
            return f"<pre>{escape(text)}</pre>"
        case Picture(file, says):
            return f'<p><a href="{file}"><img src="{file}" alt="{escape(says)}"></a></p>'
        case Table():
            return _html_table(block)


def _html_table(table: Table) -> str:
    number = ' class="number"' if table.headings else ""
    lines = ["<table>"]
    if table.headings:
        first, *others = map(escape, table.headings)
        lines.append(
            f"<tr><th>{first}</th>" + "".join(f"<th{number}>{cell}</th>" for cell in others) + "</tr>"
        )
    for i, row in enumerate(table.rows):
        first, *others = map(escape, row)
        color = table.colors[i] if table.colors else None
        swatch = "" if color is None else f'<span class="swatch" style="background: rgb{color}"></span>'
        lines.append(
            f"<tr><th>{swatch}{first}</th>" + "".join(f"<td{number}>{cell}</td>" for cell in others) + "</tr>"
        )
    return "\n".join([*lines, "</table>"])


def render_markdown(page: Page) -> str:
    """Write the page as Markdown, readable as plain text."""
    parts = [f"# {_escaped(page.title)}", *map(_markdown_block, page.opening)]
    for heading, blocks in page.sections:
        parts += [f"## {_escaped(heading)}", *map(_markdown_block, blocks)]
    return "\n\n".join(parts) + "\n"


MARKS = re.compile(
    r"[\\`*\[\]|]|~~|<(?=[A-Za-z/!?])|&(?=#?\w+;)"  # anywhere, but only where they mean something
    r"|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])"  # not within a word
    r"|^[#>+=]|^-(?=[\s-])|(?<=^\d)[.)](?=\s)"  # at the beginning of a line
)
"""Text that Markdown would read as markup."""


def _escaped(text: str) -> str:
    """Write a text on one line, so that Markdown shows it unchanged."""
    return MARKS.sub(r"\\\g<0>", printable(text))


def _markdown_block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return _escaped(text)
        case Command(text):
            return f"    {printable(text)}"
        case Picture(file, says):
            return f"![{says}]({file})"
        case Table(rows, headings) if headings:
            return _markdown_table((headings, *rows))
        case Table(rows):
            return "\n".join(_markdown_entry(name, value) for name, value in rows)


def _markdown_entry(name: str, value: str) -> str:
    """Write a fact as an item of a list, and its lines, if there are several, as items below."""
    name, lines = _escaped(name), [_escaped(line) for line in value.split("\n")]
    return (
        f"- {name}: {lines[0]}"
        if len(lines) == 1
        else "\n".join([f"- {name}:", *(f"  - {v}" for v in lines)])
    )


def _markdown_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Write a table whose columns line up: the first to the left, numbers to the right."""
    cells = [[_escaped(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    aligned = [
        [
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in cells
    ]
    rule = ["-" * width if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [aligned[0], rule, *aligned[1:]])
