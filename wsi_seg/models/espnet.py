"""ESPNet, the whole network, top to bottom; its settings are in `wsi_seg.models.espnet_config`.

Mehta, Rastegari, Caspi, Shapiro, Hajishirzi: "ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for
Semantic Segmentation", ECCV 2018, arXiv:1803.06815. The layers are those of the authors' released network, so
their weights load (`wsi_seg.models.upstream`), with one difference: the decoder may have more channels than
there are classes. The authors' decoder has as many channels as classes, too few for two to eight classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.models.block_names import width_step
from wsi_seg.models.blocks import BlockShape, build_block
from wsi_seg.models.espnet_config import LEVEL1, LEVEL2, LEVEL3, RGB, ESPNetConfig
from wsi_seg.models.fusion import fuse
from wsi_seg.models.layers import conv1x1, conv3x3, double, initialise
from wsi_seg.models.network import Network
from wsi_seg.models.norm_act import NormAct


class ESP(nn.Module):
    """Efficient spatial pyramid (paper, section 3): reduce, split, transform, merge.

    Parameters
    ----------
    inputs, outputs : int
        Channels. ``outputs // branches`` per branch; the undilated one takes the remainder as well. Where
        they are equal, and the stride is 1, the input is added to the output.
    config : ESPNetConfig
        Its `branches` are parallel 3x3 convolutions, with dilations 1, 2, 4, ...
    stride : {1, 2}
        2 makes the "strided ESP", whose reduction is a 3x3 convolution.
    """

    def __init__(self, inputs: int, outputs: int, config: ESPNetConfig, stride: int = 1) -> None:
        super().__init__()
        thin = outputs // config.branches
        widths = [outputs - (config.branches - 1) * thin] + [thin] * (config.branches - 1)
        self.residual = config.residual and inputs == outputs and stride == 1
        self.hff = config.hff
        self.reduce = (
            conv3x3(inputs, thin, stride) if stride == 2 or config.reduce == 3 else conv1x1(inputs, thin)
        )
        self.branches = nn.ModuleList(conv3x3(thin, width, dilation=2**k) for k, width in enumerate(widths))
        self.norm_act = NormAct(outputs, config.activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        reduced = self.reduce(x)
        branches = [branch(reduced) for branch in self.branches]
        return self.norm_act(fuse(branches, self.hff, x if self.residual else None))  # type: ignore[no-any-return]


def build_module(inputs: int, outputs: int, config: ESPNetConfig, stride: int = 1) -> nn.Module:
    """Make an ESP module, or the block that the config has in its place."""
    if stride == 2 and config.down == "conv":
        return nn.Sequential(conv3x3(inputs, outputs, stride), NormAct(outputs, config.activation))
    if config.block == "esp":
        return ESP(inputs, outputs, config, stride)
    assert config.block_width is not None  # set by __post_init__
    step = max(1, width_step(config.block) // 2)
    width = max(step, config.block_width * outputs // LEVEL3 // step * step)
    return build_block(config.block, BlockShape(inputs, outputs, stride, width, config.activation))


def chain(channels: int, count: int, config: ESPNetConfig) -> nn.Sequential:
    """Make a sequence of `count` modules."""
    return nn.Sequential(*(build_module(channels, channels, config) for _ in range(count)))


class Encoder(nn.Module):
    """ESPNet-A, -B and -C up to their last map, which `head` projects to `outputs` channels."""

    def __init__(self, config: ESPNetConfig, outputs: int) -> None:
        super().__init__()
        self.shares, self.reinforces = config.shares, config.reinforces
        image = RGB if self.reinforces else 0
        maps = 2 if self.shares else 1

        def merge(channels: int, merges: bool) -> nn.Module:
            return NormAct(channels, config.activation) if merges else nn.Identity()

        self.level1 = nn.Sequential(conv3x3(RGB, LEVEL1, stride=2), NormAct(LEVEL1, config.activation))
        self.level1_merge = merge(LEVEL1 + image, self.reinforces)

        self.level2_down = build_module(LEVEL1 + image, LEVEL2, config, stride=2)
        self.level2 = chain(LEVEL2, config.p, config)
        self.level2_merge = merge(maps * LEVEL2 + image, self.shares or self.reinforces)

        self.level3_down = build_module(maps * LEVEL2 + image, LEVEL3, config, stride=2)
        self.level3 = chain(LEVEL3, config.q, config)
        self.level3_merge = merge(maps * LEVEL3, self.shares)

        self.head = conv1x1(maps * LEVEL3, outputs)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Image (N, 3, H, W) -> level 1 plain and reinforced (1/2), level 2 (1/4), the head's map (1/8)."""
        half = functional.avg_pool2d(image, 3, stride=2, padding=1)
        quarter = functional.avg_pool2d(half, 3, stride=2, padding=1)

        level1 = self.level1(image)
        # As wide as the maps: where these are bfloat16, all of them would be widened beside float32.
        half, quarter = half.to(level1.dtype), quarter.to(level1.dtype)
        reinforced = self.level1_merge(torch.cat([level1, half], dim=1) if self.reinforces else level1)

        first = self.level2_down(reinforced)
        level2 = self.level2(first)
        beside = [*([first] if self.shares else []), *([quarter] if self.reinforces else [])]
        if beside:
            level2 = torch.cat([level2, *beside], dim=1)
        level2 = self.level2_merge(level2)

        first = self.level3_down(level2)
        level3 = self.level3(first)
        if self.shares:
            level3 = torch.cat([first, level3], dim=1)
        return level1, reinforced, level2, self.head(self.level3_merge(level3))


class Decoder(nn.Module):
    """The light-weight decoder of figure 4 (d): three doublings, `width` channels throughout."""

    def __init__(self, config: ESPNetConfig) -> None:
        super().__init__()
        width, activation = config.width, config.activation
        image = RGB if config.reinforces else 0
        skip = LEVEL1 + image if config.decoder_skip == "reinforced" else LEVEL1
        self.level3_up = nn.Sequential(nn.BatchNorm2d(width, eps=1e-3), double(width, width))
        self.level2_reduce = conv1x1(2 * LEVEL2 + image, width)
        self.level2_merge = nn.Sequential(
            NormAct(2 * width, activation), build_module(2 * width, width, config)
        )
        self.level2_up = nn.Sequential(double(width, width), NormAct(width, activation))
        self.level1_merge = nn.Sequential(conv3x3(width + skip, width), NormAct(width, activation))
        self.level1_up = double(width, config.classes)

    def forward(self, skip: Tensor, level2: Tensor, level3: Tensor) -> Tensor:
        """Turn maps at 1/2 (16 or 19 channels), 1/4 (131) and 1/8 (`width`) into logits at full size."""
        up = self.level3_up(level3)
        up = self.level2_up(self.level2_merge(torch.cat([self.level2_reduce(level2), up], dim=1)))
        return self.level1_up(self.level1_merge(torch.cat([up, skip], dim=1)))  # type: ignore[no-any-return]


class ESPNet(Network):
    """ESPNet in any of the paper's four variants.

    Variant "C" and "full" use the same names for the encoder's tensors, so the decoder can be attached to a
    trained encoder by loading ``encoder.*``; `head` differs if the decoder is wider than the classes.
    """

    config_type = ESPNetConfig
    config: ESPNetConfig

    def __init__(self, config: ESPNetConfig) -> None:
        super().__init__(config)
        full = config.variant == "full"
        self.encoder = Encoder(config, config.width if full else config.classes)
        self.decoder = Decoder(config) if full else None
        self.apply(initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Segment normalised images: see `Network`."""
        self.check_sides(image)
        level1, reinforced, level2, level3 = self.encoder(image)
        if self.decoder is None:
            return level3  # type: ignore[no-any-return]
        skip = reinforced if self.config.decoder_skip == "reinforced" else level1
        return self.decoder(skip, level2, level3)  # type: ignore[no-any-return]
