"""Processes that are interrupted while they start: nothing of theirs reaches the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from wsi_seg import children
from wsi_seg.children import SIGNALS, spawning
from wsi_seg.training.engine.stage import _loader

LARGE = bytes(4 << 20)
"""More than a pipe holds: the new process reads it while the one that starts it still writes."""

ENDS = """
import os, signal, time
from wsi_seg.children import spawning

class Kills:
    def __reduce__(self):
        return os.kill, (os.getpid(), signal.SIGKILL)

lock = spawning().Lock()
{start}.start()
time.sleep(1)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Does:
    """Calls a function where it is read, which is in the new process."""

    def __init__(self, call: Callable[..., object], *args: object) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> Any:
        return self.call, self.args


@pytest.fixture(autouse=True)
def usual_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    yield
    signal.signal(signal.SIGINT, before)


def test_signals_to_all_processes_end_none_that_starts(capfd: pytest.CaptureFixture[str]) -> None:
    signalled = tuple(Does(signal.raise_signal, number) for number in SIGNALS)
    process = spawning().Process(target=repr, args=(signalled,))
    process.start()
    process.join()
    assert (process.exitcode, capfd.readouterr().err) == (0, "")


def test_an_interruption_is_acted_on_when_all_is_handed_over(capfd: pytest.CaptureFixture[str]) -> None:
    interrupts = Does(os.kill, os.getpid(), signal.SIGINT)
    process = spawning().Process(target=repr, args=((interrupts, LARGE),))
    with pytest.raises(KeyboardInterrupt):
        process.start()
    assert process.exitcode == -signal.SIGKILL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "start",
    [
        "spawning().Process(target=repr, args=((Kills(), bytes(4 << 20)),))",
        "spawning().Process(target=time.sleep, args=(60,))",
    ],
)
def test_they_end_without_a_word_when_this_process_is_killed(start: str) -> None:
    code = ENDS.format(start=start)
    # It waits for all that hold its output.
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=40, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGKILL, "", "")


def test_a_process_can_be_ended() -> None:
    process = spawning().Process(target=time.sleep, args=(600,))
    process.start()
    process.terminate()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def test_why_a_process_cannot_start_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(children, "GRACE_SECONDS", 0)
    children._complain(ValueError, ValueError("a reason"), None)
    assert capsys.readouterr().err == "ValueError: a reason\n"


def test_what_reads_for_a_training_is_started_so() -> None:
    loader = _loader([1, 2], torch.device("cpu"), workers=1)  # type: ignore[arg-type]
    assert loader.multiprocessing_context.Process is children._Process
