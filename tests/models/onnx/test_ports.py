"""What a file states of its image and its map, and what of it is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from helpers.onnx_files import config_of, import_small, write_onnx
from onnx import TensorProto

from wsi_seg.errors import ModelError


def as_type(kind: int) -> Callable[[Any], None]:
    """Give the map numbers of another type."""

    def change(model: Any) -> None:
        last = model.graph.node[-1]
        last.output[0] = "before"
        model.graph.node.append(onnx.helper.make_node("Cast", ["before"], ["logits"], to=kind))
        model.graph.output[0].type.tensor_type.elem_type = kind

    return change


def open_ended(model: Any) -> None:
    """State axes of any size as some exporters do."""
    for axis in (0, 2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = -1


def test_axes_of_minus_1_are_of_any_size(tmp_path: Path) -> None:
    config = config_of(write_onnx(tmp_path / "net.onnx", kernel=1, change=open_ended))
    assert (config.batch, config.side, config.sides) == (None, None, 32)


@pytest.mark.parametrize("kind", [TensorProto.DOUBLE, TensorProto.FLOAT16])
def test_scores_of_other_precisions_are_read(tmp_path: Path, kind: int) -> None:
    assert config_of(write_onnx(tmp_path / "net.onnx", kernel=1, change=as_type(kind))).values == "logits"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"last": ("ArgMax",)}, "holds class ids, .*: export the network without the argmax"),
        ({"last": ("ArgMax",), "change": as_type(TensorProto.FLOAT)}, "holds class ids"),
        ({"change": as_type(TensorProto.UINT8)}, "holds class ids"),
        ({"change": as_type(TensorProto.BFLOAT16)}, "no scores that are read: export it in float32"),
    ],
)
def test_what_holds_no_scores_is_refused(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    path = write_onnx(tmp_path / "net.onnx", **options)
    with pytest.raises(ModelError, match=says) as caught:
        import_small(path)
    assert str(path) in str(caught.value)
