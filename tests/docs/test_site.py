"""The site builds without a warning, and its pages ask no other host for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from helpers.pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ASKED_FOR = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?![^>]*rel=["']?(?:canonical|next|prev))[^>]*\bhref=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|@import\s+(?:url\()?["']?((?:https?:)?//[^"')\s]+)|url\(["']?((?:https?:)?//[^"')\s]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_page_is_built(site: Path) -> None:
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    written = {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    assert written | {"CHANGELOG.html", "findings/index.html", "benchmarks/results/predict.html"} <= pages
    assert not list(site.rglob("*.py"))


@pytest.mark.slow
def test_no_page_asks_another_host(site: Path) -> None:
    asked = {
        f"{path.relative_to(site)}: {next(filter(None, found.groups()))}"
        for path in site.rglob("*")
        if path.suffix in {".html", ".css"}
        for found in ASKED_FOR.finditer(path.read_text(encoding="utf-8"))
    }
    assert asked == set()


def test_every_page_is_in_the_navigation() -> None:
    """One that is not can be found by searching alone."""
    named = set(
        re.findall(r"^ +- [^:]+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M)
    )
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    results = {path.relative_to(ROOT).as_posix() for path in (ROOT / "benchmarks" / "results").glob("*.md")}
    assert (pages | results) - named == set()


def test_a_page_that_asks_another_host_is_found() -> None:
    assert ASKED_FOR.search('<script src="https://cdn.example/x.js">')
    assert ASKED_FOR.search('<link rel="stylesheet" href="https://fonts.example/css">')
    assert ASKED_FOR.search("body { background: url(//cdn.example/x.png) }")
    assert not ASKED_FOR.search('<a href="https://arxiv.org/abs/1803.06815">')
    assert not ASKED_FOR.search('<script src="assets/x.js">')
