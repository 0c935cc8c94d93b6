"""What a training shows: figures with what they are of, and scoring too as it goes."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from wsi_seg.cli.display import BarTraining, PlainProgress, PlainTraining


def test_a_miou_says_what_it_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    plain = PlainTraining()
    plain.begin(1, 1, "8 of 41 tiles kept out")
    plain.advance(1.0, 120.4, 0.25, 0.9012)

    assert capsys.readouterr().err == "  100 %, 120 s, loss 0.250, mIoU 0.901 on 8 of 41 tiles kept out\n"


def test_the_time_left_is_said_only_once_enough_is_done_to_foresee_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(1000, 2000, 20))
    monkeypatch.setattr("wsi_seg.cli.display.time.monotonic", lambda: float(next(seconds)))
    plain = PlainProgress()
    plain.begin("slide.svs", 3, 0, 2.0)
    for megapixels in (0.001, 0.999, 1.0):
        plain.advance(megapixels)

    assert capsys.readouterr().err.splitlines() == [
        "slide.svs: 3 regions, 2.0 MP",
        "  1/3 regions",
        "  2/3 regions, 0.025 MP/s, 40 s left",
        "  3/3 regions, 0.0333 MP/s, 0 s left",
    ]


def test_scoring_is_told_every_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(1000, 2000, 4))
    monkeypatch.setattr("wsi_seg.cli.display.time.monotonic", lambda: float(next(seconds)))
    plain = PlainTraining()
    for done in range(8):
        plain.score(done, 7, "tiles")

    assert capsys.readouterr().err == "  3/7 tiles\n  6/7 tiles\n"


def test_scoring_has_a_bar_that_goes_when_it_is_done() -> None:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    console = Console(file=io.StringIO(), width=80)
    with Progress(*columns, TextColumn("{task.fields[figures]}"), console=console) as bars:
        shown = BarTraining(bars)
        shown.begin(1, 1, "8 of 41 tiles kept out")
        shown.advance(0.5, 1.0, None, 0.5)
        assert [task.fields["figures"] for task in bars.tasks] == [", mIoU 0.500 on 8 of 41 tiles kept out"]
        shown.end()
        shown.score(0, 2, "tiles")
        shown.score(1, 2, "tiles")
        assert [(task.description, task.completed) for task in bars.tasks] == [("scoring", 1)]
        shown.score(2, 2, "tiles")
        assert not bars.tasks
