"""Processes that this one starts, and that an interruption costs no traceback while they start.

A new process imports for seconds, and reads meanwhile what it is to do. Ctrl-C goes to all processes of a
terminal: it would end such a one in the middle of an import. And if this process gave up to hand over, the
new one would find what it reads cut off. So new processes get no signals, from their first moment on. This
process answers one at once, but hands over all before it acts on it. They end when it does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import popen_spawn_posix, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess
    from types import FrameType, TracebackType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))

NOT_SAID = "ignore::UserWarning:multiprocessing.resource_tracker"
"""As an option of Python: that semaphores were left, which are cleared up."""

LOOK_SECONDS = 0.5
GRACE_SECONDS = 5.0
"""A process that cannot start waits so long before it says why: if this one ends, that is why."""


def spawning() -> SpawnContext:
    """Return the context of `multiprocessing` to start processes by, anew and not as a copy of this one."""
    if not hasattr(signal, "pthread_sigmask"):  # as on Windows
        return multiprocessing.get_context("spawn")
    with _shielded() as thread, _without_a_word():  # what clears up must not end by a signal either
        thread.submit(resource_tracker.ensure_running).result()
    return _Context()


def end_with(parent: int) -> None:
    """End this process when the one that started it has ended, however that did."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


class _Popen(popen_spawn_posix.Popen):
    def terminate(self) -> None:
        """Do it by the signal that the process does not block."""
        self.kill()


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: BaseProcess) -> popen_spawn_posix.Popen:  # noqa: N802 - as multiprocessing has it
        return _Popen(process_obj)

    def start(self) -> None:
        """Start the process, and hand over all that it is to do; then act on signals that came meanwhile."""
        try:
            with _acted_on_later(), _shielded() as thread:
                thread.submit(super().start).result()
        except BaseException:
            if self.pid is not None:
                self.kill()
                self.join()
            raise

    def __reduce__(self) -> Any:
        return _arrive, (type(self), os.getpid()), self.__dict__


class _Context(SpawnContext):
    Process = _Process


def _arrive(kind: type[_Process], parent: int) -> _Process:
    """Make a process's object inside it: before what it is to do is read, and what that needs imported."""
    sys.excepthook = _complain
    end_with(parent)
    return kind.__new__(kind)


def _complain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print why this process cannot start, unless that is because the one that starts it ends."""
    time.sleep(GRACE_SECONDS)
    sys.__excepthook__(kind, error, trace)


def _shielded() -> ThreadPoolExecutor:
    """Return a thread that gets no signals; processes that it starts inherit that."""
    return ThreadPoolExecutor(1, "shielded", signal.pthread_sigmask, (signal.SIG_BLOCK, SIGNALS))


@contextmanager
def _without_a_word() -> Iterator[None]:
    """Let the process that `multiprocessing` clears up by do so in silence when this one ends at once."""
    sys.warnoptions.append(NOT_SAID)
    try:
        yield
    finally:
        sys.warnoptions.remove(NOT_SAID)


@contextmanager
def _acted_on_later() -> Iterator[None]:
    """Answer signals as they come, but raise what follows, as a KeyboardInterrupt, at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals raise nothing here
        return
    raised: list[BaseException] = []
    found = {number: signal.getsignal(number) for number in SIGNALS}
    handlers = {number: handler for number, handler in found.items() if callable(handler)}

    def answer(number: int, frame: FrameType | None) -> None:
        try:
            handlers[number](number, frame)
        except BaseException as error:
            raised.append(error)

    for number in handlers:
        signal.signal(number, answer)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if raised:
        raise raised[0]
