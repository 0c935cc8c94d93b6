"""The report of many slides: it shows what each folder holds now, and says the rest in a line."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from helpers.batches import UNFAMILIAR, Page, with_names, write_result

from wsi_seg.errors import MissingError, OutputError, UsageError
from wsi_seg.predict.batch import BatchSummary, NoResult, Outcome
from wsi_seg.predict.report.batch_table import COLUMNS
from wsi_seg.predict.report.gathered_slides import gather
from wsi_seg.predict.report.reported_slide import State
from wsi_seg.predict.report.slide_outcome import read_result
from wsi_seg.predict.report.write_batch_report import write_report
from wsi_seg.results.folder import ResultFolder
from wsi_seg.results.summary import Status


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "summary.csv").read_text())))


def page_of(folder: Path) -> Page:
    return Page((folder / "report.html").read_text())


def outcome(folder: Path, name: str, **changes: object) -> Outcome:
    result = folder / name
    given = {"slide": f"{name}.svs", "result": str(result), "status": Status.FINISHED, "seconds": 65.0}
    return Outcome.model_validate(given | changes)


def test_a_batch_with_all_that_can_happen(tmp_path: Path) -> None:
    write_result(tmp_path / "a", "a.svs", familiarity=UNFAMILIAR)
    write_result(tmp_path / "b", "b.svs", unprocessed_mm2=0.5)
    outcomes = (
        outcome(tmp_path, "a"),
        outcome(tmp_path, "b", status=Status.PARTLY_UNREADABLE, unprocessed_mm2=0.5),
        Outcome(slide="c.svs", result=str(tmp_path / "a"), status=NoResult.COPY),
        outcome(tmp_path, "d", result=None, status=NoResult.FAILED, error="d.svs: no slide"),
        outcome(tmp_path, "gone"),
    )
    batch = BatchSummary(outcomes=outcomes, waiting=("e.svs",), passed_over=("x.dcm: not a slide: skipped",))
    batch.write(tmp_path / "batch.json")
    path, slides = write_report(tmp_path)
    assert path == tmp_path / "report.html"
    assert [slide.state for slide in slides] == [
        State.FINISHED, State.PARTLY_UNREADABLE, State.COPY, State.FAILED, State.UNUSABLE, State.WAITING,
    ]  # fmt: skip
    page = page_of(tmp_path)
    for said in (
        "slides done 3 of 6 failed 1 not usable 1 of them copies 1 tissue 0.025 mm² time of all 4 min 20 s",
        "1 of 6 slides are not done",
        "d.svs: no slide d",
        "3 tiles could not be decoded: 0.5000 mm2 left unprocessed",
        "unfamiliar: check the result by eye a",
        f"{tmp_path / 'gone'}: missing, the result of gone.svs: copy it again",
        "The same slide as a , which has its result",
        "Stroma 66.7 %",
        "x.dcm: not a slide: skipped",
        "not for diagnosis",
        "a-model, 2 slides digest of a-model",
        "wsi-seg 0.1.0",
    ):
        assert said in page.words, said
    assert len(page.pictures) == 4
    assert {link for link in page.links if link.startswith("#")} <= {f"#{a}" for a in page.anchors}
    assert [link for link in page.links if link.startswith("a/")] == ["a/summary.json"]


def test_the_table_has_a_row_for_each_slide_and_class(tmp_path: Path) -> None:
    write_result(tmp_path / "a", "a.svs")
    failed = outcome(tmp_path, "b", result=None, status=NoResult.FAILED, error="b.svs: =1+1", seconds=0.0)
    BatchSummary(outcomes=(outcome(tmp_path, "a"), failed)).write(tmp_path / "batch.json")
    write_report(tmp_path)
    rows = rows_of(tmp_path)
    assert tuple(rows[0]) == COLUMNS
    assert [(row["slide"], row["class"], row["mm2"], row["share"]) for row in rows] == [
        ("a.svs", "Glass", "0.012288", ""),
        ("a.svs", "Stroma", "0.008192", "0.666667"),
        ("a.svs", "Tumour", "0.004096", "0.333333"),
        ("b.svs", "", "", ""),
    ]
    assert {(row["model_fingerprint"], row["seconds"]) for row in rows[:3]} == {
        ("digest of a-model", "65.000")
    }
    assert (rows[3]["state"], rows[3]["says"]) == ("failed", "b.svs: =1+1")


def test_names_are_no_markup_and_no_formula_in_any_script(tmp_path: Path) -> None:
    names = ("Glass", "恶性上皮", "<script>alert(1)</script>")
    write_result(tmp_path / "患者 <b> 1", "/data/患者 <b> 1.svs", schema=with_names(*names))
    write_result(tmp_path / "#2?", "=2.svs", schema=with_names("Glass", "=1+1", "a,b"))
    write_report(tmp_path)
    page = page_of(tmp_path)
    assert "<script>alert(1)</script>" in page.text
    assert "恶性上皮" in page.text
    assert page.tags.count("script") == 1
    assert "b" not in page.tags
    assert "%E6%82%A3%E8%80%85%20%3Cb%3E%201/summary.json" in page.links
    assert "%232%3F/summary.json" in page.links
    assert {row["class"] for row in rows_of(tmp_path)} == {*names, "'=1+1", "a,b"}


def test_results_without_a_batch_and_in_folders_of_their_own(tmp_path: Path) -> None:
    write_result(tmp_path / "b", "b.svs")
    write_result(tmp_path / "2" / "a", "x/a.svs", model="another")
    write_result(tmp_path / "1" / "a", "y/a.svs")
    (tmp_path / "empty").mkdir()
    _, slides = write_report(tmp_path)
    assert [slide.slide for slide in slides] == ["y/a.svs", "x/a.svs", "b.svs"]
    words = page_of(tmp_path).words
    assert "1/a finished" in words
    assert "another, 1 slide" in words
    assert "a-model, 2 slides" in words


def test_a_folder_that_was_moved_and_a_slide_that_was_done_since(tmp_path: Path) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    write_result(before / "a", "s/a.svs")
    failed = outcome(before, "b", result=None, status=NoResult.FAILED, error="b.svs: cannot be read")
    BatchSummary(outcomes=(outcome(before, "a", slide="s/a.svs"), failed)).write(before / "batch.json")
    before.rename(now)
    assert [slide.state for slide in gather(now).slides] == [State.FINISHED, State.FAILED]
    write_result(now / "b", "b.svs")
    assert [slide.state for slide in gather(now).slides] == [State.FINISHED, State.FINISHED]
    write_result(tmp_path / "c", "c.svs")
    shutil.rmtree(now / "a")
    (tmp_path / "c").rename(now / "a")
    first = gather(now).slides[0]
    assert first.state == State.UNUSABLE
    assert "holds the result of c.svs, not of s/a.svs" in first.lines[0]


def test_a_result_that_cannot_be_used_says_why_in_a_line(tmp_path: Path) -> None:
    result = ResultFolder(tmp_path / "a")

    def made_again() -> None:
        shutil.rmtree(result.folder, ignore_errors=True)
        write_result(result.folder, "a.svs")

    made_again()
    result.summary_json.write_text(result.summary_json.read_text().replace("0.008192", "0.9"))
    assert "summary.json: altered or cut" in read_result(result.folder).lines[0]
    made_again()
    content = json.loads(result.summary_json.read_text())
    result.summary_json.write_text(json.dumps(content | {"format_version": 9}))
    result.record_path.unlink()
    assert "written by a newer wsi-seg" in read_result(result.folder).lines[0]
    made_again()
    result.record_path.unlink()
    copied = read_result(result.folder)
    assert (copied.state, len(copied.classes), len(copied.pictures)) == (State.UNUSABLE, 3, 2)
    assert "has no record" in copied.lines[0]
    made_again()
    shutil.rmtree(result.zarr / "labels")
    damaged = read_result(result.folder)
    assert (damaged.state, damaged.pictures, len(damaged.classes)) == (State.UNUSABLE, (), 3)
    assert "not a result of wsi-seg" in damaged.lines[0]
    made_again()
    shutil.rmtree(result.zarr)
    result.record_path.unlink()
    assert read_result(result.folder).state == State.UNFINISHED


def test_a_batch_that_is_damaged_or_newer_is_a_line_and_its_results_are_shown(tmp_path: Path) -> None:
    write_result(tmp_path / "a", "a.svs")
    (tmp_path / "batch.json").write_text('{"format_version": 9}')
    broken, shown = gather(tmp_path).slides
    assert "batch.json: written by a newer wsi-seg" in broken.lines[0]
    assert shown.state == State.FINISHED


def test_what_is_no_folder_of_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such folder"):
        gather(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no result"):
        gather(tmp_path)
    write_result(tmp_path / "a", "a.svs")
    with pytest.raises(UsageError, match="is the result of one slide"):
        gather(tmp_path / "a")
    (tmp_path / "t" / ".wsi-seg").mkdir(parents=True)
    (tmp_path / "t" / ".wsi-seg" / "training.json").write_text("{}")
    with pytest.raises(UsageError, match=r"is a training: its report is .*report\.html"):
        gather(tmp_path / "t")


def test_a_file_of_somebody_else_is_not_replaced_and_an_older_report_is(tmp_path: Path) -> None:
    results = tmp_path / "results"
    write_result(results / "a", "a.svs")
    for name in ("summary.csv", "report.html"):
        (results / name).write_text("mine")
        with pytest.raises(OutputError, match=f"{name}: is no report of wsi-seg"):
            write_report(results)
        assert (results / name).read_text() == "mine"
        (results / name).unlink()
    (results / ".report.html.0123.partial").write_text("left over")
    write_report(results)
    write_result(results / "b", "b.svs")
    write_report(results)
    assert {row["slide"] for row in rows_of(results)} == {"a.svs", "b.svs"}
    assert not list(results.glob(".report*"))
    elsewhere = tmp_path / "elsewhere"
    write_report(results, elsewhere)
    assert "../results/a/summary.json" in page_of(elsewhere).links
