"""ENet, the whole network, top to bottom.

Paszke, Chaurasia, Kim, Culurciello: "ENet: A Deep Neural Network Architecture for Real-Time Semantic
Segmentation", 2016, arXiv:1606.02147, table 1 and figure 2. What the paper does not say is as in the authors'
Torch code: a bottleneck's middle convolution has a bias, the decoder's activations are ReLUs, and weights are
drawn uniformly within ``1 / sqrt(fan_in)``, which is PyTorch's default.

With more than two CPU threads PyTorch's 3x3 transposed convolution rounds its sums differently, and so does
this network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.models.espnet_config import RGB
from wsi_seg.models.network import Network, NetworkConfig
from wsi_seg.models.prelu import PReLU
from wsi_seg.paper.networks.unpool import unpool

if TYPE_CHECKING:
    from collections.abc import Callable

STAGE0, STAGE1, STAGE2 = 16, 64, 128
"""Channels at 1/2, 1/4 and 1/8 of the image's sides."""

REDUCTION = 4
"""Ratio of a bottleneck's channels to those of its middle convolution."""

EARLY_DROPOUT, DROPOUT = 0.01, 0.1
"""Share of a bottleneck's channels that training drops: in stage 1, and in stages 2 and 3."""


@dataclass(frozen=True)
class ENetConfig(NetworkConfig):
    """Everything that decides an ENet's shape: the classes alone."""

    @property
    def shape(self) -> str:
        """How this network differs from others of its kind, in words."""
        return "as published"


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation."""
    return nn.BatchNorm2d(channels, eps=1e-3)


def prelu(channels: int) -> nn.Module:
    """Make the encoder's activation: a PReLU with a slope for each channel."""
    return PReLU(channels, init=0.25)


def relu(channels: int) -> nn.Module:
    """Make the decoder's activation."""
    return nn.ReLU(inplace=True)


def projection(inputs: int, outputs: int, side: int = 1) -> nn.Sequential:
    """Convolution without bias over adjacent squares of `side` pixels; normalised."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, side, stride=side, bias=False), norm(outputs))


def dilated(channels: int, dilation: int = 1) -> nn.Module:
    """Make the middle of a bottleneck: a 3x3 convolution."""
    return nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)


def asymmetric(channels: int) -> nn.Module:
    """Make the middle of a bottleneck: a 5x5 convolution, as 5x1 and then 1x5."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, (5, 1), padding=(2, 0), bias=False),
        nn.Conv2d(channels, channels, (1, 5), padding=(0, 2)),
    )


class Extension(nn.Sequential):
    """The part that a bottleneck adds to its input: project to few channels, convolve, and expand.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    middle : Module
        Convolves a quarter of the `outputs` channels.
    act : function
        Makes an activation for a number of channels.
    dropout : float
        Share of the channels that training drops.
    stride : {1, 2}
        2 halves the map's sides in the first projection.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        middle: nn.Module,
        act: Callable[[int], nn.Module],
        dropout: float = 0.0,
        stride: int = 1,
    ) -> None:
        thin = outputs // REDUCTION
        super().__init__(
            nn.Sequential(projection(inputs, thin, stride), act(thin)),
            nn.Sequential(middle, norm(thin), act(thin)),
            projection(thin, outputs),
            nn.Dropout2d(dropout),
        )


class Bottleneck(nn.Module):
    """Figure 2 (b) of the paper: a residual block."""

    def __init__(
        self, channels: int, middle: nn.Module, act: Callable[[int], nn.Module], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.extension = Extension(channels, channels, middle, act, dropout)
        self.act = act(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        return self.act(x + self.extension(x))  # type: ignore[no-any-return]


class Down(nn.Module):
    """A bottleneck that halves the map's sides; the input is max-pooled, and padded with empty channels."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.extra = outputs - inputs
        self.extension = Extension(inputs, outputs, dilated(outputs // REDUCTION), prelu, dropout, stride=2)
        self.act = prelu(outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, inputs, H, W) -> (N, outputs, H / 2, W / 2), and the places of the maxima in each map."""
        pooled, places = functional.max_pool2d(x, 2, return_indices=True)
        pooled = functional.pad(pooled, (0, 0, 0, 0, 0, self.extra))
        return self.act(pooled + self.extension(x)), places


class Up(nn.Module):
    """A bottleneck that doubles the map's sides; values go to the places of the maxima of a `Down`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        thin = outputs // REDUCTION
        self.project = projection(inputs, outputs)
        middle = nn.ConvTranspose2d(thin, thin, 3, stride=2, padding=1, output_padding=1)
        self.extension = Extension(inputs, outputs, middle, relu)
        self.act = relu(outputs)

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        """(N, inputs, H, W), and places (N, outputs, H, W) -> (N, outputs, 2 * H, 2 * W)."""
        unpooled = unpool(self.project(x), places, 2 * x.shape[-2], 2 * x.shape[-1])
        return self.act(unpooled + self.extension(x))  # type: ignore[no-any-return]


def stage(channels: int) -> list[nn.Module]:
    """Make stage 2 or 3 of the paper's table, without the first bottleneck of stage 2."""
    middles = [
        dilated(channels),
        dilated(channels, 2),
        asymmetric(channels),
        dilated(channels, 4),
        dilated(channels),
        dilated(channels, 8),
        asymmetric(channels),
        dilated(channels, 16),
    ]
    return [Bottleneck(channels * REDUCTION, middle, prelu, DROPOUT) for middle in middles]


class ENet(Network):
    """ENet: a large encoder that works at 1/8 of the image's sides, and a small decoder."""

    config_type = ENetConfig

    def __init__(self, config: ENetConfig) -> None:
        super().__init__(config)
        thin0, thin1, thin2 = (channels // REDUCTION for channels in (STAGE0, STAGE1, STAGE2))
        self.initial = nn.Conv2d(RGB, STAGE0 - RGB, 3, stride=2, padding=1)
        self.initial_act = nn.Sequential(norm(STAGE0), prelu(STAGE0))
        self.down1 = Down(STAGE0, STAGE1, EARLY_DROPOUT)
        self.stage1 = nn.Sequential(
            *(Bottleneck(STAGE1, dilated(thin1), prelu, EARLY_DROPOUT) for _ in range(4))
        )
        self.down2 = Down(STAGE1, STAGE2, DROPOUT)
        self.stage2 = nn.Sequential(*stage(thin2))
        self.stage3 = nn.Sequential(*stage(thin2))
        self.up4 = Up(STAGE2, STAGE1)
        self.stage4 = nn.Sequential(*(Bottleneck(STAGE1, dilated(thin1), relu) for _ in range(2)))
        self.up5 = Up(STAGE1, STAGE0)
        self.stage5 = Bottleneck(STAGE0, dilated(thin0), relu)
        self.classify = nn.ConvTranspose2d(STAGE0, config.classes, 2, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        """Segment normalised images: see `Network`."""
        self.check_sides(image)
        half = torch.cat([self.initial(image), functional.max_pool2d(image, 2)], dim=1)
        quarter, places1 = self.down1(self.initial_act(half))
        eighth, places2 = self.down2(self.stage1(quarter))
        quarter = self.stage4(self.up4(self.stage3(self.stage2(eighth)), places2))
        return self.classify(self.stage5(self.up5(quarter, places1)))  # type: ignore[no-any-return]
