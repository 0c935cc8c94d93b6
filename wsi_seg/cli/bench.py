"""`wsi-seg paper bench`: networks beside ESPNet, in size, cost and speed, on this machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from wsi_seg.cli import signals
from wsi_seg.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wsi_seg.inference.network.choice import Precision
    from wsi_seg.paper.bench.bench_run import Report
    from wsi_seg.paper.bench.bench_runner import Form

    Choice = TypeVar("Choice")

writing = partial(typer.Option, rich_help_panel="What is written", metavar="FILE")
running = partial(typer.Option, rich_help_panel="How it is measured")

WIDTH = 160
"""Columns of a table that goes to no terminal."""


def bench(
    networks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NETWORK|MODEL]",
            help="Names that --list has, model files, or built-in models. [default: the paper's comparison]",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        list[str] | None, running(metavar="WxH", help="Of the image; may be repeated. [default: 1024x512]")
    ] = None,
    device: Annotated[
        list[str] | None, running(help="auto, cpu, cuda or cuda:N; may be repeated. [default: auto]")
    ] = None,
    precision: Annotated[
        list[str] | None,
        running(help="float32, bfloat16 or float16; may be repeated. [default: float32]"),
    ] = None,
    form: Annotated[
        list[str] | None,
        running(
            help="plain: the network alone, as it is written; predict: pixels to classes, as `predict` "
            "runs it; may be repeated. [default: plain]"
        ),
    ] = None,
    repeats: Annotated[int, running(min=1, help="Passes that are counted, in a round, at most.")] = 20,
    rounds: Annotated[
        int, running(min=1, help="How many times all networks are timed, one after the other.")
    ] = 3,
    seconds: Annotated[
        float, running(min=0, help="For each network at each setting; a pass a round always is made.")
    ] = 10.0,
    system: Annotated[
        bool,
        running("--system", help="Read the machine's meters too: power, utilisation, Nsight Compute."),
    ] = False,
    json_path: Annotated[Path | None, writing("--json", help="Write everything as JSON.")] = None,
    csv_path: Annotated[Path | None, writing("--csv", help="Write one line a network and setting.")] = None,
    plot: Annotated[Path | None, writing(help="Draw throughput against parameters (PNG).")] = None,
    list_only: Annotated[bool, typer.Option("--list", help="List the networks that have names.")] = False,
    quiet: Annotated[bool, running("--quiet", "-q", help="Show nothing but errors and the tables.")] = False,
) -> None:
    """Measure networks beside ESPNet: size, multiply-accumulates, memory, latency, throughput.

    ESPNet is always measured too: every figure has its ratio to ESPNet's beside it. Networks that are named
    have random weights; those of a model file can be slower on a CPU, if some are subnormal numbers.

    Examples
    --------
        wsi-seg paper bench

        wsi-seg paper bench espnet-c enet my-model.safetensors --size 512x512 --size 2048x1024

        wsi-seg paper bench --device cuda --precision float32 --precision float16 --system --json bench.json
    """
    if list_only:
        _list()
        return
    from wsi_seg.files.files import check_writable
    from wsi_seg.paper.bench.bench_run import Bench, BenchRequest
    from wsi_seg.paper.bench.timing import Limits

    if plot is not None:
        _check_plot(plot)
    comparison = Bench(
        BenchRequest(
            networks=tuple(networks or ()),
            sizes=tuple(_size(text) for text in size or ["1024x512"]),
            devices=_devices(device or ["auto"]),
            precisions=_precisions(precision or ["float32"]),
            forms=_forms(form or ["plain"]),
            limits=Limits(repeats, seconds, rounds),
            system=system,
        )
    )
    for path in filter(None, (json_path, csv_path, plot)):
        check_writable(path)
    signals.working("what follows was measured before")
    try:
        comparison.run(_ignore if quiet else partial(say, err=True))
    except KeyboardInterrupt:
        _write(comparison.report, json_path, csv_path, plot)
        raise
    _write(comparison.report, json_path, csv_path, plot)


def _write(report: Report, json_path: Path | None, csv_path: Path | None, plot: Path | None) -> None:
    """Print the tables, and write what was asked for."""
    from rich.console import Console

    from wsi_seg.files.files import write_text
    from wsi_seg.paper.bench.bench_tables import tables
    from wsi_seg.paper.bench.flat_rows import as_csv, as_json

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(tables(report))
    if json_path is not None:
        write_text(json_path, as_json(report))
    if csv_path is not None:
        write_text(csv_path, as_csv(report))
    if plot is not None:
        from wsi_seg.charts import save_chart
        from wsi_seg.paper.bench.plot import draw_throughput

        save_chart(draw_throughput(report), plot)


def _ignore(_: str) -> None:
    """Tell of nothing."""


def _list() -> None:
    from wsi_seg.paper.bench.catalogue import CATALOGUE, PAPER

    width = max(len(entry.name) for entry in CATALOGUE)
    for entry in CATALOGUE:
        mark = "" if entry.name in PAPER else " (not in the paper's comparison)"
        shape = f"{entry.architecture.config.title}, {entry.architecture.config.shape}"
        say(f"{entry.name:<{width}}  {shape}{mark}")


def _size(text: str) -> tuple[int, int]:
    from wsi_seg.errors import UsageError

    width, _, height = text.lower().partition("x")
    if not all(side.isascii() and side.isdigit() and int(side) > 0 for side in (width, height)):
        raise UsageError(f"--size {text} is no size: give width and height in pixels, as 1024x512")
    return int(width), int(height)


def _devices(names: list[str]) -> tuple[str, ...]:
    from wsi_seg.inference.network.devices import choose_device

    return tuple(dict.fromkeys(str(choose_device(name)) for name in names))


def _precisions(names: list[str]) -> tuple[Precision, ...]:
    from wsi_seg.paper.bench.bench_runner import PRECISIONS

    return tuple(_chosen("--precision", name, PRECISIONS) for name in names)


def _forms(names: list[str]) -> tuple[Form, ...]:
    from wsi_seg.paper.bench.bench_runner import FORMS

    return tuple(_chosen("--form", name, FORMS) for name in names)


def _chosen(option: str, name: str, choices: Mapping[str, Choice]) -> Choice:
    from wsi_seg.errors import UsageError

    if name not in choices:
        raise UsageError(f"{option} {name}: use {', '.join(choices)}")
    return choices[name]


def _check_plot(path: Path) -> None:
    from importlib import import_module

    from wsi_seg.errors import UsageError
    from wsi_seg.packages import ImportFault

    try:
        import_module("wsi_seg.paper.bench.plot")  # now, and not once all is measured
    except Exception as error:  # a broken installation may raise anything
        fault = ImportFault.of(error, "bench")
        raise UsageError(f"--plot needs {fault.package}, which {fault.says}") from error
    if path.suffix.lower() != ".png":
        raise UsageError(f"--plot {path}: pictures are PNG files: end its name in .png")
