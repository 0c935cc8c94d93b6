"""The model file: one safetensors file that describes itself completely.

The file's metadata holds one JSON document (`ModelHeader`) under the key ``wsi_seg``: architecture, classes,
input, notice, training provenance, and a checksum over itself and the weights. It holds no code, no pickle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError

from wsi_seg.errors import ModelError, shortened
from wsi_seg.files.document import DocumentError, refuse_newer
from wsi_seg.files.files import replacing
from wsi_seg.models.architecture import Architecture, build_network
from wsi_seg.models.bounded import fault_of, no_larger_than
from wsi_seg.models.container import Document, damaged, pack, read_all, read_document
from wsi_seg.models.header import TRAINED_ON, TRUTH, ModelHeader
from wsi_seg.models.remembered import RememberedTissue, tissue_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network import Network


@dataclass(frozen=True)
class ModelBundle:
    """A network that is ready to run, and the meaning of its results.

    Attributes
    ----------
    network : Network
        In eval mode, on the CPU, float32.
    header : ModelHeader
        How the file describes itself; its parts are properties of the bundle, too.
    fingerprint : str
        SHA-256 of the file, in hexadecimal.
    path : Path
        Where the file was read.
    beside : RememberedTissue or None
        What lies beside a file that remembers no tissue itself.
    """

    network: Network
    header: ModelHeader
    fingerprint: str
    path: Path
    beside: RememberedTissue | None = None

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.header.name

    @property
    def architecture(self) -> Architecture:
        """The network's kind and shape."""
        return self.header.architecture

    @property
    def schema(self) -> ClassSchema:
        """The classes of the network's output channels."""
        return self.header.classes

    @property
    def input(self) -> InputSpec:
        """The input that the network was trained on."""
        return self.header.input

    @property
    def notice(self) -> str | None:
        """The notice that users must see before they trust the results."""
        return self.header.notice

    @property
    def training(self) -> Mapping[str, JsonValue]:
        """Where the weights come from."""
        return self.header.training

    @property
    def tissue(self) -> RememberedTissue | None:
        """What its training tissue looked like, as far as it remembers."""
        return self.header.tissue or self.beside

    @property
    def rest(self) -> str | None:
        """The class that it learned for tissue that nobody outlined, if its file states one."""
        truth = self.training.get(TRUTH)
        rest = truth.get("rest") if isinstance(truth, dict) else None
        return rest if isinstance(rest, str) else None

    @property
    def trained_on(self) -> frozenset[str]:
        """Fingerprints of the slides that it was trained on, as far as its file names them."""
        slides = self.training.get(TRAINED_ON)
        return frozenset(str(slide) for slide in slides) if isinstance(slides, list) else frozenset()


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


def read_header(path: Path) -> ModelHeader:
    """Read the header of a model file, without its weights (and so without checking them).

    Raises
    ------
    ModelError
        If the file is missing, is not a model file, or has a newer format.
    """
    return _parse_header(path, read_document(path))


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
    header = _parse_header(path, document)  # of these weights, though the file were replaced meanwhile
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
    return ModelBundle(network.eval(), header, fingerprint, path, beside)


def _parse_header(path: Path, document: Document) -> ModelHeader:
    try:
        refuse_newer(document, ModelHeader.newest(), path, "get or train it again")
        if isinstance(tissue := document.get("tissue"), dict):
            refuse_newer(tissue, RememberedTissue.newest(), path, "get or train it again")
        # Stricter than `Document.of`: ignoring an unknown field of the network or its input would be wrong.
        return ModelHeader.model_validate(document)
    except DocumentError as error:
        raise ModelError(str(error)) from error
    except ModelError as error:  # of its network
        raise ModelError(f"{path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            what = f"holds a field that this wsi-seg does not know ({shortened(str(first['loc'][-1]))})"
            raise ModelError(f"{path}: {what}: upgrade wsi-seg") from error
        where = ".".join(shortened(str(part)) for part in first["loc"]) or "header"
        raise damaged(path, f"{where}: {shortened(first['msg'])}") from error


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
