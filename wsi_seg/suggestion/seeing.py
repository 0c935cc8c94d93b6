"""A network that shows what it sees beside what it decides: its widest map, and its doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional

from wsi_seg.errors import DeviceError
from wsi_seg.inference.network.float32 import float32_proper
from wsi_seg.inference.network.folding import folded
from wsi_seg.inference.network.forms import run_as
from wsi_seg.inference.network.pixels import Normalisation
from wsi_seg.models.features import WidestMaps
from wsi_seg.models.onnx.onnx_network import OnnxNet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from wsi_seg.models.bundle import ModelBundle

POINT = 8
"""Label pixels along the side of the squares that doubts are averaged over."""


class Seen(NamedTuple):
    """Maps of a patch, each as coarse as it is.

    Attributes
    ----------
    probabilities : float32 array, shape (classes, h, w)
        Of each class, means over squares of `POINT` pixels.
    unsure : float32 array, shape (h, w)
        Entropy of the pixels' probabilities, 0 for sure, 1 for all classes alike; means likewise.
    features : float32 array, shape (channels, h', w')
        What the network's widest convolution is given.
    """

    probabilities: NDArray[np.float32]
    unsure: NDArray[np.float32]
    features: NDArray[np.float32]


class SeeingNetwork:
    """A network run by PyTorch, one patch at a time, in float32.

    Features are its `WidestMaps`. A network of others, in ONNX, shows none: its probabilities take their
    place.

    Parameters
    ----------
    bundle : ModelBundle
        Its network is copied, and stays unchanged.
    device : torch.device
    """

    def __init__(self, bundle: ModelBundle, device: torch.device) -> None:
        self._device, self._normalise = device, Normalisation(bundle.input, device)
        self._onnx = (
            run_as("plain", bundle.network, bundle.input, device)
            if isinstance(bundle.network, OnnxNet)
            else None
        )
        if self._onnx is None:
            self._network = folded(bundle.network).to(device)
            self._widest = WidestMaps(self._network)

    @torch.inference_mode()
    def __call__(self, rgb: NDArray[np.uint8]) -> Seen:
        """Look at a patch.

        Parameters
        ----------
        rgb : uint8 array, shape (height, width, 3)
            With sides that the network takes.

        Raises
        ------
        DeviceError
            If the device runs out of memory.
        """
        pixels = torch.from_numpy(rgb[None]).to(self._device)
        try:
            logits = self._logits(pixels)
            shares = logits.softmax(dim=1)
            doubt = -(shares * (shares + 1e-12).log()).sum(dim=1, keepdim=True)
            size = (max(1, rgb.shape[0] // POINT), max(1, rgb.shape[1] // POINT))
            probabilities = functional.adaptive_avg_pool2d(shares, size)[0]
            unsure = functional.adaptive_avg_pool2d(doubt, size)[0, 0] / torch.log(
                torch.tensor(float(logits.shape[1]))
            )
            widest = None if self._onnx is not None else self._widest.take()
            features = probabilities if widest is None else widest[0]
        except torch.OutOfMemoryError as error:
            what = f"{self._device}: out of memory at a patch of {rgb.shape[1]} px"
            raise DeviceError(f"{what}: give a smaller --window-um, or --device cpu") from error
        finally:
            if self._onnx is None:
                self._widest.take()  # also of a run that failed
        return Seen(*(maps.float().cpu().numpy() for maps in (probabilities, unsure, features)))

    def _logits(self, pixels: Tensor) -> Tensor:
        if self._onnx is not None:
            return self._onnx.logits(pixels)
        with float32_proper():
            logits: Tensor = self._network(self._normalise(pixels.permute(0, 3, 1, 2)))
        return logits.float()
