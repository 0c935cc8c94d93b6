"""The interface of a network: a config that decides its shape, and a class that is built from it.

A network of another package derives its config from `NetworkConfig` and its class from `Network`, and is
registered by a name: see `wsi_seg.models.registry`, and "Add a network" in docs/networks.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import nn

from wsi_seg.models.network_config import ENCODER_STRIDE, NetworkConfig, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

__all__ = ["ENCODER_STRIDE", "Network", "NetworkConfig", "Stage"]


class Network(nn.Module):
    """A segmentation network.

    Its `forward` takes normalised images, float (N, 3, H, W), with sides that are multiples of
    `config.multiple`, and returns logits, (N, classes, H / output_stride, W / output_stride). Other sides are
    a ValueError. The result depends on the images and the weights alone: several threads may call it at a
    time.

    Parameters
    ----------
    config : NetworkConfig

    Attributes
    ----------
    config_type : type of NetworkConfig
        The type of its config, an attribute of the class.
    config : NetworkConfig
    path : Path or None
        The model file that it was read from.
    """

    config_type: ClassVar[type[NetworkConfig]]
    config: NetworkConfig

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.path: Path | None = None

    @property
    def output_stride(self) -> int:
        """Image pixels per logit along each side."""
        return self.config.output_stride

    def check_sides(self, image: Tensor) -> None:
        """Raise ValueError unless an image's sides fit the network; the message names sides that do."""
        multiple = self.config.multiple
        height, width = image.shape[-2:]
        if height % multiple or width % multiple or not height or not width:
            fit_h, fit_w = (max(1, -(-side // multiple)) * multiple for side in (height, width))
            raise ValueError(f"an image of {width} x {height} pixels does not fit: pad to {fit_w} x {fit_h}")
