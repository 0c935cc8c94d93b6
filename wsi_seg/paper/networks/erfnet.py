"""ERFNet, the whole network, top to bottom.

Romera, Alvarez, Bergasa, Arroyo: "ERFNet: Efficient Residual Factorized ConvNet for Real-Time Semantic
Segmentation", IEEE Transactions on Intelligent Transportation Systems 19 (2018), table I and figure 2. The
layers are those of the authors' released network, and weights are drawn as PyTorch does by default. The
authors began with an encoder trained on ImageNet, which is not included here. The encoder's own output, which
the decoder replaces, is left out.

With more than two CPU threads PyTorch's 3x3 transposed convolution rounds its sums differently, and so does
this network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.models.espnet_config import RGB
from wsi_seg.models.network import Network, NetworkConfig

LEVEL1, LEVEL2, LEVEL3 = 16, 64, 128
"""Channels at 1/2, 1/4 and 1/8 of the image's sides."""

BLOCKS2 = 5
DILATIONS3 = (2, 4, 8, 16, 2, 4, 8, 16)
"""Dilations of the blocks at the third level."""

DECODER_BLOCKS = 2
DROPOUT2, DROPOUT3 = 0.03, 0.3
"""Share of the channels that training drops in the encoder's blocks at the second and third level."""


@dataclass(frozen=True)
class ERFNetConfig(NetworkConfig):
    """Everything that decides an ERFNet's shape: the classes alone."""

    @property
    def shape(self) -> str:
        """How this network differs from others of its kind, in words."""
        return "as published"


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation."""
    return nn.BatchNorm2d(channels, eps=1e-3)


def factorised(channels: int, dilation: int = 1) -> nn.Sequential:
    """Make a 3x3 convolution as 3x1, a ReLU, and 1x3; normalised."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, (3, 1), padding=(dilation, 0), dilation=(dilation, 1)),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation)),
        norm(channels),
    )


class Block(nn.Module):
    """Non-bottleneck-1D: a residual block of two factorised convolutions, the second dilated."""

    def __init__(self, channels: int, dilation: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.first = nn.Sequential(factorised(channels), nn.ReLU(inplace=True))
        self.second = nn.Sequential(factorised(channels, dilation), nn.Dropout2d(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        return functional.relu(self.second(self.first(x)) + x)


class Down(nn.Module):
    """Halve a map's sides: a strided convolution and the max-pooled map, concatenated."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(inputs, outputs - inputs, 3, stride=2, padding=1)
        self.norm_act = nn.Sequential(norm(outputs), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / 2, W / 2)."""
        both = torch.cat([self.convolve(x), functional.max_pool2d(x, 2)], dim=1)
        return self.norm_act(both)  # type: ignore[no-any-return]


def up(inputs: int, outputs: int) -> nn.Sequential:
    """Double a map's sides by a 3x3 transposed convolution, normalised and activated."""
    layer = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(layer, norm(outputs), nn.ReLU(inplace=True))


class ERFNet(Network):
    """ERFNet: residual blocks of factorised convolutions, most of them at 1/8 of the image's sides."""

    config_type = ERFNetConfig

    def __init__(self, config: ERFNetConfig) -> None:
        super().__init__(config)
        self.encoder = nn.Sequential(
            Down(RGB, LEVEL1),
            Down(LEVEL1, LEVEL2),
            *(Block(LEVEL2, dropout=DROPOUT2) for _ in range(BLOCKS2)),
            Down(LEVEL2, LEVEL3),
            *(Block(LEVEL3, dilation, DROPOUT3) for dilation in DILATIONS3),
        )
        self.decoder = nn.Sequential(
            up(LEVEL3, LEVEL2),
            *(Block(LEVEL2) for _ in range(DECODER_BLOCKS)),
            up(LEVEL2, LEVEL1),
            *(Block(LEVEL1) for _ in range(DECODER_BLOCKS)),
            nn.ConvTranspose2d(LEVEL1, config.classes, 2, stride=2),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Segment normalised images: see `Network`."""
        self.check_sides(image)
        return self.decoder(self.encoder(image))  # type: ignore[no-any-return]
