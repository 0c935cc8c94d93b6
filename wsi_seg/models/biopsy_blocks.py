"""The parts of the breast-biopsy network: its convolutions, its two kinds of blocks, and its pools."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.models.fusion import fuse
from wsi_seg.models.layers import conv3x3
from wsi_seg.models.network import ENCODER_STRIDE

BRANCHES = 4
"""Dilated convolutions in an ESP block."""

CELLS = ((5, 6), (2, 3), (1, 2), (3, 8))
"""The pools: (cells, map pixels that they cover) along each side: 40, 32, 24 and 18 cells on 48 pixels."""

POOL_PERIOD = 24 * ENCODER_STRIDE
"""Image pixels after which the pattern of all pools repeats."""


def norm_act(channels: int) -> nn.Sequential:
    """Batch normalisation and a ReLU."""
    return nn.Sequential(nn.BatchNorm2d(channels, eps=1e-3), nn.ReLU(inplace=True))


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution without bias that keeps the map's size (or halves it), normalised and activated.

    Dilation has no effect on a 1x1 kernel. But on one CPU thread PyTorch computes an undilated one by another
    algorithm, which rounds hundreds of input channels differently than on several threads.
    """
    dilation = 2 if kernel == 1 else 1
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, dilation=dilation, bias=False)
    return nn.Sequential(layer, norm_act(outputs))


class ESPBlock(nn.Module):
    """Efficient spatial pyramid with a 3x3 reduction and dilations of 1, 2, 4 and 8; residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        thin = channels // BRANCHES
        self.reduce = conv3x3(channels, thin)
        self.branches = nn.ModuleList(conv3x3(thin, thin, dilation=2**k) for k in range(BRANCHES))
        self.norm_act = norm_act(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        reduced = self.reduce(x)
        return self.norm_act(fuse([branch(reduced) for branch in self.branches]) + x)  # type: ignore[no-any-return]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and the input (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels, 3)
        self.second = nn.Sequential(conv3x3(channels, channels), nn.BatchNorm2d(channels, eps=1e-3))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        return functional.relu(self.second(self.first(x)) + x)


class PooledBranch(nn.Module):
    """A map averaged over coarser cells, projected, and enlarged again.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    cells, pixels : int
        Number of cells along each side, and number of map pixels that they cover. Cells are evenly spaced,
        and overlap where necessary.
    """

    def __init__(self, inputs: int, outputs: int, cells: int, pixels: int) -> None:
        super().__init__()
        self.cells, self.pixels = cells, pixels
        self.project = convolution(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        height, width = x.shape[-2:]
        bottom, right = -height % self.pixels, -width % self.pixels
        if bottom or right:  # whole groups of cells, or their size would depend on the map's
            x = functional.pad(x, (0, right, 0, bottom), mode="replicate")
        rows, columns = (side // self.pixels * self.cells for side in x.shape[-2:])
        pooled = self.project(functional.adaptive_avg_pool2d(x, (rows, columns)))
        return enlarge(pooled, x.shape[-2], x.shape[-1])[..., :height, :width]


class Pyramid(nn.Module):
    """Pyramid pooling (Zhao et al., 2017): the map, and beside it the map through four sizes of cells."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(PooledBranch(inputs, outputs, *each) for each in CELLS)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, inputs + 4 * outputs, H, W)."""
        return torch.cat([x, *(branch(x) for branch in self.branches)], dim=1)


def double(maps: Tensor) -> Tensor:
    """Enlarge maps bilinearly to twice their sides."""
    return enlarge(maps, 2 * maps.shape[-2], 2 * maps.shape[-1])


def enlarge(maps: Tensor, height: int, width: int) -> Tensor:
    """Enlarge maps bilinearly (half-pixel centres, edges repeated), bit for bit the same for any threads.

    PyTorch rounds maps of three channels or fewer differently with another number of CPU threads; four or
    more, in the channels-last layout, it does not. So there are four.
    """
    channels = maps.shape[1]
    if channels < 4:
        maps = functional.pad(maps, (0, 0, 0, 0, 0, 4 - channels))
    return functional.interpolate(maps, (height, width), mode="bilinear", align_corners=False)[:, :channels]


def initialise(module: nn.Module) -> None:
    """Draw a convolution's weights from He et al.'s normal distribution, for ReLUs; nothing else changes."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
