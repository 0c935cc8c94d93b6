"""The tables of `claim.py`, from its rows."""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

HEAD = [
    "network",
    "seeds",
    "mIoU",
    "pixel accuracy",
    "parameters",
    "GMAC",
    "x ESP, inference",
    "CPU s",
]

TITLES = {
    "blocks": "Blocks under equal limits",
    "whole": "Whole networks",
    "ablations": "Ablations",
}

SETS = {
    "streets": "CamVid at 480 x 360: 74 training images, scored on the 101 validation images",
    "tissue": "annotated breast tissue, scored on the blocks that the training keeps out (another split for "
    "each seed)",
    "generated": "generated tissue, 8 classes, scored on other slides in stains not seen",
}


def write_tables(rows: list[dict[str, Any]], path: Path) -> None:
    """Write a table for each part of the plan, set and number of steps that has rows."""
    text = [
        "# claim",
        "",
        f"Made by `benchmarks/claim.py`, which has trained {len(rows)} networks so far; each row's command "
        "and log are beside it.",
        "",
    ]
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["table"], row["data"], row["steps"]].append(row)
    for (table, data, steps), inside in sorted(groups.items()):
        text += [f"## {TITLES[table]}: {SETS[data]}", "", f"{steps} steps.", "", *one_table(inside), ""]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(text))


def one_table(rows: list[dict[str, Any]]) -> list[str]:
    """Return a table with a line for each network, the most accurate with its first seed first.

    Seeds stand side by side and are not averaged: networks have different ones so far, and on annotated
    tissue each is another split.
    """
    by_network: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_network[row["network"]].append(row)
    lines = [line(HEAD), line(["--"] * len(HEAD))]
    for runs in by_network.values():
        runs.sort(key=lambda run: int(run["seed"]))
    for name, runs in sorted(by_network.items(), key=lambda item: -float(item[1][0]["mean_iou"])):
        cells = [
            name,
            ", ".join(str(run["seed"]) for run in runs),
            each(runs, "mean_iou"),
            each(runs, "pixel_accuracy"),
            f"{runs[0]['parameters']:,}",
            f"{runs[0]['gmac']:.2f}",
            f"{mean(runs, 'times_esp'):.2f}",
            f"{mean(runs, 'train_cpu_s'):.0f}",
        ]
        lines.append(line(cells))
    return lines


def each(runs: list[dict[str, Any]], name: str) -> str:
    return " / ".join(f"{run[name]:.3f}" for run in runs)


def mean(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.fmean(run[name] for run in runs)


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
