"""Batches go on to their end, whatever becomes of single slides, and leave a record at every moment."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn

import pytest

from wsi_seg.errors import NoSchedulerError, OutputError, SlideError
from wsi_seg.predict.batch import BatchSummary, NoResult, Outcome, run_batch
from wsi_seg.predict.jobs import Job, Jobs
from wsi_seg.results.summary import Status


def jobs_of(folder: Path, *names: str) -> Jobs:
    return Jobs(tuple(Job(Path(f"{name}.svs"), None, folder / name) for name in names), ("x.dcm: no slide",))


def finished(job: Job) -> Outcome:
    job.out.mkdir(parents=True)
    return Outcome(slide=str(job.path), result=str(job.out), status=Status.FINISHED)


def stored(record: Path) -> BatchSummary:
    return BatchSummary.model_validate_json(record.read_bytes())


def test_an_unexpected_error_ends_one_slide_and_not_the_batch(tmp_path: Path) -> None:
    told: list[str] = []
    kept = tmp_path / "b.traceback.txt"

    def run(job: Job) -> Outcome:
        if job.path.stem == "b":
            raise ZeroDivisionError("of nothing\nby nothing")
        return finished(job)

    batch = run_batch(jobs_of(tmp_path, "a", "b", "c"), tmp_path / "batch.json", run, told.append)
    assert [outcome.status for outcome in batch.outcomes] == [
        Status.FINISHED, NoResult.FAILED, Status.FINISHED,
    ]  # fmt: skip
    assert not batch.good
    line = (
        "b.svs: internal error (ZeroDivisionError: of nothing by nothing): please report it with "
        f"{kept}; run the same command again to try this slide once more"
    )
    assert told == [line]
    assert (batch.outcomes[1].error, batch.outcomes[1].result) == (line, None)
    assert kept.read_text().startswith("Traceback")
    assert "ZeroDivisionError: of nothing" in kept.read_text()
    assert stored(tmp_path / "batch.json") == batch
    assert batch.passed_over == ("x.dcm: no slide",)
    run_batch(jobs_of(tmp_path / "again", "b"), tmp_path / "again" / "batch.json", finished, told.append)
    assert len(told) == 1


def test_a_traceback_goes_once_its_slide_is_done(tmp_path: Path) -> None:
    (tmp_path / "a.traceback.txt").write_text("of an earlier run")
    run_batch(jobs_of(tmp_path, "a"), tmp_path / "batch.json", finished, pytest.fail)
    assert not (tmp_path / "a.traceback.txt").exists()


def test_the_record_is_written_slide_by_slide(tmp_path: Path) -> None:
    record = tmp_path / "batch.json"
    seen: list[tuple[list[str], tuple[str, ...], bool]] = []

    def run(job: Job) -> Outcome:
        so_far = stored(record)
        seen.append(([outcome.slide for outcome in so_far.outcomes], so_far.waiting, so_far.good))
        if job.path.stem == "c":
            raise KeyboardInterrupt
        return finished(job)

    with pytest.raises(KeyboardInterrupt):
        run_batch(jobs_of(tmp_path, "a", "b", "c"), record, run, pytest.fail)
    assert seen == [
        ([], ("a.svs", "b.svs", "c.svs"), False),
        (["a.svs"], ("b.svs", "c.svs"), False),
        (["a.svs", "b.svs"], ("c.svs",), False),
    ]
    assert stored(record).waiting == ("c.svs",)


def test_what_a_killed_batch_left_of_its_record_goes(tmp_path: Path) -> None:
    for name in (".batch.json.0123.partial", ".of-another.partial"):
        (tmp_path / name).write_text("left over")
    run_batch(jobs_of(tmp_path, "a"), tmp_path / "batch.json", finished, pytest.fail)
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".of-another.partial"]


def test_a_failed_slide_names_no_folder_that_is_not_there(tmp_path: Path) -> None:
    def run(job: Job) -> Outcome:
        if job.path.stem == "begun":
            job.out.mkdir()
        raise SlideError("cannot be\nread")

    told: list[str] = []
    batch = run_batch(jobs_of(tmp_path, "begun", "never"), tmp_path / "batch.json", run, told.append)
    assert [outcome.result for outcome in batch.outcomes] == [str(tmp_path / "begun"), None]
    assert json.loads((tmp_path / "batch.json").read_text())["outcomes"][1]["result"] is None
    assert told == [r"cannot be\x0aread"] * 2
    assert not list(tmp_path.glob("*.traceback.txt"))


def not_reached(*_: object) -> NoReturn:
    pytest.fail("called")


def test_a_record_that_cannot_be_written_is_told_and_the_slides_are_done(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        run_batch(jobs_of(tmp_path, "a"), tmp_path / "file" / "batch.json", not_reached, not_reached)
    record = tmp_path / "batch.json"
    done: list[str] = []
    told: list[str] = []

    def run(job: Job) -> Outcome:
        record.unlink()
        if job.path.stem == "a":
            record.mkdir()  # in the way of the record, until the next slide
        done.append(job.path.stem)
        return finished(job)

    def clear(job: Job) -> Outcome:
        if record.is_dir():
            record.rmdir()
            record.touch()
        return run(job)

    assert run_batch(jobs_of(tmp_path, "a", "b"), record, clear, told.append).good
    assert done == ["a", "b"]
    assert len(told) == 1
    assert "batch.json: cannot be written" in told[0]


def test_a_record_holds_names_as_they_are_and_bytes_that_are_no_text_as_numbers(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    jobs = Jobs(
        (Job(Path("a\x1b.svs"), None, tmp_path / "a\x1b"), Job(Path(f"{odd}.svs"), None, tmp_path / odd))
    )

    def run(job: Job) -> Outcome:
        raise SlideError(f"{job.path}: no slide")

    run_batch(jobs, tmp_path / "batch.json", run, lambda _: None)
    outcomes = stored(tmp_path / "batch.json").outcomes
    assert [outcome.slide for outcome in outcomes] == ["a\x1b.svs", r"caf\xe9.svs"]
    assert [outcome.error for outcome in outcomes] == [r"a\x1b.svs: no slide", r"caf\xe9.svs: no slide"]


def test_where_no_scheduler_answers_the_batch_ends_and_the_rest_waits(tmp_path: Path) -> None:
    begun: list[str] = []

    def run(job: Job) -> Outcome:
        begun.append(job.path.stem)
        if job.path.stem != "a":
            raise NoSchedulerError("tcp://127.0.0.1:1: no Dask scheduler answers there")
        return finished(job)

    record = tmp_path / "batch.json"
    with pytest.raises(NoSchedulerError, match=rf"there; 2 slides wait \(listed in {record}\): run the same"):
        run_batch(jobs_of(tmp_path, "a", "b", "c"), record, run, pytest.fail)
    assert begun == ["a", "b"]
    assert stored(record).waiting == ("b.svs", "c.svs")
    assert [outcome.slide for outcome in stored(record).outcomes] == ["a.svs"]
