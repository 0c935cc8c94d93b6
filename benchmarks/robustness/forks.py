"""Runs of `wsi-seg`, each in a fork of a process that has imported everything and started no thread.

So a run costs what it does, and not the seconds that importing takes. A fork can be killed at any of its
file-system events, in the middle of a write, or at a moment.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import pkgutil
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

TICK = 0.004
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"})
MOST_DATA = 6 << 30
"""Bytes that a run may take at all: what asks for more fails, and takes nothing else with it."""


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes
    ----------
    code : int
        Its exit code; the negative number of the signal that ended it.
    hung : bool
        Whether it was killed for taking too long.
    seconds : float
    peak_mb : float
        The largest resident set, with what it shares with the process that it was forked from.
    said : str
        Standard output and standard error.
    """

    code: int
    hung: bool
    seconds: float
    peak_mb: float
    said: str

    @property
    def killed(self) -> bool:
        """Whether it was ended by what `Kill` sends."""
        return -self.code in (signal.SIGKILL, signal.SIGXFSZ) and not self.hung


@dataclass(frozen=True)
class Kill:
    """When to kill a run.

    Attributes
    ----------
    how : {"event", "write", "moment"}
        Before its file-system event number `value`, counted from 1; once a file has grown to `value` bytes,
        in the middle of the write; or `value` seconds after its start.
    value : float
    among : str
        Only events that begin so count.
    """

    how: str
    value: float
    among: str = ""


def import_everything() -> None:
    """Import all that `wsi-seg` may import, and see to it that no thread was started by that."""
    import wsi_seg

    for module in pkgutil.walk_packages(wsi_seg.__path__, "wsi_seg."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    # What is imported late, when it is first needed.
    for name in (
        "lightning.pytorch",
        "tensorboard",
        "matplotlib.pyplot",
        "zarr.codecs",
        "PIL.PngImagePlugin",
    ):
        importlib.import_module(name)
    if threading.active_count() > 1:
        raise SystemExit(f"importing started threads, so no fork is safe: {threading.enumerate()}")
    gc.collect()
    gc.freeze()  # or each fork copies all pages that a collection touches


def call(work: Callable[[], Any]) -> None:
    """Do some work in a fork, as it may start threads.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    _flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            _flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"{work} failed")


def run(
    arguments: list[str],
    log: Path,
    limit: float = 60,
    kill: Kill | None = None,
    events: Path | None = None,
    before: Callable[[], None] | None = None,
) -> Ended:
    """Run `wsi-seg` with arguments.

    Parameters
    ----------
    arguments : list of str
    log : Path
        Where its output goes.
    limit : float
        Seconds after which it counts as hung, and is killed.
    kill : Kill, optional
    events : Path, optional
        The folder whose events count; all are written to `log` with the suffix ``.events``.
    before : callable, optional
        Done in the run's process before it begins.
    """
    _flush()
    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            _become(arguments, log, kill, events, before)
        finally:
            os._exit(70)
    deadline = begin + limit
    moment = begin + kill.value if kill is not None and kill.how == "moment" else float("inf")
    hung = False
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            break
        now = time.monotonic()
        if now >= min(deadline, moment):
            hung = now < moment
            os.kill(child, signal.SIGKILL)
            _, status, usage = os.wait4(child, 0)
            break
        time.sleep(min(TICK, max(0.0, moment - now)))
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Ended(
        os.waitstatus_to_exitcode(status),
        hung,
        time.monotonic() - begin,
        usage.ru_maxrss / unit,
        log.read_text(encoding="utf-8", errors="replace"),
    )


def _become(
    arguments: list[str],
    log: Path,
    kill: Kill | None,
    events: Path | None,
    before: Callable[[], None] | None,
) -> NoReturn:
    """Be the program from here on, as its console script would be."""
    from wsi_seg.cli.main import main

    output = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_DATA, MOST_DATA))
    if kill is not None and kill.how == "write":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(kill.value), resource.RLIM_INFINITY))
    if before is not None:
        before()
    if events is not None:
        _count_events(events, log, kill if kill is not None and kill.how == "event" else None)
    sys.argv = ["wsi-seg", *arguments]
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = 0 if end.code is None else end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    _flush()
    os._exit(code if isinstance(code, int) else 1)


def _count_events(folder: Path, log: Path, kill: Kill | None) -> None:
    """Count what changes the folder; before the event that is named the process kills itself."""
    inside = str(folder)
    listed = os.open(log.with_suffix(".events"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
    count, lock = 0, threading.Lock()

    def happens(what: str) -> None:
        nonlocal count
        with lock:
            count += kill is None or what.startswith(kill.among)
            if kill is not None and count == kill.value:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)
            if kill is None:
                os.write(listed, f"{what}\n".encode())

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str) and flags & WRITING and path.startswith(inside):
                happens(f"open {path}")
        elif event in EVENTS:
            beside = event in ("os.remove", "os.rmdir") and arguments[-1] != -1  # named within an open folder
            if beside or str(arguments[0]).startswith(inside):
                happens(f"{event} {arguments[0]}")

    synced = os.fsync

    def fsync(fd: FileDescriptorLike) -> None:
        happens("fsync")
        synced(fd)

    os.fsync = fsync
    sys.addaudithook(hear)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
