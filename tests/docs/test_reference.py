"""The reference has every public name, and what the public calls return."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from importlib import import_module

import pytest
from helpers.pages import ROOT

import wsi_seg as ws
from wsi_seg.api.measuring import Measures
from wsi_seg.api.open_slide import OpenSlide

CALLS = [
    *(ws.check_geojson, ws.evaluate, ws.load_model, ws.open_result, ws.open_slide, ws.segment, ws.suggest),
    *(ws.train, ws.Model.from_torch, ws.Model.segment, ws.Runner.segment, OpenSlide.read),
    *(ws.Result.polygons, ws.Result.to_geojson, ws.Result.to_geopandas, ws.measure),
    *(Measures.save, Measures.to_geojson),
]
RETURNED = {
    *("OpenSlide", "SlideImage", "LabelImage", "Familiarity", "Polygon", "Training", "Scores", "CheckReport"),
    "Measures",
}


def test_the_reference_is_complete() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    entries = re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)
    names = {entry.rpartition(".")[2]: entry for entry in entries}
    assert {*ws.__all__, *RETURNED} - {"__version__"} <= names.keys()
    for name, entry in names.items():
        value = getattr(import_module(entry.rpartition(".")[0]), name)
        assert value.__doc__
        if name in ws.__all__:
            assert value is getattr(ws, name)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__qualname__)
def test_every_argument_is_described(call: Callable[..., object]) -> None:
    text = inspect.getdoc(call) or ""
    section = re.split(r"\n(?:Returns|Raises)\n---", text.partition("Parameters\n---")[2])[0]
    described = set(re.findall(r"\w+", " ".join(re.findall(r"^(\w[\w, ]*?)(?: :|$)", section, re.MULTILINE))))
    assert inspect.signature(call).parameters.keys() - {"self", "cls"} <= described
