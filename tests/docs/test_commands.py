"""Every `wsi-seg` line of the documents is one that the command line understands."""

from __future__ import annotations

import shlex
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import pytest
import typer.main
from helpers.pages import PAGES, ROOT, commands

from wsi_seg.cli.commands import app

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN = [page for page in PAGES if any(commands(page)) and "benchmarks/results" not in page.as_posix()]

SHELL = {"|", ">", "&&", ";", "2>&1"}


@cache
def root() -> object:
    """Return the command line; to build it takes long."""
    return typer.main.get_command(app)


def fault(line: str) -> str | None:
    """Return what the command line would say of a line's words; files need not be there."""
    given = list(takewhile(lambda word: word not in SHELL, shlex.split(line, comments=True)))
    command: Any = root()
    context = command.make_context("wsi-seg", [], resilient_parsing=True)
    try:
        while hasattr(command, "commands"):
            name, command, given = command.resolve_command(context, given)
            context = type(context)(command, info_name=name, parent=context)
        values, left, _ = command.make_parser(context).parse_args(given)
    except (
        Exception
    ) as error:  # of the command line's library, of which there are two; its message is the answer
        return str(getattr(error, "message", "") or error)
    missing = [p.name for p in command.params if p.required and values.get(p.name) in (None, (), [])]
    return f"too much: {left}, missing: {missing}" if left or missing else None


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_command_line_understands_every_line(page: Path) -> None:
    said = [(number, line, fault(line)) for number, line in commands(page)]
    assert [one for one in said if one[-1] is not None] == []


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_first_commands_follow_one_another(page: str) -> None:
    """A second model does not write to the first one's result, which it would be refused."""
    written = [
        (
            words[words.index("--model") + 1] if "--model" in words else "",
            words[words.index("-o") + 1] if "-o" in words else "results",
        )
        for _, line in commands(ROOT / page)
        if (words := shlex.split(line, comments=True))[0] == "predict"
    ]
    assert len(written) == 2
    assert len({folder for _, folder in written}) == len({model for model, _ in written}) == 2


def test_there_are_commands_and_wrong_ones_are_found() -> None:
    assert sum(1 for page in WRITTEN for _ in commands(page)) > 40
    assert fault("predict slide.svs --model m.safetensors  # a remark") is None
    assert fault("predict slide.svs --no-such-option") is not None
    assert fault("check file.geojson --json | jq .faults") is None
    assert fault("models no-such-command") is not None
    assert fault("export") is not None
    assert fault("no-such-command") is not None
    assert fault("models show") is not None
