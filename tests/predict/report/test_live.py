"""The report of a batch that goes on: as slides finish, at little cost, and never the batch's end."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.batches import Page, write_result

from wsi_seg.predict.batch import NoResult, Outcome, run_batch
from wsi_seg.predict.jobs import Job, Jobs
from wsi_seg.predict.report import write_batch_report
from wsi_seg.predict.report.write_batch_report import LiveReport
from wsi_seg.results.summary import Status


def jobs_of(folder: Path, *names: str) -> Jobs:
    return Jobs(tuple(Job(Path(f"{name}.svs"), None, folder / name) for name in names))


def finished(job: Job) -> Outcome:
    write_result(job.out, str(job.path))
    return Outcome(slide=str(job.path), result=str(job.out), status=Status.FINISHED, seconds=1.0)


def run(folder: Path, *names: str, told: list[str], job: object = finished) -> LiveReport:
    with LiveReport(folder, told.append) as report:
        run_batch(jobs_of(folder, *names), folder / "batch.json", job, pytest.fail, report.hear)  # type: ignore[arg-type]
    return report


def words(folder: Path) -> str:
    return Page((folder / "report.html").read_text()).words


def test_it_is_written_as_slides_finish_and_at_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_batch_report, "SECONDS", 0.0)
    monkeypatch.setattr(write_batch_report, "TIMES", 0.0)
    seen: list[str] = []

    def job(job: Job) -> Outcome:
        seen.append(words(tmp_path))
        if job.path.stem == "c":
            raise KeyboardInterrupt
        return finished(job)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "a", "b", "c", told=[], job=job)
    done = [f"slides done {count} of 3" for count in range(3)]
    assert [expected in page for expected, page in zip(done, seen, strict=True)] == [True] * 3
    assert "slides done 2 of 3" in words(tmp_path)
    assert "1 of 3 slides are not done" in words(tmp_path)


def test_slides_that_finish_at_once_are_written_together_and_none_is_left_out(tmp_path: Path) -> None:
    written: list[int] = []

    class Counting(LiveReport):
        def _try_to_write(self) -> None:
            written.append(len(self._shown))
            super()._try_to_write()

    names = [f"s{number}" for number in range(12)]

    def fails(job: Job) -> Outcome:
        return Outcome(slide=str(job.path), result=None, status=NoResult.FAILED, error="no slide")

    with Counting(tmp_path, pytest.fail) as report:
        run_batch(jobs_of(tmp_path, *names), tmp_path / "batch.json", fails, pytest.fail, report.hear)
    assert written == [0, 12]
    assert "slides done 0 of 12 failed 12" in words(tmp_path)
    assert report.page == tmp_path / "report.html"


def test_a_report_that_cannot_be_written_is_one_line_and_the_slides_are_done(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    told: list[str] = []
    report = run(tmp_path, "a", "b", told=told)
    assert (len(told), report.page) == (1, None)
    assert told[0].startswith(f"the batch continues without its report: {tmp_path / 'report.html'}: ")
    assert told[0].endswith(f"; later, `wsi-seg report {tmp_path}` makes it")
    assert (tmp_path / "b" / "summary.json").exists()


def test_a_slide_that_cannot_be_shown_is_one_line_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of nothing")

    monkeypatch.setattr(write_batch_report, "read_outcome", broken)
    told: list[str] = []
    run(tmp_path, "a", "b", told=told)
    assert len(told) == 1
    assert "internal error (ZeroDivisionError: of nothing)" in told[0]
    assert "not usable 2" in words(tmp_path)
    assert "cannot be shown (of nothing) a.svs , b.svs" in words(tmp_path)
