"""What `import wsi_seg` offers: the list, its signatures, and that it costs nothing."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.resources import files

import pytest

import wsi_seg as ws

HEAVY = ("torch", "dask", "distributed", "zarr", "openslide", "numpy", "pydantic", "shapely", "tifffile")


def test_the_list_is_what_the_page_lists() -> None:
    assert ws.__all__ == [
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


@pytest.mark.parametrize("name", ws.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    assert name in dir(ws)
    value = getattr(ws, name)
    assert not inspect.ismodule(value), "a name that a module has too would change what it means"
    if name != "__version__":
        assert inspect.getdoc(value)


def test_no_other_name_is_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'predict_slides'"):
        _ = ws.predict_slides


def test_importing_it_imports_nothing_heavy() -> None:
    code = f"import sys, wsi_seg; dir(wsi_seg); print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_types_are_shipped() -> None:
    assert files("wsi_seg").joinpath("py.typed").is_file()
