from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from helpers.pictures import VALUES, flip_bit, save
from typer.testing import CliRunner, Result

from wsi_seg.cli.check import check
from wsi_seg.predict.batch import BatchSummary, NoResult, Outcome
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.summary import Status

RING = [[0, 0], [10, 0], [10, 10], [0, 0]]


@pytest.fixture
def run() -> Callable[..., Result]:
    app = typer.Typer()
    app.command()(check)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [RING]}))
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.geojson"
    names = {"properties": {"name": None}}
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [RING]}} | names
    path.write_text(json.dumps([feature] * 30))
    return path


def test_a_sound_file_exits_with_zero(run: Callable[..., Result], good: Path) -> None:
    result = run(good)

    assert result.exit_code == 0
    assert "good.geojson: QuPath will open it" in result.output
    assert "1 feature, 1 polygon, 4 points; 1 without a class" in result.output


def test_a_faulty_file_exits_with_one_and_names_its_faults(
    run: Callable[..., Result], good: Path, bad: Path
) -> None:
    result = run(good, bad)

    assert result.exit_code == 1
    assert "QuPath will open it" in result.output
    assert "bad.geojson: QuPath will not open it: 30 faults" in result.output
    assert "fault: feature 1 has None for a name: leave the name out" in result.output
    assert result.output.count("for a name") == 20
    assert "and 10 more like this: name" in result.output


def test_coverage_is_checked_when_asked_for(run: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "twice.geojson"
    path.write_text(json.dumps([{"type": "Polygon", "coordinates": [RING]}] * 2))

    assert run(path).exit_code == 0
    assert run(path, "--coverage").exit_code == 1


def test_json_is_one_object_a_file(run: Callable[..., Result], good: Path, bad: Path) -> None:
    result = run("--json", good, bad)

    one, other = map(json.loads, result.output.splitlines())
    assert one["ok"] is True
    assert one["path"] == str(good)
    assert other["counts"] == {"name": 30}
    assert other["faults"][0]["where"] == "feature 1"


def test_names_with_half_characters_can_be_printed(run: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "odd.geojson"
    path.write_text('[{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9],[0,0]]]},'
                    '"properties":{"classification":"Tum\\ud800r"}}]')  # fmt: skip

    result = run(path)

    assert result.exit_code == 0
    assert "Tum\\ud800r" in result.output


def test_a_missing_file_is_a_fault(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run(tmp_path / "absent.geojson")

    assert result.exit_code == 1
    assert str(result.exception) == f"{tmp_path / 'absent.geojson'}: no such file: give a GeoJSON file"


def test_colours_that_qupath_keeps_are_told_with_the_line_that_sets_the_files(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "slide.geojson"
    classification = {"name": "Necrosis", "color": [255, 0, 0]}
    geometry = {"type": "Polygon", "coordinates": [RING]}
    shapes: list[dict[str, object]] = [
        {"geometry": geometry, "properties": {"classification": classification}},
        {"geometry": geometry, "properties": {"objectType": "tmaCore"}},
        {"geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {}},
    ]
    path.write_text(json.dumps([{"type": "Feature"} | shape for shape in shapes]))

    result = run(path)

    assert result.exit_code == 0
    assert "3 features, 2 polygons, 8 points; 1 Necrosis; 1 TMA core; 1 without an area" in result.output
    assert "keep QuPath's colours: Necrosis in (50, 50, 50), not (255, 0, 0)" in result.output
    assert "getPathClass('Necrosis').setColor(255, 0, 0); fireHierarchyUpdate()" in result.output


def test_folders_are_checked_as_results_one_or_many(run: Callable[..., Result], tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / ".wsi-seg").mkdir(parents=True)
    result = run(tmp_path)

    assert result.exit_code == 1
    assert (
        f"{tmp_path}/a: damaged or incomplete: 1 fault\n  fault: {tmp_path}/a/.wsi-seg/record.json: missing"
        in result.output
    )
    assert f"{tmp_path}/b: damaged or incomplete" in result.output
    assert [json.loads(line)["ok"] for line in run("--json", tmp_path).output.splitlines()] == [False] * 2
    assert "holds no result" in str(run(tmp_path / "a" / ".wsi-seg").exception)


def test_slides_of_a_batch_that_have_no_result_are_named(run: Callable[..., Result], tmp_path: Path) -> None:
    record = tmp_path / "batch.json"
    failed = Outcome(slide="b.svs", result=None, status=NoResult.FAILED, error="b.svs: torn")
    BatchSummary(outcomes=(failed,), waiting=("c.svs",)).write(record)
    result = run(tmp_path)

    assert result.exit_code == 1
    assert "  fault: b.svs: failed (b.svs: torn): run the same" in result.output
    assert "  fault: c.svs: not done yet: run the same" in result.output
    BatchSummary().write(record)
    assert (run(tmp_path).exit_code, run(tmp_path).output) == (0, f"{record}: every slide has its result\n")
    record.write_text("{")
    assert run(tmp_path).exit_code == 1


def test_results_of_a_batch_that_changed_places_are_named(run: Callable[..., Result], tmp_path: Path) -> None:
    """A folder may have been moved and slides named in another way since, but each result is its slide's."""
    slides = {"a__s": "in/a/s.svs", "b__s": "in/b/s.svs", "t": "in/t.svs"}
    outcomes = [Outcome(slide=s, result=f"gone/{n}", status=Status.FINISHED) for n, s in slides.items()]
    copy = Outcome(slide="in/copy.svs", result="gone/t", status=NoResult.COPY)
    BatchSummary(outcomes=(*outcomes, copy)).write(tmp_path / "batch.json")
    for name, slide in slides.items():
        result = ResultFolder(tmp_path / name)
        result.work.mkdir(parents=True)
        result.summary_json.write_text(json.dumps({"slide": slide.replace("in/", "/elsewhere/")}))
    assert f"{tmp_path}/batch.json: every slide has its result" in run(tmp_path).output
    for one, other in (("a__s", "b__s"), ("b__s", "t")):
        (tmp_path / one).rename(tmp_path / "kept")
        (tmp_path / other).rename(tmp_path / one)
        (tmp_path / "kept").rename(tmp_path / other)
        said = run(tmp_path).output
        assert f"{tmp_path}/{one}: holds the result of /elsewhere/" in said
        assert f"{tmp_path}/{other}: holds the result of /elsewhere/" in said


def test_pictures_of_a_batch_are_looked_for(run: Callable[..., Result], tmp_path: Path) -> None:
    outcomes = tuple(
        Outcome(slide=f"in/{name}.png", result=f"gone/{name}", status=Status.FINISHED) for name in "ab"
    )
    BatchSummary(outcomes=outcomes).write(tmp_path / "batch.json")
    for name in "ab":
        for kind in ("index", "color", "overlay"):
            save(tmp_path / name / f"{name}_{kind}.png", VALUES)
    assert run(tmp_path).exit_code == 0
    flip_bit(tmp_path / "a" / "a_color.png", 40)
    (tmp_path / "b" / "b_index.png").unlink()
    result = run(tmp_path)

    assert result.exit_code == 1
    assert f"fault: {tmp_path}/a: missing or damaged, the result of in/a.png" in result.output
    assert f"fault: {tmp_path}/b: missing or damaged, the result of in/b.png" in result.output
