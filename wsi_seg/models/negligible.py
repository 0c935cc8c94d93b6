"""Weights that have decayed to next to nothing: they change no result, but cost a hundred times their work.

Trained networks hold some of 1e-40 and the like. Processors compute with such numbers, which are too small to
be written as others are, by a slow way of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

NEGLIGIBLE = 1e-20
"""Smaller weights are taken for 0."""


def cleared(weights: Tensor) -> Tensor:
    """Return weights with those that are negligible made 0."""
    return torch.where(weights.abs() < NEGLIGIBLE, 0.0, weights)


@torch.no_grad()
def clear(network: nn.Module) -> None:
    """Make a network's negligible weights 0, and what it normalises with likewise."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(cleared(tensor))
