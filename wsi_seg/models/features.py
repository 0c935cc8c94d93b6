"""What a network sees in an image: the two kinds of features that are taken from within it.

- Of an image as a whole (`pooled_features`): the deepest maps before their activation, a number a channel.
  Model files remember these of their training tissue, so they stay what they are.
- Of each place (`WidestMaps`): the maps that its widest convolution is given, so after their activation.
  A folded network, in which normalisations are part of the convolutions, has these, too.
"""

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


class WidestMaps:
    """Keeps what the convolution that takes the most channels is given, of equal ones the last.

    Of an ESPNet that is what its encoder ends with, at 1/8 of the image's sides.

    Parameters
    ----------
    network : Module
        It shows its maps from now on, to one thread at a time.
    """

    def __init__(self, network: nn.Module) -> None:
        self._kept: Tensor | None = None
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(self._keep_widest)

    def _keep_widest(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        (maps,) = given
        if self._kept is None or maps.shape[1] >= self._kept.shape[1]:
            self._kept = maps

    def take(self) -> Tensor | None:
        """Return the maps of the last run, (N, channels, h, w), and forget them; None without a run."""
        kept, self._kept = self._kept, None
        return kept
