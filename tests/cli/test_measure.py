"""`wsi-seg measure`: tables of results, and a copy of the regions for QuPath."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers.drawn import write_boxes
from helpers.program import Program
from helpers.written_results import write_labels

import wsi_seg as ws


def test_a_result_is_measured_as_its_summary_has_it(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    predict(slide_path)
    result, table = tmp_path / "results" / "tissue", tmp_path / "table.csv"
    ended = run("measure", result, "-o", table, "-q")
    assert (ended.code, ended.err, ended.out) == (0, "", "")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    summary = json.loads((result / "summary.json").read_text())
    assert [r["class"] for r in rows] == [c["name"] for c in summary["classes"]]
    mm2 = [c["mm2"] for c in summary["classes"]]
    assert [float(r["mm2"]) for r in rows] == pytest.approx(mm2, abs=1e-6)
    assert [r["share"] for r in rows] == [
        "" if c["share"] is None else f"{c['share']:.9g}" for c in summary["classes"]
    ]
    assert {r["model_fingerprint"] for r in rows} == {summary["model_fingerprint"]}
    opened = ws.open_result(result)
    shapes = opened.polygons(min_area_um2=0, simplify_um=0, include_background=True)
    count = Counter(shape.class_name for shape in shapes)
    assert [int(r["components"]) for r in rows] == [count[r["class"]] for r in rows]
    measures = ws.measure(opened)
    assert [row["mm2"] for row in measures.rows] == pytest.approx([float(r["mm2"]) for r in rows])
    again = measures.save(tmp_path / "again.csv").read_text()
    assert again == table.read_text()


@pytest.fixture
def case(tmp_path: Path) -> Path:
    labels = np.ones((70, 90), dtype=np.uint8)
    labels[10:30, 10:30] = 2
    return write_labels(tmp_path / "results" / "case", labels)


def test_several_results_have_a_region_file_each(case: Path, run: Program, tmp_path: Path) -> None:
    other = write_labels(tmp_path / "results" / "other", np.ones((40, 40), dtype=np.uint8))
    files = [write_boxes(tmp_path / f"{n}.geojson", ("A", (0, 0, 20 * n, 20))) for n in (1, 2)]
    table = tmp_path / "table.csv"
    ended = run("measure", case, other, "--regions", files[0], "--regions", files[1], "-o", table)
    assert (ended.code, "2 results, 2 regions" in ended.out) == (0, True)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(r["slide"], r["regions"], r["region_mm2"]) for r in rows[::3]] == [
        ("case.svs", "1.geojson", "0.0004"),
        ("other.svs", "2.geojson", "0.0008"),
    ]
    ended = run("measure", case, other, "--regions", files[0], "-o", table)
    assert (ended.code, "1 file of regions for 2 results: give --regions once for each" in ended.line) == (
        2,
        True,
    )


def test_a_copy_for_qupath_is_written(case: Path, run: Program, tmp_path: Path) -> None:
    regions = write_boxes(tmp_path / "drawn.geojson", ("A", (0, 0, 80, 80)))
    copy = tmp_path / "measured.geojson"
    asked = ("--distance-to", "tumour", "--bands", "0,4", "--geojson", copy)
    ended = run("measure", case, "--regions", regions, *asked, "-o", tmp_path / "table.csv")
    assert (ended.code, f"{copy}: open it in QuPath" in ended.out) == (0, True)
    (one,) = json.loads(copy.read_text())["features"]
    assert one["properties"]["measurements"]["Tumour %, 0-4 µm from Tumour"] == pytest.approx(36)
    assert run("check", copy).code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--bands", "0,near"), "--bands 0,near: give numbers with commas between them"),
        (("--bands", "5"), "--bands 5: give 2 to 100 ends"),
        (
            ("--bands", "0,50"),
            "--bands 0,50: has no effect without --distance-to: give both, or leave it out",
        ),
        (("--distance-to", "Fat"), "has no class 'Fat'"),
        (("--geojson", "copy.geojson"), "--geojson copies the file of --regions, of which none is given"),
        (("-o", "table.txt"), "must end in .csv or .parquet"),
    ],
)
def test_a_wrong_option_is_one_line(
    case: Path,
    run: Program,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run("measure", case, *options)
    assert (ended.code, said in ended.line) == (2, True)
    assert list(tmp_path.glob("*.csv")) == []


def test_python_takes_what_the_command_takes(case: Path, tmp_path: Path) -> None:
    regions = write_boxes(tmp_path / "drawn.geojson", ("A", (0, 0, 80, 80)), ("B", (0, 0, 20, 20)))
    measures = ws.measure([case], [regions], distance_to="Tumour", bands_um=(0, 4))
    assert len(measures.rows) == 2 * 3
    assert measures.rows[2]["share_0_4_um"] == pytest.approx(0.36)
    assert len(measures.boundaries) == 2 * 9
    assert measures.to_geojson(tmp_path / "copy.geojson").is_file()
    assert repr(measures) == "<wsi_seg measures: 6 rows>"
    for wrong, said in (
        ({"bands_um": 5}, "bands_um=5: give the ends of bands"),
        ({"bands_um": (0, "near")}, "bands_um='near': not a number"),
        ({"bands_um": (0, 50)}, r"bands_um=\(0, 50\): has no effect without distance_to"),
        ({"distance_to": 3}, "distance_to=3"),
        ({"progress": print}, "progress="),
    ):
        with pytest.raises(ws.WsiSegError, match=said):
            ws.measure(case, **wrong)
    with pytest.raises(ws.WsiSegError, match="results=3: give a path, or several"):
        ws.measure(3)  # type: ignore[arg-type]


def test_a_folder_has_a_file_for_each_result_by_its_name(case: Path, run: Program, tmp_path: Path) -> None:
    other = write_labels(tmp_path / "results" / "other", np.ones((40, 40), dtype=np.uint8))
    folder, table = tmp_path / "outlines", tmp_path / "table.csv"
    folder.mkdir()
    for number, name in ((2, "other.geojson"), (1, "case.json")):
        write_boxes(folder / name, ("A", (0, 0, 20 * number, 20)))
    assert run("measure", case, other / "slide.ome.zarr", "--regions", folder, "-o", table).code == 0
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(r["slide"], r["regions"]) for r in rows[::3]] == [
        ("case.svs", "case.json"),
        ("other.svs", "other.geojson"),
    ]
    write_boxes(folder / "case.geojson", ("A", (0, 0, 20, 20)))
    ended = run("measure", case, "--regions", folder, "-o", table)
    assert (ended.code, "both are named after the result" in ended.line) == (2, True)
    (folder / "other.geojson").unlink()
    ended = run("measure", other, "--regions", folder, "-o", table)
    assert (ended.code, "name its regions other.geojson" in ended.line) == (2, True)
