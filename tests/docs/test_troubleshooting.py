"""The messages that the page on troubleshooting explains are messages of the program."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest
from helpers.pages import ROOT, prose

ROW = re.compile(r"^\| `([^`]+)` \|")
MESSAGES = [
    found[1]
    for _, line in prose(ROOT / "docs" / "troubleshooting.md")
    if (found := ROW.match(line)) is not None
]


@cache
def literals() -> tuple[str, ...]:
    """Return every text of the program, with `...` for what is put into it."""
    texts = []
    for path in sorted((ROOT / "wsi_seg").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return tuple(texts)


def is_said(message: str) -> bool:
    pattern = re.compile(".*".join(map(re.escape, message.split("..."))), re.DOTALL)
    return any(pattern.search(text) for text in literals())


@pytest.mark.parametrize("message", MESSAGES)
def test_the_program_says_so(message: str) -> None:
    assert is_said(message)


def test_there_are_messages_and_a_wrong_one_is_found() -> None:
    assert len(MESSAGES) > 20
    assert not is_said("the moon is in the way")
