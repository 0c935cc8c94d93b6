"""The model file: one safetensors file that describes itself completely.

The file's metadata holds one JSON document (`ModelHeader`) under the key ``wsi_seg``: architecture, classes,
input, notice, training provenance, and a checksum over itself and the weights. It holds no code, no pickle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from wsi_seg.errors import ModelError
from wsi_seg.files.files import replacing
from wsi_seg.models.architecture import Architecture, build_network
from wsi_seg.models.container import arrays_in, damaged, pack, read_all, tensors_in
from wsi_seg.models.described import DescribedModel, parse_header, read_header
from wsi_seg.models.espnet_config import ESPNetConfig
from wsi_seg.models.espnet_tensors import fits, is_published
from wsi_seg.models.remembered import tissue_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from wsi_seg.models.header import ModelHeader
    from wsi_seg.models.network import Network


@dataclass(frozen=True)
class ModelBundle(DescribedModel):
    """A model that is ready to run, and the meaning of its results.

    Attributes
    ----------
    build : callable
        Returns `network`. It is called once, when the network is first asked for: that imports PyTorch, which
        compiled kernels do without.
    arrays : mapping of str to array, or None
        The weights of a published ESPNet; None for all other networks.
    """

    build: Callable[[], Network] = field(kw_only=True, repr=False, compare=False)
    arrays: Mapping[str, NDArray[Any]] | None = field(default=None, kw_only=True, repr=False, compare=False)

    @classmethod
    def of(cls, network: Network, header: ModelHeader, fingerprint: str, path: Path) -> ModelBundle:
        """Return the model of a network; that is then in eval mode, and must be on the CPU, in float32."""
        arrays = None
        if is_published(network.config):
            arrays = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
        return cls(header, fingerprint, path, build=network.eval, arrays=arrays)

    @cached_property
    def network(self) -> Network:
        """The network, in eval mode, on the CPU, in float32."""
        return self.build()

    @property
    def published(self) -> tuple[ESPNetConfig, Mapping[str, NDArray[Any]]]:
        """Config and weights of a published ESPNet, which this must be."""
        config = self.architecture.config
        assert isinstance(config, ESPNetConfig)
        assert self.arrays is not None
        return config, self.arrays


_held: WeakValueDictionary[str, ModelBundle] = WeakValueDictionary()


def hold(bundle: ModelBundle) -> ModelBundle:
    """Let `held` find a model that no file holds, for as long as anything refers to it."""
    return _held.setdefault(bundle.fingerprint, bundle)


def held(fingerprint: str) -> ModelBundle | None:
    """Return the model of this process with this fingerprint that no file holds, or None."""
    return _held.get(fingerprint)


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
    document, data, fingerprint = read_all(path)
    header = parse_header(path, document)  # of these weights, though the file were replaced meanwhile
    beside = None if header.tissue else tissue_beside(path, fingerprint)

    def built() -> Network:
        return _built(path, header, tensors_in(path, data), build)

    config = header.architecture.config
    if isinstance(config, ESPNetConfig) and is_published(config):
        arrays = arrays_in(data)
        if arrays is not None and fits(arrays, config):  # else building it tells what is wrong
            return ModelBundle(header, fingerprint, path, beside, build=built, arrays=arrays)
    network = built()
    return ModelBundle(header, fingerprint, path, beside, build=lambda: network)


def _built(
    path: Path,
    header: ModelHeader,
    tensors: dict[str, torch.Tensor],
    build: Callable[[Architecture], Network],
) -> Network:
    """Make a network, and give it a file's weights."""
    import torch

    from wsi_seg.models.bounded import no_larger_than

    # Not on the "meta" device, though the random weights are replaced at once: its first use imports half
    # of torch, which takes a second.
    count = sum(tensor.numel() for tensor in tensors.values())
    try:
        with torch.random.fork_rng(devices=[]), no_larger_than(count):
            network = build(header.architecture)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except ValueError as error:
        raise damaged(path, str(error)) from error
    _check_tensors(path, tensors, network)
    network.load_state_dict(tensors, assign=True)
    network.path = path
    return network.eval()


def _check_tensors(path: Path, tensors: Mapping[str, torch.Tensor], network: Network) -> None:
    """Raise ModelError unless the tensors match the network's, one for one, and are finite."""
    from wsi_seg.models.bounded import fault_of

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
