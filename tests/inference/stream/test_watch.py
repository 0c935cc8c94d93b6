from __future__ import annotations

import pytest

from wsi_seg.errors import SchedulerError
from wsi_seg.inference.stream import watch as watching
from wsi_seg.inference.stream.watch import Watch
from wsi_seg.inference.stream.workers import Workers


@pytest.mark.parametrize(
    ("idle", "told"),
    [(frozenset(), "no longer answers"), (frozenset({"tcp://w:1"}), "memory is full.*--memory-limit")],
)
def test_workers_that_are_silent_or_take_no_work_are_named(
    monkeypatch: pytest.MonkeyPatch, idle: frozenset[str], told: str
) -> None:
    found = Workers("tcp://s:1", {"tcp://w:1": 5.0}, idle, 1, None)
    monkeypatch.setattr(Workers, "of", lambda _: found)
    watch = Watch(None, found, print)  # type: ignore[arg-type]
    watch.look()
    monkeypatch.setattr(watching, "SILENT_SECONDS", -1.0)
    with pytest.raises(SchedulerError, match=rf"worker tcp://w:1: .*{told}.*run the same command"):
        watch.look()


def test_a_worker_that_is_heard_of_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Workers("tcp://s:1", {"tcp://w:1": float(second)}, frozenset(), 1, None) for second in range(3)]
    monkeypatch.setattr(watching, "SILENT_SECONDS", -1.0)
    watch = Watch(None, found[0], print)  # type: ignore[arg-type]
    for now in found[1:]:
        monkeypatch.setattr(Workers, "of", lambda _, now=now: now)
        watch.look()


def test_one_silent_worker_of_several_is_named_once_and_again_when_it_was_heard_of_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    lines: list[str] = []
    monkeypatch.setattr("wsi_seg.inference.stream.watch.time.monotonic", lambda: now[0])
    monkeypatch.setattr(watching, "COUNTED_SECONDS", float("inf"))

    def at(seconds: float, silent_heard: float) -> list[str]:
        """Look at a time at which the other worker was heard of just now."""
        now[0] = seconds
        heard = {"tcp://w:1": seconds, "tcp://w:2": silent_heard}
        monkeypatch.setattr(Workers, "of", lambda _: Workers("tcp://s:1", heard, frozenset(), 2, None))
        lines.clear()
        watch.look()
        return list(lines)

    start = Workers("tcp://s:1", {"tcp://w:1": 0.0, "tcp://w:2": 0.0}, frozenset(), 2, None)
    watch = Watch(None, start, lines.append)  # type: ignore[arg-type]
    assert at(40, 0.0) == []
    (line,) = at(50, 0.0)
    assert line.startswith("worker tcp://w:2: silent for 50 s: its regions wait")
    assert at(200, 0.0) == []
    assert at(210, 210.0) == []
    assert at(250, 210.0) == []
    assert at(260, 210.0) == ["worker tcp://w:2: silent for 50 s" + line.partition("50 s")[2]]


def test_while_this_process_is_stopped_no_worker_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Workers("tcp://s:1", {"tcp://w:1": 5.0}, frozenset(), 1, None)
    lines: list[str] = []
    now = [0.0]
    monkeypatch.setattr("wsi_seg.inference.stream.watch.time.monotonic", lambda: now[0])
    monkeypatch.setattr(Workers, "of", lambda _: found)
    watch = Watch(None, found, lines.append)  # type: ignore[arg-type]

    for now[0] in (3.0, 6.0, 8 * 3600.0, 8 * 3600.0 + 3):
        watch.look()
    assert lines == []

    for second in range(6, 96, 3):
        now[0] = 8 * 3600.0 + second
        watch.look()
    assert lines[0].startswith("worker tcp://w:1: silent for 4")

    now[0] += 10
    with pytest.raises(SchedulerError, match=r"worker tcp://w:1: .*no longer answers"):
        watch.look()
