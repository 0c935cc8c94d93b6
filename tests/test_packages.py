"""A package that cannot be imported: missing, or broken in whatever way."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
import torch
from helpers.packages import broken_package

import wsi_seg as ws
from wsi_seg.api.polygons import to_geopandas
from wsi_seg.errors import UsageError
from wsi_seg.models.onnx.graph import onnx_package
from wsi_seg.models.onnx.onnx_session import onnx_runtime
from wsi_seg.packages import ImportFault
from wsi_seg.paper.bench.missing import Missing
from wsi_seg.paper.bench.power import gpu_meter

if TYPE_CHECKING:
    from pathlib import Path


def fault_of(name: str, extra: str | None = "some") -> ImportFault:
    try:
        import_module(name)
    except Exception as error:
        return ImportFault.of(error, extra)
    raise AssertionError(f"{name} can be imported")


def test_a_package_that_is_missing_names_the_extra() -> None:
    assert fault_of("no_such_package.part") == ImportFault(
        "no_such_package", "is not installed: pip install 'wsi-seg[some]'"
    )
    assert fault_of("no_such_package", None).says == "is not installed: install wsi-seg again"
    assert fault_of("wsi_seg.no_such_part") == ImportFault(
        "wsi_seg.no_such_part", "is missing: install wsi-seg again"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise OSError('libcodec.so.3: cannot open')", "OSError: libcodec.so.3: cannot open"),
        ("from json import no_such_name", "ImportError: cannot import name 'no_such_name' from 'json'"),
        ("import some_package.lost", "ModuleNotFoundError: No module named 'some_package.lost'"),
        ("None.part", "AttributeError: 'NoneType' object has no attribute 'part'"),
    ],
)
def test_a_broken_package_is_named_with_what_it_says(
    code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_package("some_package", code, tmp_path, monkeypatch)
    fault = fault_of("some_package")
    assert fault.package == "some_package"
    assert fault.says.startswith(f"cannot be imported ({said}")
    assert fault.says.endswith("): pip install --force-reinstall some_package")


def test_what_a_package_needs_and_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_package("some_package", "import no_such_package", tmp_path, monkeypatch)
    assert fault_of("some_package") == ImportFault(
        "no_such_package", "is not installed: pip install 'wsi-seg[some]'"
    )


def test_every_optional_package_that_is_broken_gives_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("geopandas", "onnx", "onnxruntime", "tensorboard", "pynvml"):
        broken_package(name, "raise OSError('no such library')", tmp_path, monkeypatch)
    calls: dict[str, Callable[[], object]] = {
        "geopandas": lambda: to_geopandas(list, "slide"),
        "onnx": onnx_package,
        "onnxruntime": onnx_runtime,
        "tensorboard": lambda: ws.train([("slide", "outlines")], out=tmp_path / "out"),
    }
    for name, call in calls.items():
        with pytest.raises(UsageError) as refused:
            call()
        assert f"needs {name}, which cannot be imported (OSError: no such library): pip inst" in str(
            refused.value
        )
    meter = gpu_meter(torch.device("cuda"))
    assert isinstance(meter, Missing)
    assert "pynvml, which cannot be imported (OSError: no such library)" in str(meter)
