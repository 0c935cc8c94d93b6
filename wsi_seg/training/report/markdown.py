"""The page of a training's report as Markdown, readable as plain text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wsi_seg.errors import printable
from wsi_seg.training.report.elements import (
    Command,
    Examples,
    Figures,
    Matrix,
    Paragraph,
    Picture,
    Table,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wsi_seg.training.report.elements import Block, Page


def render_markdown(page: Page) -> str:
    """Write the page as Markdown, readable as plain text."""
    parts = [f"# {_escaped(page.title)}", *map(_markdown_block, page.opening)]
    for section in page.contents:
        parts += [f"## {_escaped(section.heading)}", *map(_markdown_block, section.blocks)]
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
        case Paragraph(text) | Verdict(text):
            return _escaped(text)
        case Command(text):
            return f"    {printable(text)}"
        case Figures(figures):
            return _escaped(", ".join(f"{name} {value}" for name, value in figures) + ".")
        case Picture(file, says):
            return f"![{says}]({file})"
        case Matrix() | Examples():
            return _markdown_block(block.chart)
        case Table(rows, headings) if headings:
            chart = [] if block.chart is None else ["", _markdown_block(block.chart)]
            return "\n".join([_markdown_table((headings, *rows)), *chart])
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
