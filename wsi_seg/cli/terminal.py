"""Output to the terminal: all messages pass through here, so that no name can control a terminal."""

from __future__ import annotations

import sys

from wsi_seg.errors import printable


def say(line: str = "", err: bool = False) -> None:
    """Print one line, with control characters escaped.

    Parameters
    ----------
    line : str
    err : bool
        Print to stderr instead of stdout.
    """
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(printable(line).encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def say_lines(text: str, err: bool = False) -> None:
    """Print a text line by line, as `say` does."""
    for line in text.split("\n"):
        say(line, err)
