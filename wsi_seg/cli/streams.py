"""Standard output and error that are full, closed or not there: told at the end, and no end to what runs."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator


class Forgiving:
    """A text stream whose troubles do not reach what writes to it. All else is the stream's own.

    Attributes
    ----------
    error : OSError or None
        What went wrong first; nothing more is written then.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write, if that can be done."""
        if self.error is None:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flush, if that can be done."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._give_up(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self, error: OSError) -> None:
        self.error = error
        with suppress(OSError, ValueError):  # what is left to be written goes nowhere, at the end too
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


@contextmanager
def forgiving() -> Iterator[Forgiving]:
    """Let a program go on whose output nobody takes; give what stands in for standard output."""
    _hold()
    out, err = sys.stdout or open(os.devnull, "w"), sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    stand_in = Forgiving(out)
    sys.stdout, sys.stderr = cast("TextIO", stand_in), cast("TextIO", Forgiving(err))
    try:
        yield stand_in
    finally:
        sys.stdout, sys.stderr = out, err


def _hold() -> None:
    """See that no file is opened as number 0, 1 or 2, which libraries print to."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # as the lowest number that is free


def trouble(error: OSError) -> str:
    """Say what went wrong with standard output."""
    if error.errno == errno.EPIPE:
        return "standard output was closed before everything was printed"
    return f"standard output cannot be written ({error.strerror}): free space there, or print elsewhere"
