"""What a network sees in an image as a whole: its deepest maps, pooled to one number a channel."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from wsi_seg.models.network import Network

MOST_FEATURES = 512
"""Of a wider map, every n-th channel counts."""


@torch.inference_mode()
def pooled_features(network: Network, images: Tensor) -> tuple[Tensor, Tensor]:
    """Run a network, and average its deepest maps over each image.

    The deepest maps are the outputs of a batch normalisation: of those with the fewest pixels the widest,
    and of these the last. A network that has none gives its logits.

    Parameters
    ----------
    network : Network
        In eval mode; it stays as it is. Other threads may use it at the same time.
    images : Tensor
        Float, (N, 3, H, W), normalised, on the network's device.

    Returns
    -------
    features : Tensor
        Float32, (N, features).
    logits : Tensor
        As the network gives them.
    """
    here = threading.get_ident()
    maps: list[tuple[int, Tensor]] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        if threading.get_ident() == here:
            maps.append(_pooled(output))  # at once: an activation may overwrite the map

    hooks = [m.register_forward_hook(keep) for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    try:
        logits: Tensor = network(images)
    finally:
        for hook in hooks:
            hook.remove()
    _, deepest = min(reversed(maps or [_pooled(logits)]), key=lambda kept: (kept[0], -kept[1].shape[1]))
    return deepest[:, :: -(-deepest.shape[1] // MOST_FEATURES)], logits


def _pooled(maps: Tensor) -> tuple[int, Tensor]:
    """Return the number of pixels of a map, and its mean over them for each image and channel."""
    return maps[0, 0].numel(), maps.float().mean(dim=(2, 3))
