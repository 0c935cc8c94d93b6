"""The model file: one safetensors file that describes itself completely.

The file's metadata holds one JSON document (`ModelHeader`) under the key ``wsi_seg``: architecture, classes,
input, notice, training provenance, and a checksum over itself and the weights. It holds no code, no pickle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from wsi_seg.errors import ModelError
from wsi_seg.files.files import replacing
from wsi_seg.models.architecture import Architecture, build_network
from wsi_seg.models.bounded import fault_of, no_larger_than
from wsi_seg.models.container import damaged, pack, read_all
from wsi_seg.models.described import DescribedModel, parse_header, read_header
from wsi_seg.models.remembered import tissue_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from wsi_seg.models.header import ModelHeader
    from wsi_seg.models.network import Network


@dataclass(frozen=True)
class ModelBundle(DescribedModel):
    """A network that is ready to run, and the meaning of its results.

    Attributes
    ----------
    network : Network
        In eval mode, on the CPU, float32.
    """

    network: Network = field(kw_only=True)


def save_bundle(path: Path, network: Network, header: ModelHeader) -> str:
    """Write a model file; the same content gives the same bytes.

    Parameters
    ----------
    path : Path
        Where to write; an older file is replaced in one step.
    network : Network
        Its `config` must be the one in `header`. Neither its device nor its mode matters.
    header : ModelHeader
        How the file describes itself.

    Returns
    -------
    str
        The file's fingerprint, as `load_bundle` gives it.

    Raises
    ------
    ModelError
        If the weights are not finite, or the header describes another network.
    OutputError
        If the file can't be written.
    """
    data = file_of(path, network, header)
    with replacing(path) as partial:
        partial.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def file_of(path: Path, network: Network, header: ModelHeader) -> bytes:
    """Return the bytes of a model file.

    Raises
    ------
    ModelError
        If the weights are not finite, or the header describes another network; it names `path`.
    """
    if network.config != header.architecture.config:
        raise ModelError(
            f"{path}: not written: the header describes another network: give the network's config"
        )
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    _check_tensors(path, tensors, network)
    without = None if header.tissue else {"tissue"}  # the same bytes as before there was such a field
    return pack(path, header.model_dump(mode="json", exclude=without), _apart(tensors))


def _apart(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Give tensors that share their memory, as tied weights do, memory of their own."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return apart


def load_bundle(path: Path, build: Callable[[Architecture], Network] = build_network) -> ModelBundle:
    """Read a model file, checking every byte of it.

    Parameters
    ----------
    path : Path
    build : callable
        Makes the network, into which the file's weights are then loaded.

    Raises
    ------
    ModelError
        If the file is missing, damaged, not a model file, or of a newer format; one line that says which.
    """
    read_header(path)  # refuses a wrong file, such as a slide, before gigabytes of it are read
    document, tensors, fingerprint = read_all(path)
    header = parse_header(path, document)  # of these weights, though the file were replaced meanwhile
    # Not on the "meta" device, though the random weights are replaced at once: its first use imports half
    # of torch, which takes a second.
    held = sum(tensor.numel() for tensor in tensors.values())
    try:
        with torch.random.fork_rng(devices=[]), no_larger_than(held):
            network = build(header.architecture)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except ValueError as error:
        raise damaged(path, str(error)) from error
    _check_tensors(path, tensors, network)
    network.load_state_dict(tensors, assign=True)
    network.path = path
    beside = None if header.tissue else tissue_beside(path, fingerprint)
    return ModelBundle(header, fingerprint, path, beside, network=network.eval())


def _check_tensors(path: Path, tensors: Mapping[str, torch.Tensor], network: Network) -> None:
    """Raise ModelError unless the tensors match the network's, one for one, and are finite."""
    expected = network.state_dict()
    odd = sorted(tensors.keys() ^ expected.keys())
    if odd:
        what = "missing from" if odd[0] in expected else "not part of"
        raise damaged(path, f"{len(odd)} tensors do not fit, {odd[0]} is {what} the network")
    for name, tensor in tensors.items():
        want = expected[name]
        if tensor.shape != want.shape or tensor.dtype != want.dtype:
            raise damaged(
                path,
                f"{name} is {tuple(tensor.shape)} {tensor.dtype}, not {tuple(want.shape)} {want.dtype}",
            )
        if fault := fault_of(name, tensor):
            raise ModelError(f"{path}: {name} holds {fault}: train or import the model again")
