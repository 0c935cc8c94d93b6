"""What an ESPNet's deepest maps hold on average, before their activation, by compiled kernels.

These are the features of an image as a whole that `wsi_seg.models.features` finds by PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.inference.fast.fast_espnet import FastESPNet, can_rearrange
from wsi_seg.inference.fast.maps import Maps
from wsi_seg.inference.fast.weights import Weights
from wsi_seg.models.espnet_config import LEVEL3, ESPNetConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network_config import NetworkConfig


def can_average(config: NetworkConfig) -> bool:
    """Return whether a network's deepest maps are what level 3 ends with, merged, and can be had here."""
    merged = isinstance(config, ESPNetConfig) and config.shares and config.width < 2 * LEVEL3
    return merged and can_rearrange(config)


class DeepestMaps:
    """An ESPNet that gives these averages and its logits, on one thread.

    Parameters
    ----------
    config : ESPNetConfig
        `can_average` must hold.
    arrays, spec
        As `FastESPNet` takes them.
    """

    def __init__(self, config: ESPNetConfig, arrays: Mapping[str, NDArray[Any]], spec: InputSpec) -> None:
        reach = 2 ** (config.branches - 1)
        self._maps = (Maps.new(LEVEL3, 8, reach), Maps.new(LEVEL3, 8, reach))
        self._network = FastESPNet(config, arrays, spec, self._maps)
        norm = Weights(arrays).under("encoder").norm("level3_merge.0")
        self._scale, self._shift = (values.astype(np.float64) for values in (norm.scale, norm.shift))

    def __call__(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return the averages, (features,), and the logits, (classes, h, w), of a (height, width, 3) image.

        A normalisation is linear: its average is that of what goes into it, normalised.
        """
        logits, *maps = self._network.logits_and(rgb, *self._maps)
        averages = np.concatenate([m.mean(axis=(1, 2), dtype=np.float64) for m in maps])
        return averages * self._scale + self._shift, logits
