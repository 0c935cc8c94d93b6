"""Every link of the documents leads somewhere, and so does every page that the program names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from helpers.pages import PAGES, ROOT, anchors, prose

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"\b(docs/[\w-]+\.md)(#[\w-]+)?")


def _fault(start: Path, target: str, anchor: str) -> str | None:
    path = (start / target).resolve()
    if not path.exists():
        return f"{target}: not there"
    if anchor and anchor not in anchors(path):
        return f"{target}#{anchor}: no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    faults = []
    for number, line in prose(page):
        for link in LINK.findall(line):
            if not re.match(r"[a-z]+:", link):
                target, _, anchor = link.partition("#")
                fault = _fault(page.parent, target or page.name, anchor)
                faults += [f"line {number}: {fault}"] if fault else []
    assert faults == []


def test_there_are_links_and_a_broken_one_is_found() -> None:
    assert sum(len(LINK.findall(line)) for page in PAGES for _, line in prose(page)) > 100
    docs = ROOT / "docs"
    assert _fault(docs, "design.md", "frames") is None
    assert _fault(docs, "design.md", "no-such-heading") == "design.md#no-such-heading: no such heading"
    assert _fault(docs, "no-such-page.md", "") == "no-such-page.md: not there"


def test_every_page_that_the_program_names_is_there() -> None:
    files = [path for path in (ROOT / "wsi_seg").rglob("*") if path.suffix in {".py", ".cpp"}]
    files += [ROOT / "Makefile", ROOT / "pyproject.toml", *(ROOT / "pipelines").glob("*.yaml")]
    named = {found.groups(default="") for path in files for found in NAMED.finditer(path.read_text())}
    faults = [fault for page, anchor in named if (fault := _fault(ROOT, page, anchor.removeprefix("#")))]
    assert faults == []
