"""Weights that have decayed to almost zero: they change no result, but are a hundred times slower.

Trained networks have weights of about 1e-40. Such numbers are subnormal, and processors are slow with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

NEGLIGIBLE = 1e-20
"""Smaller weights are replaced by 0."""


def cleared(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return weights with negligible ones replaced by 0."""
    return np.where(np.abs(weights) < NEGLIGIBLE, np.float32(0), weights)


def clear(network: nn.Module) -> None:
    """Replace a network's negligible weights and normalisation statistics by 0."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.masked_fill_(tensor.abs() < NEGLIGIBLE, 0.0)
