"""Pages are filled from templates: no text becomes markup, and a page asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.batches import Page
from jinja2 import UndefinedError

from wsi_seg.pages.rendering import SHARED, STYLES, data_uri, render

EVIL = "<script>alert(1)</script>\"' onload='x' {{ 7 * 7 }} \u202e\x1b"


@dataclass(frozen=True)
class Content:
    """What a template of a test knows."""

    title: str
    contents: tuple[()] = ()


def filled(tmp_path: Path, body: str, title: str = "A title") -> str:
    template = tmp_path / "page.html"
    template.write_text(
        '{% extends "base.html" %}{% import "parts.html" as parts %}{% block main %}'
        f"{body}{{% endblock %}}"
    )
    return render(template, Content(title))


def test_every_text_is_escaped_and_none_steers_a_browser(tmp_path: Path) -> None:
    text = filled(
        tmp_path, '<p title="{{ page.title }}">{{ page.title }}</p>{{ parts.named(none, page.title) }}', EVIL
    )
    page = Page(text)
    assert page.tags.count("script") == 1
    assert page.text.count("<script>alert(1)</script>") == 4
    assert "{{ 7 * 7 }}" in page.text
    assert r"\u202e\x1b" in page.text
    assert not {"\u202e", "\x1b"} & set(text)


def test_bytes_that_are_no_text_are_shown_as_numbers_and_lines_stay(tmp_path: Path) -> None:
    text = filled(tmp_path, "<pre>{{ page.title }}</pre>", os.fsdecode(b"caf\xe9") + "\n腫瘍")
    assert "<pre>caf\\xe9\n腫瘍</pre>" in text
    text.encode()


def test_a_page_asks_for_nothing_and_runs_one_script_alone(tmp_path: Path) -> None:
    text = filled(tmp_path, "")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert not re.findall(r"https?://|url\(|@import", text)
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text


def test_a_name_that_a_template_does_not_know_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UndefinedError, match="no_such"):
        filled(tmp_path, "{{ page.no_such.thing }}")


def test_a_picture_is_in_its_address_and_shared_files_end_no_tag() -> None:
    assert data_uri(b"\xff\xd8", "image/jpeg") == "data:image/jpeg;base64,/9g="
    for name in (*STYLES, "sort.js"):
        assert "</" not in (SHARED / name).read_text()


def test_every_page_begins_with_the_one_template_and_has_its_colours() -> None:
    package = SHARED.parent
    pages = [path for path in package.rglob("*.html") if path.parent != SHARED]
    assert len(pages) == 5
    for page in pages:
        assert page.read_text().startswith(('{% extends "base.html" %}', '{% extends "shell.html" %}')), page
    colours = [path.name for path in package.rglob("*.css") if "prefers-color-scheme" in path.read_text()]
    assert colours == ["look.css"]
