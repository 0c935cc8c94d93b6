"""SegNet, the whole network, top to bottom.

Badrinarayanan, Kendall, Cipolla: "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
Segmentation", IEEE TPAMI 39 (2017), arXiv:1511.00561, figure 2: the thirteen convolutions of VGG16, and their
mirror image. Weights are drawn as the paper has it; its encoder then began from VGG16 as trained on ImageNet,
which does not come with this.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.models.blocks import MAX_WIDTH
from wsi_seg.models.espnet import RGB
from wsi_seg.models.network import Network, NetworkConfig
from wsi_seg.paper.networks.unpool import unpool

STAGES = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))
"""Of the encoder, from fine to coarse: convolutions, and their channels in multiples of the first stage's."""


@dataclass(frozen=True)
class SegNetConfig(NetworkConfig):
    """Everything that decides a SegNet's shape.

    Attributes
    ----------
    classes : int
        Output channels; 2 or more.
    width : int
        Channels of the first stage, which all others are multiples of; 64 as published.

    Raises
    ------
    ValueError
        If the numbers make no network.
    """

    width: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.width <= MAX_WIDTH:
            raise ValueError(f"width is {self.width}: use 1 to {MAX_WIDTH}")

    @property
    def title(self) -> str:
        """What people call this network."""
        return "SegNet"

    @property
    def shape(self) -> str:
        """What sets this network apart from others of its title, in words."""
        return f"{self.width} to {8 * self.width} channels"


def convolutions(channels: list[int]) -> nn.Sequential:
    """3x3 convolutions through so many channels, each normalised and activated."""
    return nn.Sequential(
        *(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
            )
            for inputs, outputs in pairwise(channels)
        )
    )


class SegNet(Network):
    """SegNet: what is max-pooled on the way down is put back in its place on the way up."""

    config_type = SegNetConfig

    def __init__(self, config: SegNetConfig) -> None:
        super().__init__(config)
        widths = [config.width * times for _, times in STAGES]
        counts = [count for count, _ in STAGES]
        finer = [RGB, *widths[:-1]]
        self.encoder = nn.ModuleList(
            convolutions([inputs] + [width] * count)
            for inputs, width, count in zip(finer, widths, counts, strict=True)
        )
        # The finest stage's last convolution is the one that classifies.
        self.decoder = nn.ModuleList(
            convolutions([width] * count + ([] if outputs == RGB else [outputs]))
            for outputs, width, count in reversed(list(zip(finer, widths, counts, strict=True)))
        )
        self.classify = nn.Conv2d(config.width, config.classes, 3, padding=1)
        self.apply(initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Segment normalised images.

        Maps of odd sides, as there are when the image's are not multiples of 32, are halved rounding up; the
        authors' network does so at 480 x 360.

        Parameters
        ----------
        image : Tensor
            Float, (N, 3, H, W), with H and W multiples of 8.

        Returns
        -------
        Tensor
            Logits, (N, classes, H, W).

        Raises
        ------
        ValueError
            If a side is not a multiple of 8.
        """
        self.check_sides(image)
        pooled, x = [], image
        for stage in self.encoder:
            x = stage(x)
            size = x.shape[-2:]
            x, places = functional.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
            pooled.append((size, places))
        for stage, (size, places) in zip(self.decoder, reversed(pooled), strict=True):
            x = stage(unpool(x, places, *size))
        return self.classify(x)  # type: ignore[no-any-return]


def initialise(module: nn.Module) -> None:
    """Draw a convolution's weights from He et al.'s normal distribution, for ReLUs, and its bias as zero."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        assert module.bias is not None
        nn.init.zeros_(module.bias)
