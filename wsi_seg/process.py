"""What is one for a whole process, as loggers and warning filters are, and is changed only while needed."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

SILENT = logging.CRITICAL + 1


class WhileNeeded:
    """A change to the process that lasts as long as any thread needs it.

    The first thread to come in makes the change, and the last one to go undoes it, in whatever order they do.
    (With a context manager for each, a thread that ends late would bring back what another had changed.)

    Parameters
    ----------
    change : callable
        Returns a context manager that makes the change, and undoes it.
    """

    def __init__(self, change: Callable[[], AbstractContextManager[object]]) -> None:
        self._change = change
        self._lock = Lock()
        self._inside = 0
        self._undo = ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Have the change made for what is inside."""
        with self._lock:
            if self._inside == 0:
                self._undo.enter_context(self._change())
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._undo.close()


@contextmanager
def silent(*packages: str, level: int = SILENT) -> Iterator[None]:
    """Keep packages from logging anything; handlers that their loggers are given meanwhile go again.

    Each of Dask's schedulers and workers leaves such a handler behind.

    Parameters
    ----------
    packages : str
        The first part of their loggers' names.
    level : int
        What they may still log: nothing, unless another level is given.
    """
    # Loggers may have levels of their own, which their parents' do not overrule.
    names = {name for name in list(logging.root.manager.loggerDict) if name.partition(".")[0] in packages}
    loggers = [logging.getLogger(name) for name in sorted({*names, *packages})]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, own, handlers in before:
            logger.setLevel(own)
            for handler in [added for added in logger.handlers if added not in handlers]:
                logger.removeHandler(handler)
