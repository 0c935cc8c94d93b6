"""Tables on disk: tidy, safe in spreadsheets, with what they were made from."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import SCHEMA
from helpers.drawn import write_boxes
from helpers.written_results import write_labels

from wsi_seg.errors import UsageError
from wsi_seg.measures.measure_results import Measured, measure_results
from wsi_seg.measures.measure_settings import MeasureSettings
from wsi_seg.measures.measure_table import boundary_columns, columns
from wsi_seg.measures.write_measures import check_tables, write_tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def measured(folder: Path) -> Measured:
    classes = [c.model_copy(update={"name": "=1+1"}) if c.id == 2 else c for c in SCHEMA.classes]
    schema = SCHEMA.model_copy(update={"classes": tuple(classes)})
    labels = np.ones((70, 90), dtype=np.uint8)
    labels[10:30, 10:30] = 2
    labels[:, 60:] = 0
    case = write_labels(folder / "case", labels, schema)
    regions = write_boxes(folder / "drawn.geojson", ("A", (0, 0, 80, 80)), ("B", (100, 20, 140, 60)))
    return measure_results([(case, regions)], MeasureSettings("=1+1", (0.0, 4.0)))


def test_there_is_a_row_for_each_region_and_class(measured: Measured, tmp_path: Path) -> None:
    table = tmp_path / "new" / "table.csv"
    beside = write_tables(measured, table)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert tuple(rows[0]) == columns(measured.settings)
    assert [(r["region"], r["region_class"], r["class"]) for r in rows] == [
        (number, name, found)
        for number, name in (("1", "A"), ("2", "B"))
        for found in ("Glass", "Stroma", "'=1+1")
    ]
    assert [r["mm2"] for r in rows[:3]] == ["0", "0.0048", "0.0016"]
    assert rows[2]["share"] == "0.25"
    assert {r["share"] for r in rows if r["class"] == "Glass"} == {""}
    assert {(r["distance_to"], r["model"], r["model_fingerprint"]) for r in rows} == {
        ("'=1+1", "a-model", "abc123")
    }
    assert rows[2]["mm2_0_4_um"] == "0.000576"

    assert beside == tmp_path / "new" / "table-boundaries.csv"
    borders = list(csv.DictReader(beside.read_text().splitlines()))
    assert tuple(borders[0]) == boundary_columns()
    assert len(borders) == 2 * 9
    known = [b for b in borders if float(b["boundary_um"])]
    assert [(b["region"], b["class"], b["other"]) for b in known] == [
        ("1", "Stroma", "'=1+1"),
        ("2", "Glass", "Stroma"),
    ]
    assert known[0]["boundary_um"] == rows[2]["perimeter_um"]


def test_parquet_has_numbers_as_numbers(measured: Measured, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install '.[geo]'")
    table = tmp_path / "table.parquet"
    beside = write_tables(measured, table)
    read = parquet.read_table(table)
    assert tuple(read.column_names) == columns(measured.settings)
    rows = read.to_pylist()
    assert [(r["region"], r["class"]) for r in rows[:3]] == [(1, "Glass"), (1, "Stroma"), (1, "=1+1")]
    assert rows[0]["share"] is None
    assert rows[2]["mm2"] == pytest.approx(0.0016)
    assert len(parquet.read_table(beside)) == 2 * 9
    made = json.loads(read.schema.metadata[b"wsi_seg"])
    assert made["bands_um"] == [0, 4]
    assert made["results"][0]["model_fingerprint"] == "abc123"


def test_without_pyarrow_a_line_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        UsageError, match=r"needs pyarrow, which is not installed: pip install 'wsi-seg\[geo\]'"
    ):
        check_tables(tmp_path / "table.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_table_goes_nowhere_else(folder: Path, measured: Measured, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.csv or \.parquet"):
        check_tables(tmp_path / "table.xlsx")
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        check_tables(tmp_path / "a.csv")
    with pytest.raises(UsageError, match=r"summary\.csv: is a result's own"):
        write_tables(measured, folder / "case" / "summary.csv")
    assert not (folder / "case" / "summary.csv").exists()
