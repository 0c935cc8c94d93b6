"""The page on files written names every field that is written."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers.pages import ROOT

from wsi_seg.data.cut_tiles import TilesAbout, TilingSettings
from wsi_seg.exports import geoparquet, stated_of_run
from wsi_seg.inference.stream.ledger import LedgerEntry
from wsi_seg.measures import measure_table
from wsi_seg.measures.measure_settings import MeasureSettings
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.remembered import RememberedDyes, RememberedStain, RememberedTissue, Spread
from wsi_seg.predict.batch import BatchSummary, NoResult, Outcome
from wsi_seg.predict.report.batch_table import COLUMNS
from wsi_seg.predict.report.reported_slide import State
from wsi_seg.results import summary
from wsi_seg.results.familiarity import Familiarity
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.labels.seals import Seal
from wsi_seg.results.polygons import geojson_writer
from wsi_seg.results.qupath.faults import Fault
from wsi_seg.results.qupath.geojson_check import CheckReport
from wsi_seg.results.record import RegionTotals, RunRecord
from wsi_seg.results.whole import Wholeness
from wsi_seg.slides.coarse import MaskSeal
from wsi_seg.slides.frames import Bounds, Frames
from wsi_seg.slides.levels import LevelRead
from wsi_seg.training.report.contents import HistoryRow

MANY = "report.html and summary.csv of many slides"
HIDDEN = "What the hidden folder holds"
CHECKED = "info, check and models show with --json"


def sections() -> dict[str, str]:
    """Return the text of each section by its heading."""
    found: dict[str, str] = {}
    heading = ""
    for line in (ROOT / "docs" / "files.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        found[heading] = found.get(heading, "") + line + "\n"
    return found


def names_of(stored: Any) -> set[str]:
    if is_dataclass(stored):
        return {field.name for field in fields(stored)}
    return set(stored.model_fields)


@pytest.mark.parametrize(
    ("section", "stored"),
    [
        ("summary.json", summary.Summary),
        ("summary.json", summary.ClassSummary),
        ("summary.json", summary.Tolerance),
        ("summary.json", LevelRead),
        ("summary.json", Familiarity),
        ("slide.ome.zarr", Frames),
        ("slide.ome.zarr", Bounds),
        ("slide.ome.zarr", Seal),
        (HIDDEN, RunRecord),
        (HIDDEN, RegionTotals),
        (HIDDEN, MaskSeal),
        (HIDDEN, LedgerEntry),
        ("batch.json", BatchSummary),
        ("batch.json", Outcome),
        ("A training", HistoryRow),
        ("model.safetensors", ModelHeader),
        ("model.safetensors", InputSpec),
        ("model.safetensors", RememberedTissue),
        ("model.safetensors", RememberedDyes),
        ("model.safetensors", RememberedStain),
        ("model.safetensors", Spread),
        ("Class schemas", ClassSchema),
        ("Class schemas", TissueClass),
        ("Tiles", TilesAbout),
        ("Tiles", TilingSettings),
        (CHECKED, CheckReport),
        (CHECKED, Fault),
        (CHECKED, Wholeness),
    ],
    ids=lambda given: given if isinstance(given, str) else given.__name__,
)
def test_every_field_is_described(section: str, stored: Any) -> None:
    described = set(re.findall(r"`([^`]+)`", sections()[section]))
    assert names_of(stored) - described == set()


def test_every_column_is_described() -> None:
    described = sections()
    for header, section in (
        (geojson_writer.CSV_HEADER, "slide.geojson.gz"),
        (summary.CSV_HEADER, "summary.json"),
        (measure_table.columns(MeasureSettings("Tumour")), "measures.csv"),
        (measure_table.boundary_columns(), "measures.csv"),
        (geoparquet.COLUMNS, "slide.parquet"),
        (tuple(stated_of_run.Stated.__annotations__), "What exported files state"),
        (COLUMNS, MANY),
    ):
        assert set(header) - set(re.findall(r"`([^`]+)`", described[section])) == set()


def test_every_status_is_described() -> None:
    described = sections()
    assert [s for s in summary.Status if f"`{s}`" not in described["summary.json"]] == []
    assert [s for s in NoResult if f"`{s}`" not in described["batch.json"]] == []
    assert [s for s in State if f"`{s}`" not in described[MANY]] == []


def test_every_file_of_a_result_is_described(tmp_path: Path) -> None:
    described = sections()["A result folder"] + sections()[HIDDEN]
    result = ResultFolder(tmp_path)
    shown = [*result.documents, result.zarr, result.geojson(True), result.roi, result.mark]
    assert [path.name for path in [*shown, result.record_path] if path.name not in described] == []
