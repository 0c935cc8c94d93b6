"""The reference has every public name, and what the public calls return."""

from __future__ import annotations

import re
from importlib import import_module

from helpers.pages import ROOT

import wsi_seg as ws

RETURNED = {"OpenSlide", "SlideImage", "LabelImage", "Polygon", "Training", "Scores", "CheckReport"}


def test_the_reference_is_complete():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    entries = re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)
    names = {entry.rpartition(".")[2]: entry for entry in entries}
    assert {*ws.__all__, *RETURNED} - {"__version__"} <= names.keys()
    for name, entry in names.items():
        value = getattr(import_module(entry.rpartition(".")[0]), name)
        assert value.__doc__
        if name in ws.__all__:
            assert value is getattr(ws, name)
