"""Faults in a file: what is wrong, its place, and the remedy."""

from __future__ import annotations

import reprlib
from collections import Counter
from dataclasses import dataclass

LISTED = 20
"""Faults of one kind that are kept; the rest are only counted."""


@dataclass(frozen=True)
class Fault:
    """Something wrong with a file.

    Attributes
    ----------
    kind : str
        The same word for all faults of one kind.
    where : str
        The part of the file.
    what : str
        What is wrong there.
    remedy : str
        The remedy.
    warning : bool
        QuPath opens the file, but not all of it as intended.
    """

    kind: str
    where: str
    what: str
    remedy: str
    warning: bool = False


class Findings:
    """Collects faults: the first `LISTED` of each kind, and the number of all."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.counts: Counter[str] = Counter()
        self.errors = 0

    def error(self, kind: str, where: str, what: str, remedy: str) -> None:
        """Add a fault that makes QuPath refuse the file, or lose something in it."""
        self.errors += 1
        self._note(Fault(kind, where, what, remedy))

    def warn(self, kind: str, where: str, what: str, remedy: str) -> None:
        """Add a fault that QuPath tolerates."""
        self._note(Fault(kind, where, what, remedy, warning=True))

    def _note(self, fault: Fault) -> None:
        self.counts[fault.kind] += 1
        if self.counts[fault.kind] <= LISTED:
            self.faults.append(fault)


def shown(value: object) -> str:
    """Return a value from a file, however large or deep, as a short text for one line."""
    return reprlib.repr(value).encode("ascii", "backslashreplace").decode()
