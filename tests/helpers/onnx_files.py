"""Small ONNX networks, written operator by operator, and imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from wsi_seg.models.bundle import ModelBundle, load_bundle, save_bundle
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.header import ModelHeader
from wsi_seg.models.onnx.importing import import_onnx
from wsi_seg.models.onnx.onnx_config import OnnxConfig
from wsi_seg.models.onnx.onnx_network import OnnxNet
from wsi_seg.models.onnx.ports import Stated
from wsi_seg.models.upstream import InputOverrides

UNIT = InputOverrides(mean=(0, 0, 0), std=(255, 255, 255), mpp=2.0)

CHANNEL_AXIS = {"NCHW": 1, "NHWC": 3}


def write_onnx(
    path: Path,
    *,
    classes: int = 3,
    last: Sequence[str] = (),
    layout: str = "NCHW",
    side: int | None = None,
    batch: int | None = None,
    kernel: int = 3,
    stride: int = 1,
    domain: str = "",
    outputs: Sequence[str] = ("logits",),
    change: Any = None,
) -> Path:
    """Write a convolution that gives class k four times the mean of channel k; then `last`."""
    weight = np.zeros((classes, 3, kernel, kernel), np.float32)
    for k in range(classes):
        weight[k, k % 3] = 4 / kernel**2
    image: list[int | str] = [batch or "n", 3, side or "h", side or "w"]
    if layout == "NHWC":
        image = [image[0], image[2], image[3], 3]
    nodes, name = [], "image"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [name], ["planes"], perm=[0, 3, 1, 2]))
        name = "planes"
    steps = ["Conv", *last]
    for number, step in enumerate(steps):
        out = outputs[0] if number == len(steps) - 1 else f"step{number}"
        options: dict[str, Any] = {}
        if step == "Conv":
            pad = kernel // 2 if stride == 1 else 0
            options = {"strides": [stride] * 2, "pads": [pad] * 4}
        elif step == "Softmax":
            options = {"axis": 1}
        elif step == "ArgMax":
            options = {"axis": 1, "keepdims": 0}
        inputs = [name, "weight"] if step == "Conv" else [name]
        nodes.append(helper.make_node(step, inputs, [out], domain=domain if number else "", **options))
        name = out
    for extra in outputs[1:]:
        nodes.append(helper.make_node("Identity", [outputs[0]], [extra]))
    kind = TensorProto.INT64 if "ArgMax" in last else TensorProto.FLOAT
    shape = ["a", "b", "c"] + (["d"] if kind == TensorProto.FLOAT else [])
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(each, kind, shape) for each in outputs],
        [numpy_helper.from_array(weight, "weight")],
    )
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    if change is not None:
        change(model)
    onnx.save(model, str(path))
    return path


def schema(count: int = 3) -> ClassSchema:
    classes = tuple(TissueClass(id=10 + i, name=f"class {i}", color=(i, 0, 0)) for i in range(count))
    return ClassSchema(name="some", classes=classes)


def import_small(path: Path, count: int = 3, stated: Stated | None = None) -> tuple[OnnxNet, ModelHeader]:
    """Import a network of a small reach, which is measured on small images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wsi_seg.models.onnx.importing.SIDE", 64)
        return import_onnx(path, schema(count), UNIT, stated)


def saved(path: Path, count: int = 3, stated: Stated | None = None) -> ModelBundle:
    """Import, save, and load again."""
    network, header = import_small(path, count, stated)
    model = path.with_suffix(".safetensors")
    save_bundle(model, network, header)
    return load_bundle(model)


def config_of(path: Path, count: int = 3, stated: Stated | None = None) -> OnnxConfig:
    config = import_small(path, count, stated)[0].config
    assert isinstance(config, OnnxConfig)
    return config


def random_rgb(height: int = 128, width: int = 192, count: int = 2) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
