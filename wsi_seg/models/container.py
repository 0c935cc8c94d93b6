"""The format of a model file: safetensors, with one JSON document of ours in its metadata.

The document's ``checksum`` covers the rest of it, the index of the tensors, and their bytes.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue
from safetensors import SafetensorError

from wsi_seg.errors import ModelError
from wsi_seg.files.plain_files import open_plain, read_plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

MAX_BYTES = 2 * 2**30
"""Largest size of a file: eight times the largest network here, PSPNet-101."""

METADATA_KEY = "wsi_seg"
MAX_HEADER_BYTES = 16 * 2**20
PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")

Document = dict[str, JsonValue]


def pack(path: Path, document: Document, tensors: Mapping[str, Tensor]) -> bytes:
    """Return the file of a document and tensors; the same content gives the same bytes.

    Parameters
    ----------
    path : Path
        The path that errors name.
    document : dict
        Values for JSON, without a ``checksum``.
    tensors : mapping of str to Tensor
        On the CPU, contiguous.
    """
    from safetensors import torch as safetensors

    draft = safetensors.save(dict(tensors), {METADATA_KEY: "{}"})
    signed = {**document, "checksum": _checksum(document, *_split(path, draft)[1:])}
    return safetensors.save(dict(tensors), {METADATA_KEY: json.dumps(signed, sort_keys=True)})


def read_document(path: Path) -> Document:
    """Read a file's document from its first bytes, without checking it.

    Raises
    ------
    ModelError
        If the file is missing, cut short or not a model file.
    """
    try:
        with open_plain(path) as file:
            start = file.read(8)
            start += file.read(min(int.from_bytes(start, "little"), MAX_HEADER_BYTES))
    except OSError as error:
        raise unreadable(path, error) from error
    document, _, _ = _split(path, start)
    document.pop("checksum", None)
    return document


def read_all(path: Path) -> tuple[Document, bytes, str]:
    """Read a file's document and its bytes at once, checking every byte of the file.

    Returns
    -------
    document : dict
    data : bytes
        For `tensors_in` or `arrays_in`.
    fingerprint : str
        The file's SHA-256, in hexadecimal.

    Raises
    ------
    ModelError
        If the file is missing, damaged or not a model file.
    """
    try:
        data = read_plain(path, MAX_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error
    document, index, weights = _split(path, data)
    if document.pop("checksum", None) != _checksum(document, index, weights):
        raise damaged(path, "its checksum does not match its content")
    return document, data, hashlib.sha256(data).hexdigest()


def tensors_in(path: Path, data: bytes) -> dict[str, Tensor]:
    """Return the tensors of a file that was read.

    Raises
    ------
    ModelError
        If they are damaged.
    """
    from safetensors import torch as safetensors

    try:
        return safetensors.load(data)
    except (SafetensorError, ValueError) as error:
        raise damaged(path, str(error)) from error


def arrays_in(data: bytes) -> dict[str, NDArray[Any]] | None:
    """Return a file's tensors as arrays, without PyTorch; None if they are damaged, or not for numpy."""
    from safetensors import numpy as safetensors

    try:
        return safetensors.load(data)
    except (SafetensorError, ValueError, KeyError, AttributeError):  # damaged, or types that numpy lacks
        return None


def damaged(path: Path, reason: str) -> ModelError:
    """Return the error for a damaged model file."""
    return ModelError(f"{path}: damaged model file ({' '.join(reason.split())}): get or train it again")


def _split(path: Path, data: bytes) -> tuple[Document, Document, bytes]:
    """Cut a safetensors file into our JSON document, its index of tensors, and their bytes."""
    end = 8 + int.from_bytes(data[:8], "little")
    if end > 8 + MAX_HEADER_BYTES or data[8:9] != b"{":
        if data.startswith(PICKLE_STARTS):
            raise ModelError(f"{path}: a PyTorch checkpoint: make a model of it with `wsi-seg models import`")
        raise ModelError(f"{path}: not a model file: give a .safetensors file written by wsi-seg")
    if len(data) < end:
        raise damaged(path, "it ends early")
    try:
        index = json.loads(data[8:end])
        metadata = index.pop("__metadata__", {})
        if METADATA_KEY not in metadata:
            raise ModelError(
                f"{path}: a safetensors file, but not a model of wsi-seg: use a file that wsi-seg has written"
            )
        document = json.loads(metadata[METADATA_KEY])
    except (ValueError, TypeError, AttributeError) as error:
        raise damaged(path, "its header is not JSON") from error
    except RecursionError as error:
        raise damaged(path, "its header is nested too deeply") from error
    if not isinstance(document, dict):
        raise damaged(path, "its header is not a JSON object")
    return document, index, data[end:]


def _checksum(document: Document, index: Document, weights: bytes) -> str:
    described = json.dumps([document, index], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(described.encode() + weights).hexdigest()


def unreadable(path: Path, error: OSError) -> ModelError:
    """Return the error for a file that cannot be read."""
    return ModelError(
        f"{path}: cannot be read ({error.strerror}): give the path of a .safetensors model file"
    )
