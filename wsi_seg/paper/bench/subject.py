"""The subject of a measurement: a network with its name, and what is known about it without running it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import torch as safetensors

from wsi_seg.errors import UsageError
from wsi_seg.models.architecture import build_network
from wsi_seg.models.bundle import ModelBundle, load_bundle
from wsi_seg.models.classes import ClassSchema, TissueClass
from wsi_seg.models.cost import count_parameters
from wsi_seg.models.header import InputSpec, ModelHeader
from wsi_seg.models.lookup import builtin_models, resolve_model
from wsi_seg.paper.bench.catalogue import CATALOGUE

if TYPE_CHECKING:
    from wsi_seg.models.network import Network
    from wsi_seg.paper.bench.catalogue import Entry, Group

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Subject:
    """A network to be measured.

    Attributes
    ----------
    name : str
        As given: a name from the catalogue, or a model's.
    title : str
        Its name in tables.
    group : Group
        The group of networks to which it belongs.
    bundle : ModelBundle
        For a network of the catalogue: random weights, and classes without meaning.
    parameters : int
        As `count_parameters` counts them.
    file_bytes : int
        Size of the model file; for a network of the catalogue, the size of its tensors in one.
    """

    name: str
    title: str
    group: Group
    bundle: ModelBundle
    parameters: int
    file_bytes: int

    @property
    def network(self) -> Network:
        """The network: in eval mode, on the CPU, float32."""
        return self.bundle.network


def find_subject(name: str) -> Subject:
    """Make a network of the catalogue, or read a model.

    Raises
    ------
    UsageError
        If there is no such network.
    ModelError
        If it is a model file that cannot be read.
    """
    for entry in CATALOGUE:
        if entry.name == name:
            bundle = _random_bundle(entry)
            size = len(safetensors.save(bundle.network.state_dict()))
            return Subject(name, entry.title, entry.group, bundle, count_parameters(bundle.network), size)
    if not (name in builtin_models() or name.endswith(SUFFIX) or Path(name).exists()):
        known = ", ".join(entry.name for entry in CATALOGUE)
        raise UsageError(f"{name}: no such network: give a model file ({SUFFIX}), or one of {known}")
    path = resolve_model(name)
    bundle = load_bundle(path)
    parameters = count_parameters(bundle.network)
    return Subject(name, bundle.name, "model", bundle, parameters, path.stat().st_size)


def _random_bundle(entry: Entry) -> ModelBundle:
    """Make a network of the catalogue as if it had been read from a file."""
    with torch.random.fork_rng(devices=[]):
        network = build_network(entry.architecture).eval()
    classes = tuple(
        TissueClass(id=index, name=str(index), color=(index, index, index))
        for index in range(entry.architecture.config.classes)
    )
    header = ModelHeader(
        name=entry.name,
        architecture=entry.architecture,
        classes=ClassSchema(name=entry.name, classes=classes),
        input=InputSpec(channels="rgb", mean=(127.5, 127.5, 127.5), std=(64, 64, 64)),
    )
    return ModelBundle.of(network, header, "", Path(entry.name))
