"""What a network sees in patches: its features, and how confident it is. By PyTorch, or by compiled kernels.

The kernels add up in another order: features differ in their sixth digit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.inference.fast.deepest import DeepestMaps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.inference.tissue.patch_looks import Sight
    from wsi_seg.models.bundle import ModelBundle
    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.network import Network


def sight_by_pytorch(network: Network, spec: InputSpec) -> Sight:
    """Return the sight of any network, which must be in eval mode, float32, on the CPU."""
    import torch

    from wsi_seg.inference.network.pixels import Normalisation
    from wsi_seg.models.features import pooled_features

    normalise = Normalisation(spec, torch.device("cpu"))

    def sight(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float64], float]:
        pixels = normalise(torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None])
        features, logits = pooled_features(network, pixels)
        return features[0].double().numpy(), float(logits.softmax(dim=1).amax(dim=1).mean())

    return sight


def sight_by_kernels(bundle: ModelBundle) -> Sight:
    """Return the sight of a network of which `can_average` holds, on one core, without PyTorch."""
    deepest = DeepestMaps(*bundle.published, bundle.input)

    def sight(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float64], float]:
        features, logits = deepest(rgb)
        surest = np.exp(logits - logits.max(axis=0)).sum(axis=0, dtype=np.float64)
        return features, float((1 / surest).mean())

    return sight
