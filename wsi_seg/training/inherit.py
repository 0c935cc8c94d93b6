"""The weights that a network begins with: another network's, where they fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from wsi_seg.models.architecture import Network
    from wsi_seg.models.classes import ClassSchema


@dataclass(frozen=True)
class Kept:
    """What a network took over from another.

    Attributes
    ----------
    tensors, total : int
        Tensors taken over, and all there are.
    new : tuple of str
        Names of those that were not.
    rows : tuple of str
        Names of those of which only the outputs of classes with the same name were taken over.
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
    """Give a network the weights that fit it; tensors fit if they have its name and its shape.

    Parameters
    ----------
    network : Network
        Changed in place.
    weights : mapping of str to Tensor
        A state dict.
    classes, earlier : ClassSchema or None
        The network's classes and those that `weights` were trained for. Where both are given, a tensor that
        differs only in the number of classes takes over the outputs of classes with the same name.
    """
    own = network.state_dict()
    kept, rows = [], []
    for name, tensor in own.items():
        other = weights.get(name)
        if other is None:
            continue
        if classes is not None and earlier is not None and _is_output(name, network, len(classes), tensor):
            if _take_rows(tensor, other, classes, earlier):
                rows.append(name)
        elif other.shape == tensor.shape:
            tensor.copy_(other)
            kept.append(name)
    new = tuple(name for name in own if name not in kept and name not in rows)
    return Kept(len(kept), len(own), new, tuple(rows))


def _is_output(name: str, network: Network, classes: int, tensor: Tensor) -> bool:
    """Tell whether a tensor is the weight of a network's last layer."""
    last = [n for n, t in network.state_dict().items() if t.ndim == 4][-1]
    return name == last and classes in tensor.shape[:2]


def _take_rows(tensor: Tensor, other: Tensor, classes: ClassSchema, earlier: ClassSchema) -> bool:
    """Copy the outputs of classes with the same name; tell whether there were any."""
    axis = 0 if tensor.shape[0] == len(classes) and other.shape[0] == len(earlier) else 1
    expected = list(tensor.shape)
    expected[axis] = len(earlier)
    if list(other.shape) != expected:
        return False
    pairs = [(i, earlier.index_of(c.name)) for i, c in enumerate(classes.classes)]
    for i, j in pairs:
        if j is not None:
            tensor.select(axis, i).copy_(other.select(axis, j))
    return any(j is not None for _, j in pairs)
