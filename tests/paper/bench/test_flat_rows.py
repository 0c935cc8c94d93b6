"""A report as JSON, as CSV and as tables."""

from __future__ import annotations

import csv
import io
import json

import pytest
from helpers.reports import make_report
from rich.console import Console

from wsi_seg.paper.bench.bench_tables import tables
from wsi_seg.paper.bench.flat_rows import as_csv, as_json


def test_json_holds_every_figure_and_its_ratio_to_espnet() -> None:
    document = json.loads(as_json(make_report()))
    espnet, pspnet, vast = document["rows"][:3]
    assert (espnet["latency_ms"], espnet["latency_ms_q1"], espnet["latency_ms_q3"]) == (125, 100, 200)
    assert (espnet["best_batch"], espnet["images_per_second"]) == (4, 16)
    # The quartile of slow passes is the one of few images.
    assert (espnet["images_per_second_q1"], espnet["images_per_second_q3"]) == (8, 20)
    assert espnet["parameters_over_espnet"] == 1
    assert pspnet["latency_ms_over_espnet"] == 22
    assert pspnet["parameters_over_espnet"] == pytest.approx(65_700_000 / 364_569, rel=1e-4)
    assert pspnet["images_per_second_over_espnet"] == pytest.approx(1 / 2.75 / 16, rel=1e-4)
    assert pspnet["memory_bytes"] is None
    assert "this system does not tell: memory_bytes" in pspnet["not_available"]
    assert (vast["latency_ms"], vast["latency_ms_over_espnet"]) == (None, None)
    assert document["limits"] == {"repeats": 5, "seconds": 10, "rounds": 3}


def test_csv_has_a_line_a_row_with_all_columns() -> None:
    report = make_report()
    read = list(csv.DictReader(io.StringIO(as_csv(report))))
    assert len(read) == len(report.rows)
    assert read[0]["cpu_power_w"] == "12.5"
    assert read[1]["cpu_power_w"] == read[3]["cpu_power_w"] == ""
    assert read[1]["remarks"] == "batch 2 not tried: time was up"
    assert {"width": "512", "height": "512", "precision": "bfloat16", "form": "predict"}.items() <= read[
        3
    ].items()


def show(width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False, markup=False)
    console.print(tables(make_report()))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_tables_tell_all_of_it() -> None:
    text = show(180)
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert "PSPNet-101" in lines
    first = next(line for line in text.splitlines() if line.startswith("PSPNet-101"))
    assert first.split() == [
        *("PSPNet-101", "65,700,000", "180", "263", "514", "54.6", "422", "2.00"),
        *("2750", "(2750", "-", "2750;", "1)", "22.0", "1", "0.364", "0.0227", "-"),
    ]
    for said in (
        "A machine",
        "1024 x 512, cpu, float32, network alone",
        "512 x 512, cpu, bfloat16, as predict runs it",
        "batch 2 not tried: time was up: PSPNet-101",
        "out of memory at one image: Vast",
        "not available (ncu is not there): warp execution efficiency %, memory efficiency, loads %",
    ):
        assert said in text


def test_what_the_machine_has_for_some_is_a_column_and_else_a_line() -> None:
    text = show(180)
    assert text.count("CPU W") == 2  # a heading, and among what one network lacks
    assert text.count("GPU busy %") == 1
    assert "97.2" in text
