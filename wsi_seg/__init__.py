"""Whole-slide histopathology segmentation with ESPNet: from a slide file to class polygons in QuPath.

``import wsi_seg as ws`` gives the names of `__all__`, and nothing else is public: see docs/python.md. Each is
imported when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsi_seg.api.checking import check_geojson
    from wsi_seg.api.evaluating import evaluate
    from wsi_seg.api.measuring import measure
    from wsi_seg.api.model import Model, load_model
    from wsi_seg.api.open_slide import open_slide
    from wsi_seg.api.result import Result, open_result
    from wsi_seg.api.runner import Runner
    from wsi_seg.api.segmenting import segment
    from wsi_seg.api.suggesting import suggest
    from wsi_seg.api.training import train
    from wsi_seg.errors import WsiSegError

__version__ = "0.1.0"

__all__ = [
    "Model",
    "Result",
    "Runner",
    "WsiSegError",
    "__version__",
    "check_geojson",
    "evaluate",
    "load_model",
    "measure",
    "open_result",
    "open_slide",
    "segment",
    "suggest",
    "train",
]

_HOMES = {
    "Model": "api.model",
    "Result": "api.result",
    "Runner": "api.runner",
    "WsiSegError": "errors",
    "check_geojson": "api.checking",
    "evaluate": "api.evaluating",
    "load_model": "api.model",
    "measure": "api.measuring",
    "open_result": "api.result",
    "open_slide": "api.open_slide",
    "segment": "api.segmenting",
    "suggest": "api.suggesting",
    "train": "api.training",
}
"""The module that each public name is defined in."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
