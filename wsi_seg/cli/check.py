"""`wsi-seg check`: find out whether QuPath will open a file, before QuPath does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from wsi_seg.outputs.check import CheckReport


def check(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="GeoJSON files, .geojson or .json, perhaps with .gz."),
    ],
    coverage: Annotated[
        bool,
        typer.Option("--coverage", help="Check also that shapes do not overlap and share their corners."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a file, one a line.")
    ] = False,
) -> None:
    """Check GeoJSON files against what QuPath reads.

    QuPath refuses a whole file for one fault, with little explanation. This names every fault, where it is
    and what to do about it. Warnings are things that QuPath opens, but not as meant.

    The exit code is 0 if QuPath will open every file and take all of it, else 1.

    Examples
    --------
        wsi-seg check out/slide/slide.geojson.gz

        wsi-seg check --coverage *.geojson

        wsi-seg check --json annotations.geojson | jq .faults
    """
    from wsi_seg.outputs.check import check_file

    sound = True
    for path in files:
        report = check_file(path, coverage)
        sound &= report.ok
        typer.echo(_as_json(report) if as_json else _as_text(report))
    if not sound:
        raise typer.Exit(1)


def _as_json(report: CheckReport) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(report) | {"path": str(report.path), "ok": report.ok})


def _as_text(report: CheckReport) -> str:
    warnings = sum(report.counts.values()) - report.errors
    verdict = "QuPath will open it" if report.ok else f"QuPath will not take it: {report.errors} faults"
    lines = [f"{report.path}: {verdict}" + (f", {warnings} warnings" if warnings else "")]
    for fault in report.faults:
        word = "warning" if fault.warning else "fault"
        lines.append(f"  {word}: {fault.where} {fault.what}: {fault.remedy}")
    for kind, count in report.counts.items():
        listed = sum(fault.kind == kind for fault in report.faults)
        if count > listed:
            lines.append(f"  and {count - listed} more like this: {kind}")
    holds = [f"{report.features} features, {report.polygons} polygons, {report.vertices} points"]
    holds += [f"{count} {name or 'without a class'}" for name, count in report.classes.items()]
    holds += [f"{report.cores} TMA core{'s' * (report.cores != 1)}"] if report.cores else []
    holds += [f"{report.without_area} without an area"] if report.without_area else []
    lines.append(f"  {'; '.join(holds)}")
    if report.recoloured:
        others = [f"{c.name} in {c.in_qupath}, not {c.in_file}" for c in report.recoloured]
        lines.append(f"  QuPath's own classes keep QuPath's colours: {'; '.join(others)}")
        lines.append(f"  to see the file's, run in QuPath's script editor: {report.script}")
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode()
