"""Blocks of other networks, in place of ESPNet's efficient spatial pyramids.

This is the comparison of the ESPNet paper (arXiv:1803.06815): one network with different blocks, under equal
limits. Each block is its authors', with two differences. Its inner width is free, as it follows from a budget
(`wsi_seg.models.budget`). And where a map is halved or changes its channels, all residual blocks add a
projection of their input (He et al.'s option B). Normalisation and activation are those of ESPNet, the same
for all blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from wsi_seg.models.block_names import GROUPS
from wsi_seg.models.layers import activate, conv1x1, conv3x3
from wsi_seg.models.norm_act import NormAct

if TYPE_CHECKING:
    from wsi_seg.models.block_names import Activation, BlockName

DILATION = 4


@dataclass(frozen=True)
class BlockShape:
    """The values from which any block is made.

    Attributes
    ----------
    inputs, outputs : int
        Channels.
    stride : {1, 2}
        2 halves the map.
    width : int
        Channels inside the block.
    activation : {"prelu", "relu"}
    """

    inputs: int
    outputs: int
    stride: int
    width: int
    activation: Activation

    def norm_act(self, channels: int) -> NormAct:
        """Return a normalisation and an activation."""
        return NormAct(channels, self.activation)


class Residual(nn.Module):
    """A block that adds its input to the result of its body, and then activates.

    Parameters
    ----------
    shape : BlockShape
    body : nn.Module
        It ends in a convolution; the normalisation after that is added here.
    """

    def __init__(self, shape: BlockShape, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body, nn.BatchNorm2d(shape.outputs, eps=1e-3))
        self.shortcut: nn.Module = nn.Identity()
        if shape.stride == 2 or shape.inputs != shape.outputs:
            project = conv1x1(shape.inputs, shape.outputs, shape.stride)
            self.shortcut = nn.Sequential(project, nn.BatchNorm2d(shape.outputs, eps=1e-3))
        self.activate = activate(shape.outputs, shape.activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return self.activate(self.body(x) + self.shortcut(x))  # type: ignore[no-any-return]


class ResNetBlock(Residual):
    """Two 3x3 convolutions (He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385)."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__(
            shape,
            conv3x3(shape.inputs, shape.width, shape.stride),
            shape.norm_act(shape.width),
            conv3x3(shape.width, shape.outputs),
        )


class BottleneckBlock(Residual):
    """1x1 to fewer channels, 3x3, and 1x1 back (He et al., arXiv:1512.03385)."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__(
            shape,
            conv1x1(shape.inputs, shape.width),
            shape.norm_act(shape.width),
            conv3x3(shape.width, shape.width, shape.stride),
            shape.norm_act(shape.width),
            conv1x1(shape.width, shape.outputs),
        )


class ResNeXtBlock(Residual):
    """A bottleneck whose 3x3 convolution is in groups of 4 channels, as in ResNeXt-50 32x4d.

    Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", arXiv:1611.05431.
    """

    def __init__(self, shape: BlockShape) -> None:
        super().__init__(
            shape,
            conv1x1(shape.inputs, shape.width),
            shape.norm_act(shape.width),
            conv3x3(shape.width, shape.width, shape.stride, groups=max(1, shape.width // GROUPS)),
            shape.norm_act(shape.width),
            conv1x1(shape.width, shape.outputs),
        )


class ShuffleNetBlock(Residual):
    """Grouped 1x1, shuffled, depthwise 3x3, grouped 1x1, in 4 groups, or as many as divide the channels.

    Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
    arXiv:1707.01083. Its strided unit concatenates the pooled input and fewer new channels. Here a projection
    is added instead, as ESPNet's third level has 131 input and 128 output channels.
    """

    def __init__(self, shape: BlockShape) -> None:
        first, last = (
            math.gcd(shape.inputs, shape.width, GROUPS),
            math.gcd(shape.width, shape.outputs, GROUPS),
        )
        super().__init__(
            shape,
            conv1x1(shape.inputs, shape.width, groups=first),
            shape.norm_act(shape.width),
            Shuffle(first),
            conv3x3(shape.width, shape.width, shape.stride, groups=shape.width),
            nn.BatchNorm2d(shape.width, eps=1e-3),
            conv1x1(shape.width, shape.outputs, groups=last),
        )


class Shuffle(nn.Module):
    """Reorders channels, so that each group of the next layer sees channels of all groups before."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        n, channels, height, width = x.shape
        return x.view(n, self.groups, -1, height, width).transpose(1, 2).reshape(n, channels, height, width)


class DilatedBlock(Residual):
    """Two 3x3 convolutions of dilation 4: a single rate, not a pyramid.

    Yu et al., "Dilated Residual Networks", arXiv:1705.09472.
    """

    def __init__(self, shape: BlockShape) -> None:
        super().__init__(
            shape,
            conv3x3(shape.inputs, shape.width, shape.stride, DILATION),
            shape.norm_act(shape.width),
            conv3x3(shape.width, shape.outputs, dilation=DILATION),
        )


class MobileNetBlock(nn.Sequential):
    """Two depthwise separable convolutions, with the block's width between them; not residual.

    Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    arXiv:1704.04861.
    """

    def __init__(self, shape: BlockShape) -> None:
        super().__init__(
            *separable(shape, shape.inputs, shape.width, shape.stride),
            *separable(shape, shape.width, shape.outputs, 1),
        )


def separable(shape: BlockShape, inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    """Return the layers of one depthwise separable convolution."""
    depthwise = conv3x3(inputs, inputs, stride, groups=inputs)
    return [depthwise, shape.norm_act(inputs), conv1x1(inputs, outputs), shape.norm_act(outputs)]


class InceptionBlock(nn.Module):
    """1x1, reduced 3x3, reduced 5x5 and pooled branches, concatenated; `width` is that of both reductions.

    Szegedy et al., "Going Deeper with Convolutions", arXiv:1409.4842; with normalisation, as in the authors'
    second version.
    """

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        inputs, width, stride = shape.inputs, shape.width, shape.stride
        quarter = shape.outputs // 4
        first = shape.outputs - 3 * quarter
        large = nn.Conv2d(width, quarter, 5, stride, padding=2, bias=False)
        self.branches = nn.ModuleList(
            [
                conv1x1(inputs, first, stride),
                nn.Sequential(conv1x1(inputs, width), shape.norm_act(width), conv3x3(width, quarter, stride)),
                nn.Sequential(conv1x1(inputs, width), shape.norm_act(width), large),
                nn.Sequential(nn.MaxPool2d(3, stride, padding=1), conv1x1(inputs, quarter)),
            ]
        )
        self.norm_act = shape.norm_act(shape.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return self.norm_act(torch.cat([branch(x) for branch in self.branches], dim=1))  # type: ignore[no-any-return]


def build_block(name: BlockName, shape: BlockShape) -> nn.Module:
    """Make a block with random weights."""
    match name:
        case "mobilenet":
            return MobileNetBlock(shape)
        case "shufflenet":
            return ShuffleNetBlock(shape)
        case "inception":
            return InceptionBlock(shape)
        case "resnext":
            return ResNeXtBlock(shape)
        case "resnet":
            return ResNetBlock(shape)
        case "bottleneck":
            return BottleneckBlock(shape)
        case "dilated":
            return DilatedBlock(shape)
