"""Where the help page shows what, and what only the paper needs."""

from __future__ import annotations

import re

from typer.testing import CliRunner

from wsi_seg.cli.commands import app


def test_the_help_page_shows_the_product_first_and_the_paper_last() -> None:
    page = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).stdout
    panels = re.findall(r"^╭─ ([^─]+) ─", page, re.MULTILINE)
    assert panels == ["Options", "From slide to result", "Train", "Look after", "The paper"]
    commands = re.findall(r"^│ ([a-z]+)  ", page, re.MULTILINE)
    assert commands[:6] == ["predict", "export", "measure", "report", "view", "info"]
    assert commands[-1] == "paper"
    assert "bench" not in commands


def test_the_old_name_of_a_command_works_and_names_the_new_one() -> None:
    old, new = (CliRunner().invoke(app, [*name, "--list"]) for name in (["bench"], ["paper", "bench"]))
    assert (old.exit_code, new.exit_code) == (0, 0)
    assert old.stdout == new.stdout
    assert old.stdout.startswith("espnet ")
    assert "`wsi-seg paper bench`" in old.stderr
    assert not new.stderr
