"""CSV files that list slides, as people and their spreadsheets write them."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, NamedTuple

from wsi_seg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DELIMITERS = ",;\t"
"""What sets columns apart; spreadsheets write semicolons where the comma is the decimal mark."""


class Row(NamedTuple):
    """One line below the header: its number in the file, and its values by column, white space off."""

    line: int
    values: dict[str, str]


def read_csv(path: Path, columns: Sequence[str]) -> list[Row]:
    """Read the rows of a CSV file that has these columns, and ``mpp`` perhaps; blank lines are passed over.

    Raises
    ------
    UsageError
        If it cannot be read, lacks a column, or has no rows.
    """
    header = ",".join(columns)
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = max(DELIMITERS, key=first.count)
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
        names = [(name or "").strip() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        rows = [Row(reader.line_num, {name: (row[name] or "").strip() for name in names}) for row in reader]
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): give a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a CSV file ({error}): save it as CSV in UTF-8") from error
    lacking = [column for column in columns if column not in names]
    if lacking or not rows:
        what = f"no column {lacking[0]!r}" if lacking else "no rows"
        raise UsageError(f"{path}: {what}: begin it with the line '{header}' or '{header},mpp'")
    return rows


def mpp_of(path: Path, row: Row) -> float | None:
    """Return a row's micrometres per pixel, or None where it says nothing; a decimal comma is fine.

    Raises
    ------
    UsageError
        If it is no number.
    """
    text = row.values.get("mpp", "")
    try:
        return float(text.replace(",", ".")) if text else None
    except ValueError as error:
        raise UsageError(
            f"{path}: line {row.line}: mpp {text!r} is no number: give um per pixel, or nothing"
        ) from error
