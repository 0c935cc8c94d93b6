"""Remove from exported files what they say about the machine.

PyTorch's exporters store, for each operation, the source lines that called it, with the paths of their files.
No program needs that to run a network, and it shows private folder names. Without it, the same network gives
the same bytes wherever it is exported.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import torch

from wsi_seg.models.onnx.graph import graphs_of, nodes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE_LINES = ".debug_pkl"
"""Ending of the names of TorchScript's records of source lines."""

WRITTEN_ANYHOW = ("version", "byteorder", ".data/")
"""Beginning of the names of records that PyTorch's writer adds by itself."""


def strip_onnx(model: Any, kept: str) -> None:
    """Remove from an ONNX model what its parts say about their source.

    Parameters
    ----------
    model : onnx.ModelProto
        Changed in place.
    kept : str
        Key of the only metadata that is kept.
    """
    for part in _parts_of(model):
        for field in ("doc_string", "metadata_props"):
            part.ClearField(field)
    own = [entry for entry in model.metadata_props if entry.key == kept]
    del model.metadata_props[:]
    model.metadata_props.extend(own)


def strip_torchscript(content: bytes) -> bytes:
    """Return a TorchScript file without the records of source lines."""
    reader = torch._C.PyTorchFileReader(io.BytesIO(content))
    stripped = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(stripped)
    for name in reader.get_all_records():
        if not name.endswith(SOURCE_LINES) and not name.startswith(WRITTEN_ANYHOW):
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    return stripped.getvalue()


def _parts_of(model: Any) -> Iterator[Any]:
    """Yield all parts of a model that have a description and metadata of their own."""
    for graph in graphs_of(model):
        yield graph
        for values in (graph.input, graph.output, graph.value_info, graph.initializer):
            yield from values
    yield from nodes_of(model)
    for function in model.functions:
        yield function
        yield from function.value_info
