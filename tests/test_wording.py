"""One is not many, and messages use plain words."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import wsi_seg
from wsi_seg.wording import counted


@pytest.mark.parametrize(
    ("count", "what", "said"),
    [
        (0, "regions", "0 regions"),
        (1, "regions", "1 region"),
        (2, "regions", "2 regions"),
        (1, "outlines simplified less, for their class", "1 outline simplified less, for their class"),
        (1, "classes outlined", "1 class outlined"),
        (1, "vertices", "1 vertex"),
        (1, "tiles of 256 px", "1 tile of 256 px"),
    ],
)
def test_one_is_not_many(count: int, what: str, said: str) -> None:
    assert counted(count, what) == said


def test_messages_use_the_words_of_the_glossary() -> None:
    """Old phrases must not come back into what users read; docstrings are not messages."""
    words = (
        "(go|goes|going|went|gone) on|mend(s|ed)?|means nothing|pass(ed|es) over|anew|(is|are|be) told|begun|"
        "br(oke|oken|eaks?) off|look(s|ed|ing)? after|in mid-run"
    )
    old = re.compile(rf"\b({words})\b")
    found = []
    for path in sorted(Path(wsi_seg.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found += [
            f"{path.name}:{node.lineno}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
            if old.search(node.value)
        ]
    assert found == []
