"""Standard output and error that are full, closed or missing: reported at the end, without ending the run."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator


class Forgiving:
    """A text stream that hides its errors from the code that writes to it, and is otherwise unchanged.

    Attributes
    ----------
    error : OSError or None
        The first error; after it nothing more is written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write, if possible."""
        if self.error is None:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flush, if possible."""
        if self.error is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._give_up(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self, error: OSError) -> None:
        self.error = error
        with suppress(OSError, ValueError):  # the rest of the output is discarded, also at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


@contextmanager
def forgiving() -> Iterator[Forgiving]:
    """Let a program continue when nobody reads its output; return the replacement for standard output."""
    _hold()
    out, err = sys.stdout or open(os.devnull, "w"), sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    stand_in = Forgiving(out)
    sys.stdout, sys.stderr = cast("TextIO", stand_in), cast("TextIO", Forgiving(err))
    try:
        yield stand_in
    finally:
        sys.stdout, sys.stderr = out, err


def _hold() -> None:
    """Make sure that no file is opened as number 0, 1 or 2, to which libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def trouble(error: OSError) -> str:
    """Describe the error of standard output."""
    if error.errno == errno.EPIPE:
        return "standard output was closed before everything was printed"
    return f"standard output cannot be written ({error.strerror}): free space there, or print elsewhere"
