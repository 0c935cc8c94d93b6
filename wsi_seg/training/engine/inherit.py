"""A network's initial weights: those of another network, where they fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from wsi_seg.models.architecture import architecture_of, build_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from wsi_seg.models.classes import ClassSchema
    from wsi_seg.models.network import Network


@dataclass(frozen=True)
class Kept:
    """The weights that a network took over from another one.

    Attributes
    ----------
    tensors, total : int
        Number of tensors taken over, and of all tensors.
    new : tuple of str
        Names of the tensors that were not taken over.
    rows : tuple of str
        Names of the tensors of which only the outputs of classes with the same name were taken over.
    """

    tensors: int
    total: int
    new: tuple[str, ...]
    rows: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{self.tensors} of {self.total} tensors kept"
        if self.rows:
            text += f", classes of the same name in {', '.join(self.rows)}"
        if self.new:
            shown = ", ".join(self.new[:6]) + (" ..." if len(self.new) > 6 else "")
            text += f", new: {shown}"
        return text


def take_over(
    network: Network,
    weights: Mapping[str, Tensor],
    classes: ClassSchema | None = None,
    earlier: ClassSchema | None = None,
) -> Kept:
    """Give a network the weights that fit it: tensors of the same name and shape.

    Parameters
    ----------
    network : Network
        Changed in place.
    weights : mapping of str to Tensor
        A state dict.
    classes, earlier : ClassSchema or None
        The network's classes, and those of `weights`. If both are given, a tensor that differs only in the
        number of classes takes over the outputs of classes with the same name.
    """
    own = network.state_dict()
    last = class_axes(network)
    kept, rows = [], []
    for name, tensor in own.items():
        other = weights.get(name)
        if other is None:
            continue
        if classes is not None and earlier is not None and name in last:
            axis = last[name]
            if _take_rows(tensor.movedim(axis, 0), other.movedim(axis, 0), classes, earlier):
                rows.append(name)
        elif other.shape == tensor.shape:
            tensor.copy_(other)
            kept.append(name)
    new = tuple(name for name in own if name not in kept and name not in rows)
    return Kept(len(kept), len(own), new, tuple(rows))


def class_axes(network: Network) -> dict[str, int]:
    """Return the names of the tensors that depend on the number of classes, and their class axes.

    They are found by comparison with a network that has one more class.
    """
    config = network.config
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        larger = build_network(architecture_of(replace(config, classes=config.classes + 1))).state_dict()
    axes = {}
    for name, tensor in network.state_dict().items():
        sizes = zip(tensor.shape, larger[name].shape, strict=True)
        grown = [(axis, own, other) for axis, (own, other) in enumerate(sizes) if own != other]
        if len(grown) == 1 and grown[0][1:] == (config.classes, config.classes + 1):
            axes[name] = grown[0][0]
    return axes


def _take_rows(tensor: Tensor, other: Tensor, classes: ClassSchema, earlier: ClassSchema) -> bool:
    """Copy the outputs of classes with the same name; return whether there were any."""
    if tensor.shape[1:] != other.shape[1:]:
        return False
    pairs = [(i, earlier.index_of(c.name)) for i, c in enumerate(classes.classes)]
    for i, j in pairs:
        if j is not None:
            tensor[i].copy_(other[j])
    return any(j is not None for _, j in pairs)
