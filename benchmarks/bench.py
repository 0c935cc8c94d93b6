"""Puts several runs of `wsi-seg paper bench --json` into one result: a run of all settings takes long.

    python benchmarks/bench.py RUN.json... [--note TEXT]

Writes results/bench.md, bench.json and bench.csv; the picture is a run's own (`wsi-seg paper bench --plot`).
"""

from __future__ import annotations

import argparse
import csv
import json
from itertools import groupby
from pathlib import Path
from typing import Any

from machine import RESULTS

HEADINGS = [
    *(
        "network",
        "parameters",
        "x",
        "file MB",
        "GMAC",
        "x",
        "maps MB",
        "ms at batch 1 (quartiles; passes)",
        "x",
    ),
    *("best batch", "images/s", "x", "memory MB"),
]
NOTES = """x: times ESPNet's (p = 2, q = 8) in the same run. Maps: the most memory that maps take at once,
counted. ms: median of a pass, the networks taken in turn. Images/s: at the best batch. Memory: the most in
use at batch 1, with weights. ESPNet-A, -B and -C have p = 2 and q = 3."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--note", default="", help="What else is to be known of the runs.")
    args = parser.parse_args()
    runs = [json.loads(path.read_text()) for path in args.runs]
    rows = [row for run in runs for row in run["rows"]]
    (machine,) = {run["machine"] for run in runs}
    (RESULTS / "bench.json").write_text(json.dumps({"note": args.note, "runs": runs}, indent=1) + "\n")
    with (RESULTS / "bench.csv").open("w", newline="") as file:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    parts = [f"# bench\n\nMachine: {machine}", *filter(None, [args.note]), NOTES, "![](bench.png)"]
    parts += [f"## {setting}\n\n{table(list(members))}" for setting, members in groupby(rows, key=in_words)]
    (RESULTS / "bench.md").write_text("\n\n".join(parts) + "\n")


def in_words(row: dict[str, Any]) -> str:
    form = "network alone" if row["form"] == "plain" else "as predict runs it"
    return f"{row['width']} x {row['height']}, {row['device']}, {row['precision']}, {form}"


def table(rows: list[dict[str, Any]]) -> str:
    lines = [line(HEADINGS), line(["--"] * len(HEADINGS)), *(line(cells(row)) for row in rows)]
    said: dict[str, list[str]] = {}
    for row in rows:
        for remark in filter(None, row["remarks"].split("; ")):
            said.setdefault(remark, []).append(row["title"])
    notes = [f"- {remark}: {', '.join(titles)}" for remark, titles in said.items()]
    return "\n".join([*lines, "", *notes]).rstrip()


def cells(row: dict[str, Any]) -> list[str]:
    latency = "-"
    if row["latency_ms"] is not None:
        spread = f"{three(row['latency_ms_q1'])} - {three(row['latency_ms_q3'])}"
        latency = f"{three(row['latency_ms'])} ({spread}; {row['latency_passes']})"
    return [
        row["title"],
        f"{row['parameters']:,}",
        three(row["parameters_over_espnet"]),
        three(row["file_bytes"], 1e6),
        three(row["macs"], 1e9),
        three(row["macs_over_espnet"]),
        three(row["activation_bytes"], 1e6),
        latency,
        three(row["latency_ms_over_espnet"]),
        str(row["best_batch"] or "-"),
        three(row["images_per_second"]),
        three(row["images_per_second_over_espnet"]),
        three(row["memory_bytes"], 1e6),
    ]


def three(value: float | None, unit: float = 1) -> str:
    if value is None:
        return "-"
    value /= unit
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def line(values: list[str]) -> str:
    return f"| {' | '.join(values)} |"


if __name__ == "__main__":
    main()
