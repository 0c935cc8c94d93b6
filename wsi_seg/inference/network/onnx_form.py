"""A network from an ONNX file, run by ONNX Runtime instead of PyTorch."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from wsi_seg.inference.network.pixels import Normalisation, best_channel
from wsi_seg.models.onnx.onnx_network import run

if TYPE_CHECKING:
    from torch import Tensor

    from wsi_seg.models.header import InputSpec
    from wsi_seg.models.onnx.onnx_network import OnnxNet
    from wsi_seg.models.onnx.onnx_session import Session


class OnnxForm:
    """A network run by ONNX Runtime. For one thread at a time.

    The first call opens it, for as many threads as PyTorch has in the calling thread.
    """

    def __init__(self, network: OnnxNet, spec: InputSpec, device: torch.device) -> None:
        self._network = network
        self._device = device
        self._normalise = Normalisation(spec, torch.device("cpu"))
        self._session: Session | None = None
        self.output_stride = network.output_stride

    def twin(self) -> OnnxForm:
        """Return another one for another thread; it opens the network by itself."""
        twin = copy.copy(self)
        twin._session = None
        return twin

    def logits(self, pixels: Tensor) -> Tensor:
        """Return float32 logits of RGB pixels, uint8 (N, height, width, 3), as the network gives them."""
        if self._session is None:
            self._session = self._network.open(self._device, torch.get_num_threads())
        images = self._normalise(pixels.cpu().permute(0, 3, 1, 2)).contiguous()
        return run(self._session, self._network.config, images).to(self._device)

    def best(self, pixels: Tensor, margin: int) -> Tensor:
        """Return the channel of the largest logit, uint8 (N, height, width) less a margin on every side."""
        return best_channel(self.logits(pixels), self.output_stride, margin)
