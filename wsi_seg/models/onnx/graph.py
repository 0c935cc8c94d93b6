"""Read an ONNX file, and check it before any of it runs.

ONNX describes a computation by operators of the runtime; no code comes from the file. But these are refused:
operators that are neither the standard's nor ONNX Runtime's own, weights in files that are not beside it, and
files that are too large.
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wsi_seg.errors import ModelError, shortened
from wsi_seg.files.plain_files import in_words, read_plain
from wsi_seg.models.container import MAX_BYTES
from wsi_seg.models.negligible import NEGLIGIBLE
from wsi_seg.packages import required

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Domains of the operators that may be used: the standard's, and ONNX Runtime's own."""

NOT_RUN = frozenset({"EPContext"})
"""Operators among them that hold code compiled by another program."""


_sound: set[bytes] = set()
"""SHA-256 of the models that this process has checked."""


@dataclass(frozen=True)
class Port:
    """An input or an output.

    Attributes
    ----------
    name : str
    element : str
        Type of its numbers, such as ``float32``; ``other`` if it is not a tensor of numbers.
    shape : tuple of (int or None)
        None for an axis of any size; empty if the file states no shape.
    """

    name: str
    element: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sides = " x ".join("any" if side is None else str(side) for side in self.shape)
        return f"{shortened(self.name)} ({self.element}, {sides or 'of no stated shape'})"


@dataclass(frozen=True)
class Graph:
    """A checked ONNX model.

    Attributes
    ----------
    data : bytes
        The model, with all of its weights.
    inputs, outputs : tuple of Port
    opset : int
        Version of the standard's operators.
    weights : int
        Number of its weights.
    producer : str
        The program that wrote it, as the file states it.
    """

    data: bytes
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    opset: int
    weights: int
    producer: str


def onnx_package() -> ModuleType:
    """Return the package `onnx`.

    Raises
    ------
    UsageError
        If it is not installed, or broken.
    """
    return required("a network in ONNX", "onnx", "onnx")


def read_graph(path: Path) -> Graph:
    """Read an ONNX file, with weights in files beside it, and check it.

    Raises
    ------
    ModelError
        If it can't be read, is not ONNX, or has parts that are refused here.
    UsageError
        If the package `onnx` is missing.
    """
    onnx = onnx_package()
    try:
        data = read_plain(path, MAX_BYTES)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}): give an ONNX file") from error
    model = _parsed(path, data)
    _take_in(path, model)
    _clear(onnx, model)
    try:
        whole = model.SerializeToString()
    except ValueError as error:
        raise _unsound(path, error) from error
    _refuse_unsound(path, model, whole)
    return _described(model, whole)


def require_sound(path: Path, data: bytes) -> None:
    """Check the ONNX model in a model file, once for each content. It must not have weights in other files.

    Raises
    ------
    ModelError
        If it is not ONNX, or has parts that are refused here.
    UsageError
        If the package `onnx` is missing.
    """
    if hashlib.sha256(data).digest() in _sound:
        return
    model = _parsed(path, data)
    if any(_is_elsewhere(tensor) for tensor in tensors_of(model)):
        raise ModelError(f"{path}: its network has weights in other files: import it again")
    _refuse_unsound(path, model, data)


def tensors_of(model: Any) -> Iterator[Any]:
    """Yield every tensor of a model: weights, and constants of its nodes, subgraphs and functions."""
    for graph in graphs_of(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in nodes_of(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (*attribute.sparse_tensors, attribute.sparse_tensor):
                yield from (sparse.values, sparse.indices)


def nodes_of(model: Any) -> Iterator[Any]:
    """Yield every node of a model, including those of subgraphs and functions."""
    for graph in graphs_of(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def graphs_of(model: Any) -> Iterator[Any]:
    """Yield every graph of a model: its own, and those within nodes and functions."""
    waiting = [model.graph]
    for function in model.functions:
        waiting += _subgraphs(function.node)
    while waiting:
        graph = waiting.pop()
        yield graph
        waiting += _subgraphs(graph.node)


def _subgraphs(nodes: Any) -> list[Any]:
    attributes = [attribute for node in nodes for attribute in node.attribute]
    return [a.g for a in attributes if a.HasField("g")] + [g for a in attributes for g in a.graphs]


def _parsed(path: Path, data: bytes) -> Any:
    onnx = onnx_package()
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception as error:
        if type(error).__name__ != "DecodeError":  # protobuf's: a package that onnx asks for, and we do not
            raise
        raise ModelError(f"{path}: not an ONNX file, or a damaged one: export it again") from error
    if not model.graph.node:
        raise ModelError(f"{path}: not an ONNX file, or one without a network: export it again")
    return model


def _is_elsewhere(tensor: Any) -> bool:
    return bool(tensor.data_location == tensor.EXTERNAL or tensor.external_data)


def _take_in(path: Path, model: Any) -> None:
    """Read weights from files beside the model into it."""
    from onnx.checker import ValidationError
    from onnx.external_data_helper import load_external_data_for_tensor

    held = 0
    for tensor in tensors_of(model):
        if not _is_elsewhere(tensor):
            continue
        place = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        beside = path.parent / place
        if not place or Path(place).name != place:
            raise ModelError(
                f"{path}: its weights are said to be in {shortened(place) or 'no file'}: only files beside "
                "the ONNX file are read: export it with its weights inside"
            )
        try:
            if not stat.S_ISREG(beside.lstat().st_mode):
                raise ModelError(f"{path}: {beside} is no plain file: put its weights there")
            if beside.stat().st_size > MAX_BYTES:
                raise ModelError(f"{path}: {beside} holds more than {in_words(MAX_BYTES)}: too large")
            load_external_data_for_tensor(tensor, str(path.parent))
        except (OSError, ValueError, ValidationError) as error:
            said = shortened(" ".join(str(error).split()))
            raise ModelError(f"{path}: {beside} cannot be read ({said}): put its weights there") from error
        held += len(tensor.raw_data)
        if held > MAX_BYTES:
            raise ModelError(f"{path}: holds more than {in_words(MAX_BYTES)} of weights: too large")


def _clear(onnx: ModuleType, model: Any) -> None:
    """Replace negligible weights by 0: processors are a hundred times slower with them.

    Single numbers stay: they may prevent a division by 0. ONNX Runtime can treat such numbers as 0 by itself,
    but only for a whole process, as its first session decides.
    """
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or not tensor.HasField("raw_data"):
            continue
        numbers = np.frombuffer(tensor.raw_data, "<f4")
        small = (np.abs(numbers) < NEGLIGIBLE) & (numbers != 0)
        if numbers.size > 1 and small.any():
            tensor.raw_data = np.where(small, np.float32(0), numbers).astype("<f4").tobytes()


def _refuse_unsound(path: Path, model: Any, data: bytes) -> None:
    """Refuse a model unless it is valid and uses accepted operators only."""
    onnx = onnx_package()
    own = {(function.domain, function.name) for function in model.functions}
    for node in nodes_of(model):
        if (node.domain, node.op_type) not in own and (node.domain not in DOMAINS or node.op_type in NOT_RUN):
            name = shortened(f"{node.domain}.{node.op_type}" if node.domain else node.op_type)
            raise ModelError(
                f"{path}: uses the operator {name}, which is not of ONNX: export it with operators of the "
                "standard alone"
            )
    if model.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"{path}: is of version {model.ir_version} of ONNX's files, and onnx {onnx.__version__} knows "
            f"{onnx.IR_VERSION}: export it for an older opset, or upgrade onnx and onnxruntime"
        )
    try:
        onnx.checker.check_model(data)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise _unsound(path, error) from error
    _sound.add(hashlib.sha256(data).digest())


def _unsound(path: Path, error: Exception) -> ModelError:
    said = shortened(" ".join(str(error).split()))
    return ModelError(f"{path}: not sound ONNX ({said}): export it again")


def _described(model: Any, data: bytes) -> Graph:
    held = {tensor.name for tensor in model.graph.initializer}
    opsets = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    return Graph(
        data=data,
        inputs=tuple(_port(value) for value in model.graph.input if value.name not in held),
        outputs=tuple(_port(value) for value in model.graph.output),
        opset=max(opsets, default=0),
        weights=sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer),
        producer=shortened(" ".join(f"{model.producer_name} {model.producer_version}".split())),
    )


def _port(value: Any) -> Port:
    onnx = onnx_package()
    tensor = value.type.tensor_type
    try:
        element = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError:  # not a tensor, or of a type that numpy lacks
        element = "other"
    # Some exporters write -1 for an axis of any size.
    sides = tuple(d.dim_value if d.dim_value > 0 else None for d in tensor.shape.dim)
    return Port(value.name, element, sides)
