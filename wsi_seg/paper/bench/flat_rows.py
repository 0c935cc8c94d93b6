"""A row as flat figures, with units in their names, for JSON, CSV and tables."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from wsi_seg import __version__
from wsi_seg.files.csvlines import csv_line
from wsi_seg.files.document import versioned
from wsi_seg.paper.bench.missing import Missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsi_seg.paper.bench.bench_run import Report
    from wsi_seg.paper.bench.missing import Reading
    from wsi_seg.paper.bench.timing import Timed
    from wsi_seg.paper.bench.trial import Row

Value = str | int | float | None

RATIOS = (
    *("parameters", "file_bytes", "macs", "activation_bytes"),
    *("latency_ms", "images_per_second", "memory_bytes"),
)
"""Figures that are also given as a ratio to ESPNet's."""


def as_json(report: Report) -> str:
    """Write a whole report as a JSON document; null stands for figures that do not exist."""
    content = {
        "machine": report.machine,
        "wsi_seg": __version__,
        "limits": asdict(report.limits),
        "rows": _flat_rows(report),
    }
    return json.dumps(versioned(content), indent=1, allow_nan=False) + "\n"


def as_csv(report: Report) -> str:
    """Format a report as one line for each row, below a line of headings."""
    flat = _flat_rows(report)
    columns = list(dict.fromkeys(key for one in flat for key in one))
    rows = [[one.get(column) for column in columns] for one in flat]
    return csv_line(columns) + "".join(csv_line(row) for row in rows)


def _flat_rows(report: Report) -> list[dict[str, Value]]:
    return [flat_row(row, report.reference(row)) for row in report.rows]


def flat_row(row: Row, reference: Row | None) -> dict[str, Value]:
    """Flatten a row, and add its ratios to ESPNet's row."""
    flat = _own(row)
    theirs = {} if reference is None else _own(reference)
    return flat | {f"{name}_over_espnet": _ratio(flat[name], theirs.get(name)) for name in RATIOS}


def lacking(readings: Mapping[str, Reading]) -> dict[str, list[str]]:
    """Group the names of missing figures by the reason."""
    missing: dict[str, list[str]] = {}
    for name, reading in readings.items():
        if isinstance(reading, Missing):
            missing.setdefault(reading.why, []).append(name)
    return missing


def _own(row: Row) -> dict[str, Value]:
    readings: dict[str, Reading] = {"memory_bytes": row.memory, "best_memory_bytes": row.best_memory}
    readings |= {} if row.system is None else row.system.readings()
    return {
        "network": row.network,
        "title": row.title,
        "group": row.group,
        **asdict(row.setting),
        **asdict(row.cost),
        **_latency(row.single),
        **_throughput(row.best),
        **{name: None if isinstance(r, Missing) else _short(r) for name, r in readings.items()},
        "not_available": "; ".join(f"{why}: {', '.join(names)}" for why, names in lacking(readings).items()),
        "remarks": "; ".join(row.remarks),
    }


def _latency(single: Timed | None) -> dict[str, Value]:
    """Milliseconds at batch 1: median and quartiles."""
    seconds = None if single is None else single.seconds
    return {
        "latency_ms": None if seconds is None else _short(1000 * seconds.median),
        "latency_ms_q1": None if seconds is None else _short(1000 * seconds.low),
        "latency_ms_q3": None if seconds is None else _short(1000 * seconds.high),
        "latency_passes": None if seconds is None else seconds.count,
    }


def _throughput(best: Timed | None) -> dict[str, Value]:
    """Images a second at the best batch: median and quartiles."""
    return {
        "best_batch": None if best is None else best.batch,
        "images_per_second": None if best is None else _short(best.batch / best.seconds.median),
        "images_per_second_q1": None if best is None else _short(best.batch / best.seconds.high),
        "images_per_second_q3": None if best is None else _short(best.batch / best.seconds.low),
        "best_batch_passes": None if best is None else best.seconds.count,
    }


def _ratio(mine: Value, theirs: Value) -> Value:
    if isinstance(mine, int | float) and isinstance(theirs, int | float) and theirs > 0:
        return _short(mine / theirs)
    return None


def _short(value: float) -> float:
    """Round to five figures: more than was measured."""
    return float(f"{value:.5g}")
