"""Cases side by side, each in a fork of its own; what came of them is kept line by line."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .damages import DamageCase, Damager
from .kills import KillCase, Killer

Case = KillCase | DamageCase
Row = dict[str, Any]
TICK = 0.01


class Log:
    """What came of the cases done so far; a run that was interrupted goes on behind it.

    Parameters
    ----------
    path : Path
    code : str
        Which code is tried; what came of another one is thrown away.
    """

    def __init__(self, path: Path, code: str) -> None:
        self._path = path
        rows = self._read()
        if rows[:1] != [{"code": code}]:
            rows = []
            path.write_text(json.dumps({"code": code}) + "\n")
        self.rows = rows[1:]

    def add(self, row: Row) -> None:
        """Keep what came of a case."""
        self.rows.append(row)
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def _read(self) -> list[Row]:
        if not self._path.exists():
            return []
        lines = self._path.read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]


def do_cases(doer: Killer | Damager, numbers: Iterator[int], jobs: int, folder: Path) -> Iterator[Row]:
    """Do cases, so many at a time; yield what came of each as it ends.

    Parameters
    ----------
    doer : Killer or Damager
    numbers : iterator of int
        Asked for the next one when there is room: it may end early.
    jobs : int
    folder : Path
        For what the cases hand back.
    """
    running: dict[int, tuple[int, Path]] = {}
    over = False
    while running or not over:
        while not over and len(running) < jobs:
            number = next(numbers, None)
            if number is None:
                over = True
                break
            path = folder / f"case-{number}.json"
            doer.ready(number)
            running[_start(doer.case, number, path)] = number, path
        for child in list(running):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                number, path = running.pop(child)
                if status or not path.exists():
                    raise RuntimeError(f"case {number} could not be judged")
                yield json.loads(path.read_text())
                path.unlink()
        time.sleep(TICK)


def _start(do: Callable[[int], Case], number: int, path: Path) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        begin = time.monotonic()
        row = asdict(do(number))
        row["took"] = round(time.monotonic() - begin, 2)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(row))
        partial.replace(path)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
