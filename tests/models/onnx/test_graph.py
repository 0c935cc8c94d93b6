"""ONNX models are checked before they run, once for each content."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from helpers.onnx_files import saved, write_onnx

from wsi_seg.errors import ModelError
from wsi_seg.models.onnx import graph
from wsi_seg.models.onnx.onnx_network import OnnxNet
from wsi_seg.models.onnx.onnx_session import Session

CPU = torch.device("cpu")


def test_a_content_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[int] = []
    check = onnx.checker.check_model

    def counted(model: onnx.ModelProto) -> None:
        checked.append(1)
        check(model)

    monkeypatch.setattr(graph, "_sound", set())
    monkeypatch.setattr(onnx.checker, "check_model", counted)
    network = saved(write_onnx(tmp_path / "net.onnx", kernel=1)).network
    assert isinstance(network, OnnxNet)
    for _ in range(3):
        network.open(CPU, 1)
    assert len(checked) == 1
    graph._sound.clear()  # as in another process
    for _ in range(3):
        network.open(CPU, 1)
    assert len(checked) == 2


def test_what_is_refused_once_is_refused_again(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx", last=("Frob",), domain="com.example")
    for _ in range(2):
        with pytest.raises(ModelError, match=r"com\.example\.Frob"):
            Session(path, path.read_bytes(), CPU, 1)
