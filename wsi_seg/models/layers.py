"""The layers of ESPNet's modules, and of the modules that it is compared with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

from wsi_seg.models.prelu import PReLU

if TYPE_CHECKING:
    from wsi_seg.models.block_names import Activation

PRELU_SLOPE = 0.25


def activate(channels: int, activation: Activation) -> nn.Module:
    """Return a PReLU with a slope for each channel, or a ReLU."""
    return PReLU(channels, init=PRELU_SLOPE) if activation == "prelu" else nn.ReLU(inplace=True)


def conv3x3(inputs: int, outputs: int, stride: int = 1, dilation: int = 1, groups: int = 1) -> nn.Conv2d:
    """3x3 convolution without bias, padded to keep the map's size (or halve it, rounding up)."""
    return nn.Conv2d(
        inputs, outputs, 3, stride, padding=dilation, dilation=dilation, groups=groups, bias=False
    )


def conv1x1(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """1x1 convolution without bias."""
    return nn.Conv2d(inputs, outputs, 1, stride, groups=groups, bias=False)


def double(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """2x2 transposed convolution of stride 2 without bias: doubles a map's sides."""
    return nn.ConvTranspose2d(inputs, outputs, 2, stride=2, bias=False)


def initialise(module: nn.Module) -> None:
    """Draw a convolution's weights from He et al.'s normal distribution, for PReLUs that start at 0.25.

    The variance is ``2 / ((1 + 0.25 ** 2) * fan_in)``. Each output pixel of the transposed convolutions here
    sees a single input pixel, so PyTorch's `fan_in` is not used for them. Everything else keeps its defaults.
    """
    if isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=math.sqrt(2 / (1 + PRELU_SLOPE**2) / module.in_channels))
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, a=PRELU_SLOPE, mode="fan_in", nonlinearity="leaky_relu")
