"""Signals: one line at once, an orderly stop, the right exit code; and at the second signal the end."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import tissue_rgb, write_tiff

from wsi_seg.cli import signals
from wsi_seg.cli.main import main
from wsi_seg.predict import session

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}

IMPORTING = """
import signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "{module}":
            signal.raise_signal({number})

sys.meta_path.insert(0, Finder())
sys.argv = ["wsi-seg", "info", "slide.svs"]
from wsi_seg.__main__ import main
main()
"""

TWICE = """
import signal
from wsi_seg.cli import signals

signals.watch()
signals.working("stopping")
signals.ONE_SIGNAL_SECONDS = {seconds}
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    signal.raise_signal(signal.SIGINT)
    print("still there")
"""

FINALISED = """
import signal, time
from wsi_seg.cli import signals

class Held:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

signals.watch()
signals.working("stopping")
held = Held()
try:
    del held
    time.sleep(10)
    print("not ended")
except KeyboardInterrupt:
    print("ended")
"""


@pytest.fixture(autouse=True)
def own_hooks() -> Iterator[None]:
    hooks = threading.excepthook, sys.unraisablehook
    for number in CODES:  # some are ignored in the background
        signal.signal(number, signal.SIG_DFL)
    yield
    threading.excepthook, sys.unraisablehook = hooks
    logging.disable(logging.NOTSET)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("number", "module"),
    [*((number, "wsi_seg.cli") for number in CODES), (signal.SIGINT, "typer")],
)
def test_a_signal_before_the_program_is_up_is_one_line_and_its_exit_code(
    number: signal.Signals, module: str
) -> None:
    done = python(IMPORTING.format(number=int(number), module=module))
    assert done.returncode == CODES[number]
    name = "" if number == signal.SIGINT else f" ({number.name})"
    assert done.stderr == f"wsi-seg: interrupted{name}: run the same command again\n"
    assert done.stdout == ""


def test_what_is_ignored_stays_so_from_the_first_import_on() -> None:
    ignoring = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)"
    done = python(ignoring + IMPORTING.format(number=int(signal.SIGHUP), module="wsi_seg.cli"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "wsi-seg: slide.svs: no such file\n"


@pytest.mark.parametrize("number", CODES)
def test_a_signal_in_mid_run_is_told_at_once(
    number: signal.Signals,
    slide_path: Path,
    model_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: list[str] = []

    def interrupted(*_: object) -> None:
        try:
            signal.raise_signal(number)
        finally:
            told.append(capsys.readouterr().err)

    arguments = ["predict", slide_path, "-o", tmp_path, "--model", model_path, "--workers", 1]
    monkeypatch.setattr(sys, "argv", ["wsi-seg", *map(str, arguments)])
    monkeypatch.setattr(session, "predict_on", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == CODES[number]
    assert told[0].startswith("wsi-seg: interrupted")
    assert "stopping after the current regions; again to end at once; run the same command again" in told[0]
    assert capsys.readouterr().err == ""


def test_what_an_interruption_leads_to_is_no_error_of_its_own(
    tmp_path: Path, model_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As libraries in C++ do, which make an error of their own of it."""

    def interrupted(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise RuntimeError("broken off") from None

    write_tiff(tmp_path / "a.tiff", tissue_rgb(200, 200))
    monkeypatch.setattr(session, "predict_on", interrupted)
    arguments = [
        "predict",
        tmp_path / "a.tiff",
        "-o",
        tmp_path / "out",
        "--model",
        model_path,
        "--workers",
        1,
    ]
    monkeypatch.setattr(sys, "argv", ["wsi-seg", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 143
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1] for line in lines] == [" interrupted (SIGTERM)"]


def test_a_second_signal_ends_at_once() -> None:
    done = python(TWICE.format(seconds=0))
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "wsi-seg: interrupted: stopping\nwsi-seg: ended at once\n"


def test_a_signal_that_comes_twice_in_one_moment_is_one() -> None:
    done = python(TWICE.format(seconds=60))
    assert (done.returncode, done.stdout) == (0, "still there\n")
    assert done.stderr == "wsi-seg: interrupted: stopping\n"


def test_a_signal_within_a_finaliser_is_not_lost() -> None:
    done = python(FINALISED)
    assert (done.returncode, done.stdout) == (0, "ended\n")
    assert done.stderr == "wsi-seg: interrupted (SIGTERM): stopping\n"


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As `nohup` has it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.watch()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
