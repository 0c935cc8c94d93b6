"""Lines of CSV files that spreadsheets take for what they are: no cell is a formula."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from wsi_seg.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""What makes a formula of a cell that begins with it, full-width forms included."""


def csv_line(values: Iterable[object]) -> str:
    """Write one line, its end included.

    A text that a spreadsheet would calculate gets an apostrophe before it; numbers stay numbers, as text too.
    Control characters are shown and not written.
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([_cell(value) for value in values])
    return line.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = printable(value)
    formula = text.lstrip(" ").startswith(FORMULA_STARTS) and not _is_number(text)
    return f"'{text}" if formula else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
