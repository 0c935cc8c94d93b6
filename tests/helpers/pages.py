"""The project's documents: which there are, and the headings, links and commands in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = (
    "*.md",
    "docs/*.md",
    "benchmarks/*.md",
    "benchmarks/results/*.md",
    "findings/*.md",
    "tests/golden/*.md",
)
PAGES = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))

FENCE = re.compile(r"^(`{3,}|~{3,})")
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$")
COMMAND = re.compile(r"^(?:\$ )?(?:\S*/)?(?:wsi-seg|python -m wsi_seg) (.*)$")


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines outside of code blocks."""
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if FENCE.match(line.strip()):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            yield number, line


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site name them."""
    found: set[str] = set()
    for _, line in prose(page):
        heading = HEADING.match(line)
        if heading:
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1])
            name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            again = sum(
                other == name or re.fullmatch(rf"{re.escape(name)}-\d+", other) is not None for other in found
            )
            found.add(f"{name}-{again}" if again else name)
    return found


def commands(page: Path) -> Iterator[tuple[int, str]]:
    """Yield number and arguments of each `wsi-seg` line in a page's code blocks."""
    fenced, whole, start = False, "", 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if FENCE.match(line.strip()):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            start = start if whole else number
            whole += line.strip()
            if whole.endswith("\\"):
                whole = whole[:-1]
                continue
            command = COMMAND.match(whole)
            if command:
                yield start, command[1]
        whole = ""
