"""`wsi-seg export`: the polygons of a result, in other ways, and what the result says of them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.program import Program
from helpers.written_results import write_labels

from wsi_seg.results.folder import ResultFolder


def test_an_export_is_as_the_results_own_polygons_unless_asked_otherwise(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    asked = ("--min-area", 4000, "--simplify", 8, "--include-background", "--object-type", "detection")
    predict(slide_path, *asked, "--no-gzip")
    result = tmp_path / "results" / "tissue"
    own = (result / "slide.geojson").read_bytes()
    moved = (result / "summary.json").rename(tmp_path / "summary.json")  # then the record has it
    assert run("export", result, "-o", tmp_path / "a.geojson").code == 0
    assert (tmp_path / "a.geojson").read_bytes() == own
    moved.rename(result / "summary.json")
    ended = run("export", result)
    assert (ended.code, "islands from 4000 um2" in ended.out) == (0, True)
    assert (result / "slide.geojson").read_bytes() == own
    assert run("export", result, "-o", tmp_path / "a.geojson").code == 0
    assert (tmp_path / "a.geojson").read_bytes() == own
    assert run("export", result, "--no-include-background", "-o", tmp_path / "a.geojson").code == 0
    assert (tmp_path / "a.geojson").read_bytes() != own


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("", (), "is a folder: name a file, such as"),
        ("a.txt", (), "not a name for polygons in this format: QuPath reads .geojson and .geojson.gz"),
        ("a.geojson", ("--format", "csv"), "not a name for polygons in this format: it must end in .csv"),
    ],
)
def test_an_export_is_called_what_it_is(
    predict: Program,
    run: Program,
    slide_path: Path,
    tmp_path: Path,
    name: str,
    options: tuple[str, ...],
    words: str,
) -> None:
    predict(slide_path)
    (tmp_path / "new").mkdir()
    ended = run("export", tmp_path / "results" / "tissue", "-o", tmp_path / "new" / name, *options)
    assert (ended.code, words in ended.line) == (2, True)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--format", "csv", "--gzip"), "--gzip: has no effect on --format csv: leave it out"),
        (
            ("--format", "csv", "--no-gzip", "--object-type", "detection"),
            "--object-type, --no-gzip: has no effect on --format csv: leave it out",
        ),
        (("--format", "shp"), "--format shp: use geojson"),
        (("--simplify", "-1"), "--simplify: "),
    ],
)
def test_an_option_without_effect_and_an_unknown_format_are_refused(
    run: Program, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    ended = run("export", tmp_path / "nothing", *options)
    assert (ended.code, words in ended.line) == (2, True)


def test_an_unfinished_result_is_not_exported(run: Program, tmp_path: Path) -> None:
    (tmp_path / "half" / ".wsi-seg").mkdir(parents=True)
    ended = run("export", tmp_path / "half")
    assert (ended.code, "half: not finished: run `wsi-seg predict` again" in ended.line) == (1, True)


def test_polygons_that_keep_more_corners_are_counted(run: Program, tmp_path: Path) -> None:
    labels = np.ones((300, 300), dtype=np.uint8)
    labels[1, 1:100] = labels[2:90, 1:100:2] = 2
    result = write_labels(tmp_path / "comb", labels)
    out = ("--min-area", 0, "--simplify", 0, "-o", tmp_path / "comb.geojson")
    ended = run("export", result, *out, "--max-vertices", 100)
    assert ended.code == 0, ended.err
    assert "  2 polygons left with more corners, as none is cut below 128 label px" in ended.out.splitlines()
    assert "more corners" not in run("export", result, *out).out


def test_of_a_folder_of_results_one_is_to_be_named(run: Program, tmp_path: Path) -> None:
    (tmp_path / "results" / "demo" / "slide.ome.zarr").mkdir(parents=True)
    ended = run("export", tmp_path / "results", "--format", "csv")
    assert ended.code == 2
    assert ended.line == (
        f"wsi-seg: {tmp_path}/results: holds 1 result, and is none itself: name one, such as "
        f"{tmp_path}/results/demo"
    )
    (tmp_path / "empty").mkdir()
    assert run("export", tmp_path / "empty").line.endswith(
        ": no such folder: give the slide.ome.zarr folder that `wsi-seg predict` wrote"
    )


def test_labels_with_a_hole_are_exported_from_nowhere(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    predict(slide_path)
    result, alone = tmp_path / "results" / "tissue", tmp_path / "copy.ome.zarr"
    shutil.copytree(result / "slide.ome.zarr", alone)
    assert run("export", alone, "-o", tmp_path / "whole.geojson").code == 0
    for zarr in (alone, result / "slide.ome.zarr"):
        shard = zarr / "labels/tissue/0/c/0/0"
        shard.unlink()
        ended = run("export", zarr, "-o", tmp_path / "hole.geojson")
        assert (ended.code, f"{shard}: missing: " in ended.line) == (1, True)
    assert not (tmp_path / "hole.geojson").exists()
    ended = run("check", result)
    assert ended.code == 1
    assert f"  fault: {result}/slide.ome.zarr/labels/tissue/0/c/0/0: missing" in ended.out


def test_an_export_writes_over_no_other_results_files(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    predict(slide_path)
    result, alone = tmp_path / "results" / "tissue", tmp_path / "results" / "tissue" / "b.ome.zarr"
    shutil.copytree(result / "slide.ome.zarr", alone)
    before = {path: path.read_bytes() for path in result.rglob("*") if path.is_file()}
    ended = run("export", alone, "--simplify", 9)
    assert (ended.code, f"{alone}: is not the slide.ome.zarr of a result folder" in ended.line) == (2, True)
    own = result / "slide.geojson.gz"
    ended = run("export", alone, "--simplify", 9, "-o", own)
    assert (ended.code, f"{own}: is another result's own" in ended.line) == (2, True)
    for source, name in ((alone, "summary.csv"), (result, "summary.csv"), (result, own.name)):
        assert run("export", source, "--format", "csv", "-o", result / name).code == 2
    assert {path: path.read_bytes() for path in result.rglob("*") if path.is_file()} == before
    assert run("export", alone, "-o", tmp_path / "b.geojson").code == 0


def test_an_export_goes_by_its_name_and_a_run_makes_its_own_again(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    predict(slide_path)
    result = tmp_path / "results" / "tissue"
    for name in ("plain.geojson", "packed.geojson.gz"):
        assert run("export", result, "-o", tmp_path / name).code == 0
        assert run("check", tmp_path / name).code == 0
    polygons = (result / "slide.geojson.gz").read_bytes()
    assert run("export", result, "--simplify", 0).code == 0
    assert (result / "slide.geojson.gz").read_bytes() != polygons
    assert "making polygons again" in predict(slide_path).err
    assert (result / "slide.geojson.gz").read_bytes() == polygons
    ended = run("export", result, "-o", tmp_path / "other.geojson", "--gzip")
    assert (ended.code, "other.geojson" in ended.line) == (2, True)
    assert not (tmp_path / "other.geojson").exists()


def test_the_summary_counts_the_polygons_that_lie_beside_it(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    predict(slide_path)
    result = tmp_path / "results" / "tissue"
    summary = json.loads((result / "summary.json").read_text())
    assert run("export", result, "--min-area", 0, "-o", tmp_path / "elsewhere.geojson").code == 0
    assert json.loads((result / "summary.json").read_text()) == summary
    ended = run("export", result, "--min-area", 0, "--no-gzip")
    shapes = json.loads((result / "slide.geojson").read_text())["features"]
    assert f"{len(shapes)} shapes" in ended.out
    told = json.loads((result / "summary.json").read_text())
    assert told["polygons"] == len(shapes) > summary["polygons"]
    assert sum(c["polygons"] for c in told["classes"]) == len(shapes)
    assert told["settings"]["export"]["min_area_um2"] == 0
    rows = list(csv.DictReader((result / "summary.csv").read_text().splitlines()))
    assert sum(int(row["polygons"] or 0) for row in rows) == len(shapes)
    (result / "summary.json").write_text("{}")
    ended = run("export", result, "--no-gzip")
    assert (ended.code, "summary.json: damaged (slide: field required): delete it" in ended.line) == (1, True)


def test_a_csv_follows_the_polygons_beside_it(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    predict(slide_path, "--min-area", 40, "--simplify", 5, "--no-gzip")
    result = tmp_path / "results" / "tissue"
    shapes = json.loads((result / "slide.geojson").read_text())["features"]

    assert run("export", result, "--format", "csv").code == 0
    rows = list(csv.DictReader((result / "slide.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == [shape["id"] for shape in shapes]

    assert run("export", result, "--format", "csv", "--min-area", 2000).code == 0
    rows = list(csv.DictReader((result / "slide.csv").read_text().splitlines()))
    assert 0 < len(rows) < len(shapes)
    assert all(float(row["label_area_um2"]) >= 2000 for row in rows)


def test_the_tolerance_used_and_classes_without_polygons_are_told(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    ended = predict(slide_path, "--simplify", 10)
    assert "8 um, the next step below the 10 um asked for" in ended.out
    assert "mm2 by pixels     share  polygons  mm2 outlined" in ended.out
    assert "islands below 400 um2 are merged into their neighbours (--min-area)" in ended.out
    result = tmp_path / "results" / "tissue"
    summary = json.loads((result / "summary.json").read_text())
    assert summary["simplify"] == {"asked_um": pytest.approx(10), "used_um": pytest.approx(8)}

    assert run("export", result, "--min-area", 90_000).code == 0
    told = json.loads((result / "summary.json").read_text())
    gone = [c for c in told["classes"] if c["mm2"] > 0 and c["polygons"] == 0 and c["share"] is not None]
    assert gone
    assert all(c["no_polygons"] == "all of its islands are smaller than --min-area" for c in gone)
    assert all((c["outlined_mm2"], c["sieved_mm2"]) == (0, 0) for c in gone)
    rows = list(csv.DictReader((result / "summary.csv").read_text().splitlines()))
    assert {r["class"] for r in rows if "smaller" in r["no_polygons"]} >= {c["name"] for c in gone}


def test_one_set_of_polygons_lies_in_a_result(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    predict(slide_path)
    result = tmp_path / "results" / "tissue"
    assert run("export", result, "--no-gzip").code == 0
    assert [p.name for p in result.glob("slide.geojson*")] == ["slide.geojson"]
    assert run("export", result, "-o", tmp_path / "elsewhere.geojson.gz").code == 0
    assert [p.name for p in result.glob("slide.geojson*")] == ["slide.geojson"]


def test_a_summary_of_an_older_version_is_read_and_brought_up_to_date(
    predict: Program, run: Program, slide_path: Path, tmp_path: Path
) -> None:
    predict(slide_path)
    path = tmp_path / "results" / "tissue" / "summary.json"
    summary = json.loads(path.read_text())
    old = {key: value for key, value in summary.items() if key != "simplify"}
    old["classes"] = [
        {key: c[key] for key in ("id", "name", "mm2", "share", "polygons")} for c in summary["classes"]
    ]
    path.write_text(json.dumps(old))
    folder = ResultFolder(path.parent)
    record = folder.read_record()
    assert record is not None
    folder.write_record(record.model_copy(update={"files": None}))  # nor had it digests
    assert predict(slide_path).code == 0
    assert json.loads(path.read_text()) == old
    assert run("export", path.parent).code == 0
    assert json.loads(path.read_text()) == summary
