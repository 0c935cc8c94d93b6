"""The program as a user meets it, in this process: its exit code and what it writes."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from wsi_seg.cli.main import main


@dataclass(frozen=True)
class Ended:
    """What a call of the program came to."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line that an error is."""
        lines = [line for line in self.err.splitlines() if line.startswith("wsi-seg: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


@dataclass(frozen=True)
class Program:
    """Calls `wsi-seg` with arguments: `before` those that a test gives, and `after` them."""

    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    before: tuple[object, ...] = ()
    after: tuple[object, ...] = ()

    def __call__(self, *arguments: object) -> Ended:
        """Call it, and wait for its end."""
        given = map(str, (*self.before, *arguments, *self.after))
        self.monkeypatch.setattr(sys, "argv", ["wsi-seg", *given])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self.capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)
