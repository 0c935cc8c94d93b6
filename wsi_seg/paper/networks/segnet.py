"""SegNet, the whole network, top to bottom.

Badrinarayanan, Kendall, Cipolla: "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
Segmentation", IEEE TPAMI 39 (2017), arXiv:1511.00561, figure 2: the thirteen convolutions of VGG16, and their
mirror image. Weights are drawn as in the paper. Its encoder began with VGG16 trained on ImageNet, which is
not included here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.models.block_names import MAX_WIDTH
from wsi_seg.models.espnet_config import RGB
from wsi_seg.models.network import Network, NetworkConfig
from wsi_seg.paper.networks.unpool import unpool

STAGES = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))
"""The encoder's stages, from fine to coarse: convolutions, and channels in multiples of the first stage's."""


@dataclass(frozen=True)
class SegNetConfig(NetworkConfig):
    """Everything that decides a SegNet's shape.

    Attributes
    ----------
    classes : int
        Output channels; 2 or more.
    width : int
        Channels of the first stage; all others are multiples. As published, 64.

    Raises
    ------
    ValueError
        If no network can be made from these values.
    """

    width: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.width <= MAX_WIDTH:
            raise ValueError(f"width is {self.width}: use 1 to {MAX_WIDTH}")

    @property
    def shape(self) -> str:
        """How this network differs from others of its kind, in words."""
        return f"{self.width} to {8 * self.width} channels"


def convolutions(channels: list[int]) -> nn.Sequential:
    """Make 3x3 convolutions with these channels, each normalised and activated."""
    return nn.Sequential(
        *(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
            )
            for inputs, outputs in pairwise(channels)
        )
    )


class SegNet(Network):
    """SegNet: the decoder puts values back to the places of the maxima that the encoder pooled."""

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
        # The last convolution of the finest stage is the classifier.
        self.decoder = nn.ModuleList(
            convolutions([width] * count + ([] if outputs == RGB else [outputs]))
            for outputs, width, count in reversed(list(zip(finer, widths, counts, strict=True)))
        )
        self.classify = nn.Conv2d(config.width, config.classes, 3, padding=1)
        self.apply(initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Segment normalised images: see `Network`.

        If the image's sides are not multiples of 32, some maps have odd sides. These are halved and rounded
        up, as in the authors' network at 480 x 360.
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
