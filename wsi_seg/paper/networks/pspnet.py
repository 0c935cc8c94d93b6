"""PSPNet, the whole network, top to bottom.

Zhao, Shi, Qi, Wang, Jia: "Pyramid Scene Parsing Network", CVPR 2017, arXiv:1612.01105: a residual network,
dilated so that it works at 1/8 of the image's sides, and averages over larger and larger parts of the whole
map. As in the authors' Caffe networks, the stem is three 3x3 convolutions, and a block is strided in its
first one.

The 65.7 million parameters that ESPNet's paper gives are those of the network that segments. In training, the
authors added a second output after the third stage, with a loss of its own and 2.4 million more parameters.
It has no effect on the result, and is left out here. So are their initial weights, trained on ImageNet. They
took images of 8 k + 1 pixels a side and enlarged logits with aligned corners. With images of 8 k pixels,
corners cannot be aligned, and logits are enlarged with half-pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.models.biopsy_blocks import enlarge
from wsi_seg.models.block_names import MAX_WIDTH
from wsi_seg.models.espnet_config import RGB
from wsi_seg.models.network import Network, NetworkConfig

EXPANSION = 4
"""Ratio of a block's output channels to those of its middle convolution."""

STAGES = ((1, 1), (2, 1), (1, 2), (1, 4))
"""Stride and dilation of the residual network's stages."""

CELLS = (1, 2, 3, 6)
"""Cells along each side of the map, in the pyramid's four levels."""

DROPOUT = 0.1
MAX_BLOCKS = 100


@dataclass(frozen=True)
class PSPNetConfig(NetworkConfig):
    """Everything that decides a PSPNet's shape.

    Attributes
    ----------
    classes : int
        Output channels; 2 or more.
    blocks : (int, int, int, int)
        Blocks of the residual network's stages; (3, 4, 23, 3) makes PSPNet-101, (3, 4, 6, 3) PSPNet-50.
    width : int
        Channels of the first stage's middle convolutions; all others are multiples. As published, 64.

    Raises
    ------
    ValueError
        If no network can be made from these values.
    """

    blocks: tuple[int, int, int, int] = (3, 4, 23, 3)
    width: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.blocks) != len(STAGES) or not all(1 <= count <= MAX_BLOCKS for count in self.blocks):
            raise ValueError(f"blocks is {self.blocks}: use four numbers of 1 to {MAX_BLOCKS}")
        if not 1 <= self.width <= MAX_WIDTH:
            raise ValueError(f"width is {self.width}: use 1 to {MAX_WIDTH}")

    @property
    def title(self) -> str:
        """The name of this kind of network."""
        return f"PSPNet-{3 * sum(self.blocks) + 2}"

    @property
    def shape(self) -> str:
        """How this network differs from others of its kind, in words."""
        return f"{', '.join(map(str, self.blocks))} blocks, {self.width} channels wide"


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution without bias that keeps the map's size (or halves it); normalised.

    Dilation has no effect on a 1x1 kernel. But on one CPU thread PyTorch computes an undilated one by another
    algorithm, which rounds hundreds of input channels differently than on several threads.
    """
    pad = dilation * (kernel // 2)
    layer = nn.Conv2d(
        inputs, outputs, kernel, stride, pad, dilation=2 if kernel == 1 else dilation, bias=False
    )
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


def activated(layer: nn.Module) -> nn.Sequential:
    """Put a ReLU after a layer."""
    return nn.Sequential(layer, nn.ReLU(inplace=True))


class Block(nn.Module):
    """A residual block: 1x1, 3x3, 1x1; the input is projected if it has another shape."""

    def __init__(self, inputs: int, thin: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        outputs = EXPANSION * thin
        self.layers = nn.Sequential(
            activated(convolution(inputs, thin, 1, stride)),
            activated(convolution(thin, thin, 3, dilation=dilation)),
            convolution(thin, outputs, 1),
        )
        self.shortcut = nn.Identity() if inputs == outputs else convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 4 * thin, H / stride, W / stride)."""
        return functional.relu(self.layers(x) + self.shortcut(x))


def stage(inputs: int, thin: int, blocks: int, stride: int, dilation: int) -> nn.Sequential:
    """One stage of the residual network."""
    rest = (Block(EXPANSION * thin, thin, 1, dilation) for _ in range(blocks - 1))
    return nn.Sequential(Block(inputs, thin, stride, dilation), *rest)


class Pyramid(nn.Module):
    """The map, concatenated with its averages over 1, 2 x 2, 3 x 3 and 6 x 6 cells, enlarged again."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        thin = channels // len(CELLS)
        self.branches = nn.ModuleList(activated(convolution(channels, thin, 1)) for _ in CELLS)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, 2 * channels, H, W)."""
        height, width = x.shape[-2:]
        maps = [x]
        for cells, project in zip(CELLS, self.branches, strict=True):
            maps.append(enlarge(project(functional.adaptive_avg_pool2d(x, cells)), height, width))
        return torch.cat(maps, dim=1)


class PSPNet(Network):
    """PSPNet of any depth."""

    config_type = PSPNetConfig

    def __init__(self, config: PSPNetConfig) -> None:
        super().__init__(config)
        width = config.width
        thin = [width * 2**level for level in range(len(STAGES))]
        inputs = [2 * width] + [EXPANSION * channels for channels in thin]
        self.stem = nn.Sequential(
            activated(convolution(RGB, width, 3, stride=2)),
            activated(convolution(width, width, 3)),
            activated(convolution(width, 2 * width, 3)),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.stages = nn.Sequential(
            *(
                stage(inputs[level], thin[level], config.blocks[level], stride, dilation)
                for level, (stride, dilation) in enumerate(STAGES)
            )
        )
        self.pyramid = Pyramid(inputs[-1])
        self.merge = nn.Sequential(
            activated(convolution(2 * inputs[-1], thin[-1], 3)),
            nn.Dropout2d(DROPOUT),
        )
        self.classify = nn.Conv2d(thin[-1], config.classes, 1, dilation=2)
        self.apply(initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Segment normalised images: see `Network`.

        The pyramid sees the whole image, so a pixel's class depends on the image's size.
        """
        self.check_sides(image)
        logits = self.classify(self.merge(self.pyramid(self.stages(self.stem(image)))))
        return enlarge(logits, image.shape[-2], image.shape[-1])


def initialise(module: nn.Module) -> None:
    """Draw a convolution's weights from He et al.'s normal distribution, for ReLUs; nothing else changes."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
