"""A comparison as tables for a terminal."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from wsi_seg.paper.bench.flat_rows import flat_row, lacking
from wsi_seg.paper.bench.missing import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from wsi_seg.paper.bench.bench_run import Report
    from wsi_seg.paper.bench.flat_rows import Value
    from wsi_seg.paper.bench.trial import Row

RATIO = "x"
NONE = "-"

SYSTEM_HEADINGS = {
    "cpu_power_w": "CPU W",
    "cpu_energy_per_image_j": "CPU J/image",
    "gpu_power_w": "GPU W",
    "gpu_energy_per_image_j": "GPU J/image",
    "cpu_busy_percent": "CPU busy %",
    "gpu_busy_percent": "GPU busy %",
    "gpu_memory_busy_percent": "GPU memory busy %",
    "frequency_sensitivity": "sensitivity to GPU frequency",
    "warp_efficiency_percent": "warp execution efficiency %",
    "load_efficiency_percent": "memory efficiency, loads %",
    "store_efficiency_percent": "memory efficiency, stores %",
    "shared_efficiency_percent": "memory efficiency, shared %",
}

LEGEND = (
    "x: times ESPNet's. Maps: the most memory that maps take at once, counted. ms: median of a pass at batch "
    "1 (quartiles; passes), the networks taken in turn. Images/s: at the best batch. Memory: the most in use "
    "at batch 1, with weights."
)


def tables(report: Report) -> RenderableType:
    """Format a report: a table for each setting, and one of the machine's meters if they were read."""
    parts: list[RenderableType] = [Text(report.machine, style="dim")]
    for setting, rows in groupby(report.rows, key=lambda row: row.setting):
        listed = list(rows)
        parts += [Text(f"\n{setting}", style="bold"), _figures(report, listed)]
        parts += [Text(f"{remark}: {', '.join(titles)}") for remark, titles in _remarks(listed).items()]
        if any(row.system for row in listed):
            parts += [Text(""), *_system(listed)]
    parts.append(Text(f"\n{LEGEND}", style="dim"))
    return Group(*parts)


def _figures(report: Report, rows: list[Row]) -> Table:
    table = _empty("network")
    sizes = ("parameters", RATIO, "file MB", "GMAC", RATIO, "maps MB", RATIO)
    for heading in (*sizes, "ms", "", RATIO, "batch", "images/s", RATIO, "memory MB"):
        aside = heading in ("", RATIO)
        table.add_column(heading, justify="right", no_wrap=True, style="dim" if aside else "")
    for row in rows:
        table.add_row(row.title, *_cells(flat_row(row, report.reference(row))))
    return table


def _cells(figures: dict[str, Value]) -> Iterator[str]:
    yield f"{figures['parameters']:,}"
    yield _three(figures["parameters_over_espnet"])
    yield _three(figures["file_bytes"], 1e6)
    yield _three(figures["macs"], 1e9)
    yield _three(figures["macs_over_espnet"])
    yield _three(figures["activation_bytes"], 1e6)
    yield _three(figures["activation_bytes_over_espnet"])
    yield _three(figures["latency_ms"])
    low, high = _three(figures["latency_ms_q1"]), _three(figures["latency_ms_q3"])
    yield f"({low} - {high}; {figures['latency_passes']})" if figures["latency_passes"] else ""
    yield _three(figures["latency_ms_over_espnet"])
    yield str(figures["best_batch"] or NONE)
    yield _three(figures["images_per_second"])
    yield _three(figures["images_per_second_over_espnet"])
    yield _three(figures["memory_bytes"], 1e6)


def _system(rows: list[Row]) -> list[RenderableType]:
    """Format the meters' readings; readings that are missing everywhere are reported once, below."""
    read = {row.title: row.system.readings() for row in rows if row.system is not None}
    there = [name for name in SYSTEM_HEADINGS if any(not isinstance(r[name], Missing) for r in read.values())]
    table = _empty("at the best batch")
    for name in there:
        table.add_column(SYSTEM_HEADINGS[name], justify="right")
    for title, readings in read.items():
        figures = [readings[name] for name in there]
        table.add_row(title, *(NONE if isinstance(r, Missing) else _three(r) for r in figures))
    missing = {why: names for readings in read.values() for why, names in lacking(readings).items()}
    lines = [
        Text(f"not available ({why}): {', '.join(SYSTEM_HEADINGS[name] for name in names)}")
        for why, names in missing.items()
    ]
    return [table, *lines]


def _remarks(rows: list[Row]) -> dict[str, list[str]]:
    """Group networks by their remarks."""
    gathered: dict[str, list[str]] = {}
    for row in rows:
        for remark in row.remarks:
            gathered.setdefault(remark, []).append(row.title)
    return gathered


def _empty(first: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    return table


def _three(value: Value, unit: float = 1) -> str:
    """Write a number in three figures, without an exponent.

    >>> _three(0.04567), _three(1.0), _three(12.34), _three(1234.5), _three(2.5e6, 1e6), _three(None)
    ('0.0457', '1.00', '12.3', '1234', '2.50', '-')
    """
    if not isinstance(value, int | float):
        return NONE
    number = value / unit
    decimals = 0 if number >= 100 else 1 if number >= 10 else 2
    return f"{number:.{decimals}f}" if number >= 1 else f"{number:.3g}"
