"""The worked example of the page on measuring comes out as the page says: commands, table and figures."""

from __future__ import annotations

import csv
import re
import shlex
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest
from helpers.pages import ROOT, commands
from helpers.program import Program
from helpers.snippets import snippets

PAGE = ROOT / "docs" / "measure.md"
NUMBER = re.compile(r"\d+\.?\d*")


def alike(found: str, stated: str) -> None:
    """See that a text is the stated one, with figures that differ as another processor may round them."""
    assert NUMBER.sub("#", found) == NUMBER.sub("#", stated)
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (found, stated)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.03, abs=0.002)


def stated_table() -> list[dict[str, str]]:
    """The table on the page."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    lines = list(dropwhile(lambda line: not line.startswith("| class |"), lines))
    header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.mark.slow
def test_the_worked_example_comes_out_as_it_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Program(capsys, monkeypatch)
    worked = list(dropwhile(lambda line: not line.startswith("demo slide"), (c for _, c in commands(PAGE))))
    assert len(worked) == 3
    for command in worked:
        assert run(*shlex.split(command)).code == 0, command
    rows = {row["class"]: row for row in csv.DictReader(Path("measures.csv").read_text().splitlines())}
    assert len(stated_table()) == len(rows) == 8
    for row in stated_table():
        for name, cell in row.items():
            alike(rows[row["class"]][name], cell)
    names: dict[str, Any] = {}
    for block in snippets(PAGE):
        block.run(names)
    said = capsys.readouterr().out
    alike(said, "".join(block.code for block in snippets(PAGE, "text")))
