"""`wsi-seg check`: check that QuPath will open a file, and that results are complete and unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsi_seg.cli.terminal import say_lines
from wsi_seg.errors import printable
from wsi_seg.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wsi_seg.results.qupath.geojson_check import CheckReport


def check(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE|RESULT...",
            help="GeoJSON files (.geojson or .json, also with .gz), or results: folders written by `wsi-seg "
            "predict`, a folder of such folders, or slide.ome.zarr.",
            show_default=False,
        ),
    ],
    coverage: Annotated[
        bool,
        typer.Option(
            "--coverage", help="Check also that the shapes in a file do not overlap and share their corners."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each file or result.")
    ] = False,
) -> None:
    """Check GeoJSON files against what QuPath reads, and results for damage.

    QuPath refuses a whole file for one fault, with little explanation. This command reports every fault, its
    place and the remedy. A warning marks something that QuPath opens, but not as intended.

    A result is complete if each of its files exists and is unchanged since it was written.

    The exit code is 0 if QuPath will open every file completely, and every result is complete, else 1.

    Examples
    --------
        wsi-seg check out/slide/slide.geojson.gz

        wsi-seg check --coverage *.geojson

        wsi-seg check results/

        wsi-seg check --json annotations.geojson | jq .faults
    """
    sound = True
    for path in files:
        if path.is_dir():
            for ok, said in _results(path, as_json):
                sound &= ok
                say_lines(said)
        else:
            ok, said = _file(path, coverage, as_json)
            sound &= ok
            say_lines(said)
    if not sound:
        raise typer.Exit(1)


def _results(path: Path, json: bool) -> Iterator[tuple[bool, str]]:
    from wsi_seg.cli.check_result import as_json, as_text, check_folder

    for found in check_folder(path):
        yield found.ok, as_json(found) if json else as_text(found)


def _file(path: Path, coverage: bool, json: bool) -> tuple[bool, str]:
    from wsi_seg.api.checking import check_geojson

    report = check_geojson(path, coverage=coverage)
    return report.ok, _as_json(report) if json else _as_text(report)


def _as_json(report: CheckReport) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(report) | {"path": str(report.path), "ok": report.ok})


def _as_text(report: CheckReport) -> str:
    warnings = sum(report.counts.values()) - report.errors
    refused = f"QuPath will not open it: {counted(report.errors, 'faults')}"
    verdict = "QuPath will open it" if report.ok else refused
    lines = [f"{report.path}: {verdict}" + (f", {counted(warnings, 'warnings')}" if warnings else "")]
    for fault in report.faults:
        word = "warning" if fault.warning else "fault"
        lines.append(f"  {word}: {fault.where} {fault.what}: {fault.remedy}")
    for kind, count in report.counts.items():
        listed = sum(fault.kind == kind for fault in report.faults)
        if count > listed:
            lines.append(f"  and {count - listed} more like this: {kind}")
    counts = {"features": report.features, "polygons": report.polygons, "points": report.vertices}
    holds = [", ".join(counted(count, what) for what, count in counts.items())]
    holds += [f"{count} {name or 'without a class'}" for name, count in report.classes.items()]
    holds += [f"{report.cores} TMA core{'s' * (report.cores != 1)}"] if report.cores else []
    holds += [f"{report.without_area} without an area"] if report.without_area else []
    if report.measured:
        holds.append(f"{counted(report.measured, 'detections')} without a class, which training leaves out")
    if report.repeated:
        holds.append(f"{counted(report.repeated, 'areas')} drawn again, which training leaves out")
    lines.append(f"  {'; '.join(holds)}")
    if report.recoloured:
        others = [f"{c.name} in {c.in_qupath}, not {c.in_file}" for c in report.recoloured]
        lines.append(f"  QuPath's own classes keep QuPath's colours: {'; '.join(others)}")
        lines.append(f"  to see the file's colours, run in QuPath's script editor: {report.script}")
    return "\n".join(map(printable, lines))
