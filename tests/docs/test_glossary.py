"""The glossary defines each term once, and the words that it replaced stay away."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from helpers.pages import ROOT, prose

GLOSSARY = ROOT / "docs" / "glossary.md"
ROW = re.compile(r"^\| ([^|]+?) \| ([^|]+?) \| \[[^]]+\]\([^)]+\) \|$")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

INSTEAD = {
    r"\bis told\b|\bare told\b|\btold by\b|\btold from\b|\btold in\b": "is reported, is detected from",
    r"\bmend(s|ed|ing)?\b": "repair",
    r"\bgo(es|ing|ne)? on with\b": "resume, continue",
    r"\bof which nothing is said\b": "that says nothing about it",
    r"\bon record\b": "in the record, in the ledger",
    r"\banew\b": "again",
    r"\bin mid-run\b": "during the run",
    r"\bbr(oke|oken|eaks?) off\b": "stopped, failed, was interrupted",
    r"\bwhat is met\b": "case",
    r"\bwhoever\b": "the code or the person that is meant",
    r"\b(one|a) (file|row|entry|folder|line) an? \w+\b": "for each",
}
"""Phrases that a reader stumbles over, and what is written in their place."""


def terms() -> list[tuple[str, str]]:
    return [(found[1], found[2]) for _, line in prose(GLOSSARY) if (found := ROW.match(line))]


def test_each_term_is_defined_once_and_says_where_to_look() -> None:
    rows = [line for _, line in prose(GLOSSARY) if line.startswith("| ") and not line.startswith("| term |")]
    assert len(terms()) == len(rows) > 30
    assert [name for name, times in Counter(name.lower() for name, _ in terms()).items() if times > 1] == []


def test_a_definition_is_a_sentence() -> None:
    assert [name for name, meaning in terms() if not meaning.endswith(".")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_use_the_plain_words(page: Path) -> None:
    found = [
        f"line {number}: {match[0]!r}: write {instead}"
        for number, line in prose(page)
        for phrase, instead in INSTEAD.items()
        for match in re.finditer(phrase, line, re.IGNORECASE)
    ]
    assert found == []
