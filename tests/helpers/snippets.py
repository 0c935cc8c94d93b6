"""The code blocks of a page, to be run as they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=indent)```\s*$", re.M | re.S
)


@dataclass(frozen=True)
class Snippet:
    """A fenced block of code, and the line of the page that it begins at."""

    page: Path
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    def run(self, names: dict[str, Any]) -> None:
        """Run Python code with, and into, these names; a traceback shows the page and its line."""
        source = "\n" * (self.line - 1) + self.code
        exec(compile(source, str(self.page), "exec"), names)

    def replaced(self, *pairs: tuple[str, str]) -> Snippet:
        """The same with other words; each must be there, so that a page that changes is noticed."""
        code = self.code
        for old, new in pairs:
            assert old in code, f"{self}: no {old!r} in it"
            code = code.replace(old, new)
        return Snippet(self.page, self.line, code)


def snippets(page: Path, language: str = "python") -> list[Snippet]:
    """The blocks of one language on a Markdown page, from top to bottom."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in FENCE.finditer(text):
        if block["language"] == language:
            lines = block["code"].splitlines(keepends=True)
            code = "".join(line.removeprefix(block["indent"]) for line in lines)
            found.append(Snippet(page, text.count("\n", 0, block.start("code")) + 1, code))
    return found
