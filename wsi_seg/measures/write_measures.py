"""Write tables of measures, each file completely or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wsi_seg.errors import UsageError
from wsi_seg.files.csvlines import csv_line
from wsi_seg.files.files import check_writable, write_text
from wsi_seg.measures.measure_table import boundary_columns, boundary_rows, class_rows, columns, stated
from wsi_seg.measures.parquet_tables import SUFFIX, require_pyarrow, write_parquet
from wsi_seg.results.folder import ResultFolder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from wsi_seg.measures.measure_results import Measured
    from wsi_seg.measures.measure_table import Row

DIGITS = 9
"""Significant digits of the CSV's numbers: a pixel counts in an area of a thousand million of them."""


def boundaries_beside(table: Path) -> Path:
    """Return the file of the borders beside a table: ``x-boundaries.csv`` beside ``x.csv``."""
    return table.with_name(f"{table.stem}-boundaries{table.suffix}")


def check_tables(table: Path) -> None:
    """See that both tables can be written, before anything is measured.

    Raises
    ------
    UsageError
        If the name has another ending than those of tables, a file is a folder or a result's own, or pyarrow
        is missing.
    OutputError
        If they cannot be written.
    """
    if table.suffix.lower() not in {".csv", SUFFIX}:
        raise UsageError(f"{table}: not a name for a table: it must end in .csv or {SUFFIX}")
    if _is_parquet(table):
        require_pyarrow(table)
    for path in (table, boundaries_beside(table)):
        require_free(path)
        check_writable(path)


def require_free(path: Path) -> None:
    """Refuse to write over a folder, or over what belongs to a result.

    Raises
    ------
    UsageError
        Naming the file.
    """
    if os.path.isdir(path):
        raise UsageError(f"{path}: is a folder: name a file with -o")
    there = ResultFolder(path.resolve().parent)
    if there.zarr.exists() or there.record_path.exists():
        own = there.owns_polygons(path) or path.resolve() in there.documents
        if own:
            raise UsageError(f"{path}: is a result's own: name another file with -o")


def write_tables(measured: Measured, table: Path) -> Path:
    """Write the table of classes, and beside it the table of borders, whose path is returned.

    Raises
    ------
    UsageError, OutputError
        As for `check_tables`.
    """
    check_tables(table)
    beside = boundaries_beside(table)
    # The table that is named comes last: where it is new, so is the other.
    tables = (
        (beside, boundary_columns(), boundary_rows(measured)),
        (table, columns(measured.settings), class_rows(measured)),
    )
    for path, header, rows in tables:
        if _is_parquet(table):
            write_parquet(path, header, rows, stated(measured))
        else:
            write_text(path, _csv(header, rows))
    return beside


def _is_parquet(table: Path) -> bool:
    return table.suffix.lower() == SUFFIX


def _csv(header: Sequence[str], rows: Iterable[Row]) -> str:
    lines = [csv_line(header)]
    lines += [csv_line(_cell(row.get(name)) for name in header) for row in rows]
    return "".join(lines)


def _cell(value: str | float | None) -> str | int:
    if value is None:
        return ""
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else value
