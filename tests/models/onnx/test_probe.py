"""Networks as other programs export them: each is used rightly, or refused with a remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from helpers.onnx_files import config_of, import_small, random_rgb, saved, write_onnx

from wsi_seg.errors import ModelError
from wsi_seg.inference.network.segmenter import Segmenter


def channels_last(model: Any) -> None:
    """Give the map axes as Keras has them."""
    last = model.graph.node[-1]
    last.output[0] = "scores"
    model.graph.node.append(onnx.helper.make_node("Transpose", ["scores"], ["logits"], perm=[0, 2, 3, 1]))


def one_at_a_time(model: Any) -> None:
    """Mix the images of a batch, whatever number the file allows."""
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0], np.int64), "batch"))
    last = model.graph.node[-1]
    last.output[0] = "before"
    model.graph.node.append(onnx.helper.make_node("ReduceSum", ["before", "batch"], ["logits"], keepdims=1))


def of_opset(number: int, ir: int) -> Any:
    def change(model: Any) -> None:
        model.opset_import[0].version, model.ir_version = number, ir

    return change


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"last": ("Softmax",)},
        {"layout": "NHWC", "change": channels_last},
        {"layout": "NHWC", "last": ("Softmax",), "side": 224, "batch": 1, "change": channels_last},
        {"batch": 1},
        {"change": one_at_a_time},
        {"side": 192},
    ],
    ids=["free", "softmax", "Keras", "Keras, one size", "batch of 1", "one at a time", "one size"],
)
def test_any_layout_stride_and_size_gives_the_classes_of_the_pixels(
    tmp_path: Path, options: dict[str, Any], stride: int
) -> None:
    bundle = saved(write_onnx(tmp_path / "net.onnx", kernel=stride, stride=stride, **options))
    side = options.get("side", 128)
    pixels = random_rgb(side // 8, side // 8, 2).repeat(8, axis=1).repeat(8, axis=2)
    labels = Segmenter(bundle, torch.device("cpu"))(pixels).labels
    # Logits at a stride are enlarged, smoothly: in the middle of the squares they are as they were.
    middle = np.flatnonzero(abs(np.arange(side) % 8 - 3.5) < 2)
    np.testing.assert_array_equal(
        labels[:, middle][:, :, middle], 10 + pixels.argmax(axis=3)[:, middle][:, :, middle]
    )


def test_a_network_that_mixes_the_images_of_a_batch_gets_one_at_a_time(tmp_path: Path) -> None:
    assert config_of(write_onnx(tmp_path / "net.onnx", kernel=1, change=one_at_a_time)).batch == 1
    assert config_of(write_onnx(tmp_path / "net.onnx", kernel=1)).batch is None


def test_a_map_without_a_margin_is_refused(tmp_path: Path) -> None:
    def unpadded(model: Any) -> None:
        for attribute in model.graph.node[0].attribute:
            if attribute.name == "pads":
                attribute.ints[:] = [0, 0, 0, 0]

    with pytest.raises(ModelError, match="no map of it: export a network that pads"):
        import_small(write_onnx(tmp_path / "net.onnx", kernel=5, change=unpadded))


@pytest.mark.parametrize(("opset", "ir"), [(17, 99), (999, 10)])
def test_a_file_that_is_too_new_names_the_remedy(tmp_path: Path, opset: int, ir: int) -> None:
    path = write_onnx(tmp_path / "net.onnx", change=of_opset(opset, ir))
    with pytest.raises(ModelError, match="older opset, or upgrade") as caught:
        import_small(path)
    assert str(path) in str(caught.value)


def test_weights_that_are_missing_beside_the_file_are_named(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx")
    onnx.save(onnx.load(path), str(path), save_as_external_data=True, location="net.data", size_threshold=0)
    (tmp_path / "net.data").unlink()
    with pytest.raises(ModelError, match=r"net\.data cannot be read .*: put its weights there"):
        import_small(path)
