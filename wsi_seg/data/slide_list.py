"""CSV files that list slides, as people and their spreadsheets write them."""

from __future__ import annotations

import csv
import io
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.errors import UsageError, shortened
from wsi_seg.files.plain_files import read_plain_text
from wsi_seg.settings import GIVEN_MPP

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DELIMITERS = ",;\t"
"""Column separators; spreadsheets write semicolons where the comma is the decimal mark."""

REMEDIES = {
    ",": "quote decimal commas, or use semicolons",
    ";": "quote texts that hold a semicolon",
    "\t": "quote texts that hold a tab",
}
"""The remedy for a line with too many cells, by separator."""


COLUMNS = frozenset({"slide", "annotations", "mpp"})
"""The columns that are read; other columns are the user's own."""


class Row(NamedTuple):
    """One line below the header: its number in the file, and its values without white space around them.

    Columns are named in lower case; missing values are empty.
    """

    line: int
    values: dict[str, str]


def read_csv(path: Path, columns: Sequence[str]) -> list[Row]:
    """Read the rows of a CSV file that has these columns, and possibly ``mpp``; blank lines are skipped.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        In lower case; the case in the file does not matter.

    Raises
    ------
    UsageError
        If it cannot be read, lacks a column or has one twice, has no rows, a row with more cells than
        columns, or a row that may hold a decimal comma.
    """
    header = ",".join(columns)
    try:
        text = read_plain_text(path, "utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = max(DELIMITERS, key=first.count)
        reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
        names = [name.strip().casefold() for name in next(reader, ())]
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): give a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a CSV file ({error}): save it as CSV in UTF-8") from error
    lacking = [column for column in columns if column not in names]
    if lacking or not lines:
        what = f"no column {lacking[0]!r}" if lacking else "no rows"
        raise UsageError(f"{path}: {what}: begin it with the line '{header}' or '{header},mpp'")
    rows = _rows(path, names, lines, delimiter)
    if delimiter == "," and "mpp" in names[:-1]:
        _refuse_halves(path, names[names.index("mpp") + 1], rows)
    return rows


def _refuse_halves(path: Path, beside: str, rows: Sequence[Row]) -> None:
    """Refuse two cells that may be the halves of a number with a decimal comma."""
    for row in rows:
        mpp, note = halves = row.values["mpp"], row.values.get(beside, "")  # columns without names are cut
        if beside not in COLUMNS and all(half.isascii() and half.isdigit() for half in halves):
            raise UsageError(
                f"{path}: line {row.line}: mpp {mpp} and {beside!r} {note} may be {mpp},{note} um per px: "
                f"quote decimal commas, and write {mpp}.0 for a whole number"
            )


def _rows(path: Path, names: list[str], lines: Sequence[tuple[int, list[str]]], delimiter: str) -> list[Row]:
    """Assign cells to their columns; refuse surplus cells, which shift values, instead of guessing."""
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{path}: more than one column {shortened(twice)!r}: keep only the right one")
    while not names[-1]:
        names = names[:-1]  # spreadsheets end lines with empty cells
    rows = []
    for line, cells in lines:
        if any(cells[len(names) :]):
            remedy = REMEDIES[delimiter]
            raise UsageError(f"{path}: line {line} has more cells than columns: {remedy}")
        rows.append(Row(line, dict(zip_longest(names, cells[: len(names)], fillvalue=""))))
    return rows


def mpp_of(path: Path, row: Row) -> float | None:
    """Return a row's micrometres per pixel, or None if the cell is empty; a decimal comma is allowed.

    Raises
    ------
    UsageError
        If it is not a number, or no slide can have it.
    """
    text = row.values.get("mpp", "")
    if not text:
        return None
    try:
        mpp = float(text.replace(",", "."))
    except ValueError as error:
        raise UsageError(
            f"{path}: line {row.line}: mpp {shortened(text)!r} is not a number: give um per pixel, or nothing"
        ) from error
    if not GIVEN_MPP[0] <= mpp <= GIVEN_MPP[1]:
        raise UsageError(
            f"{path}: line {row.line}: mpp {shortened(text)!r}: no slide has that: give um per pixel, "
            "such as 0.5, or nothing"
        )
    return mpp
