"""Weights that have decayed to almost zero: they change no result, but are a hundred times slower.

Trained networks have weights of about 1e-40. Such numbers are subnormal, and processors are slow with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

NEGLIGIBLE = 1e-20
"""Smaller weights are replaced by 0."""


def cleared(weights: Tensor) -> Tensor:
    """Return weights with negligible ones replaced by 0."""
    return torch.where(weights.abs() < NEGLIGIBLE, 0.0, weights)


@torch.no_grad()
def clear(network: nn.Module) -> None:
    """Replace a network's negligible weights and normalisation statistics by 0."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(cleared(tensor))
