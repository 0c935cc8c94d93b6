"""Lines of CSV files that are safe in spreadsheets: no cell is a formula."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from wsi_seg.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""Characters that turn a cell into a formula when it begins with one, full-width forms included."""


def csv_line(values: Iterable[object]) -> str:
    """Return one line, with its line end.

    A text that a spreadsheet would calculate gets an apostrophe before it. Numbers stay numbers, also as
    text. Control characters are escaped.
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
