"""Ctrl-C, SIGTERM and SIGHUP: a message at once and an orderly stop; a second signal ends the process.

Before a command's work begins, and after it, a signal ends the process at once. During the work it raises
`Interrupted` in the main thread, so that the current work is finished or cleaned up.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from wsi_seg.cli import garbage
from wsi_seg.training.engine.processes import only_helps

if TYPE_CHECKING:
    from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

ONE_SIGNAL_SECONDS = 0.5
"""Some programs, such as `timeout`, send a signal to a process and then to its whole group."""

AGAIN = "run the same command again"

SHOW_CURSOR = "\x1b[?25h"
"""Progress bars hide the cursor; it is shown again at the end."""


class Interrupted(KeyboardInterrupt):
    """A signal asks for an end; finished work is kept."""


class _State:
    """The state of signal handling; one for the process."""

    def __init__(self) -> None:
        self.advice = AGAIN
        self.working = self.lost = False
        self.number: int | None = None
        self.since = 0.0


_state = _State()


def watch() -> None:
    """Handle signals from now on. Ignored signals, as under `nohup`, stay ignored."""
    global _state
    _state = _State()
    if threading.current_thread() is not threading.main_thread():
        return  # Python does not allow handlers here
    for number in _numbers():
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, _answer)


def working(advice: str = AGAIN) -> None:
    """Note that work begins that must be stopped in order, and the advice for a user who stops it."""
    garbage.while_working()
    _state.advice, _state.working = advice, True


def received() -> bool:
    """Return whether a signal has asked for an end."""
    return _state.number is not None


def leave() -> int | None:
    """Note that all work is over; return the exit code if a signal ended it."""
    _state.working = False
    return None if _state.number is None else 128 + _state.number


def _numbers() -> list[signal.Signals]:
    return [signal.Signals[name] for name in NAMES if hasattr(signal, name)]


def _answer(number: int, _: FrameType | None) -> None:
    if _state.lost:
        _state.lost = False
        raise Interrupted
    if _state.number is None:
        _state.number, _state.since = number, time.monotonic()
        name = "" if number == signal.SIGINT else f" ({signal.Signals(number).name})"
        _tell(f"interrupted{name}: {_state.advice}")
        if not _state.working:
            _end()
        _hush()
        raise Interrupted
    if not _state.working or time.monotonic() - _state.since > ONE_SIGNAL_SECONDS:
        _tell("ended at once")
        _end()


def _tell(line: str) -> None:
    if only_helps():
        return  # the process that it helps reports
    text = f"wsi-seg: {line}\n"
    with suppress(OSError, ValueError):  # nobody is listening
        try:
            print(text, file=sys.stderr, end="", flush=True)
        except RuntimeError:  # the signal came during another write
            os.write(2, text.encode())


def _end() -> NoReturn:
    with suppress(OSError, ValueError):
        if sys.stderr.isatty():
            os.write(2, SHOW_CURSOR.encode())
    assert _state.number is not None  # a signal was received
    os._exit(128 + _state.number)


def _hush() -> None:
    """Suppress tracebacks that follow from an interruption: of threads, finalisers, logs."""
    import logging

    logging.disable(logging.CRITICAL)
    threading.excepthook = lambda _: None
    sys.unraisablehook = _unraisable


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Raise an interruption again that came inside a finaliser, where it has no effect."""
    if isinstance(unraisable.exc_value, Interrupted):
        _state.lost = True
        _thread.start_new_thread(_raise_again, ())


def _raise_again() -> None:
    time.sleep(0.05)  # until the main thread is out of the finaliser
    os.kill(os.getpid(), _state.number or signal.SIGINT)
