"""ESPNet, the whole network, top to bottom.

Mehta, Rastegari, Caspi, Shapiro, Hajishirzi: "ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for
Semantic Segmentation", ECCV 2018, arXiv:1803.06815. Layer for layer the authors' released network, so their
weights load (`wsi_seg.models.upstream`), with one freedom added: the decoder may be wider than there are
classes, because the authors' own, as wide as the classes, starves on the two to eight classes of a biopsy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import ConfigDict, with_config
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.models.prelu import PReLU

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVEL1, LEVEL2, LEVEL3 = 16, 64, 128
"""Channels of the three levels of the encoder, at 1/2, 1/4 and 1/8 of the image's sides."""

RGB = 3
ENCODER_STRIDE = 8
MIN_DECODER_WIDTH = 20
MAX_DEPTH = 100
PRELU_SLOPE = 0.25

Variant = Literal["A", "B", "C", "full"]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class ESPNetConfig:
    """Everything that decides an ESPNet's shape.

    Attributes
    ----------
    classes : int
        Output channels; 2 or more.
    p, q : int
        ESP modules at level 2 and at level 3, beside the strided one that opens each level.
    branches : int
        Parallel dilated convolutions in an ESP module, the paper's K.
    variant : {"A", "B", "C", "full"}
        Paper, figure 4: "A" is plain; "B" shares the first and last map of each level; "C" adds the image at
        each level ("input reinforcement"). These give logits at 1/8 of the image's sides. "full" is C with
        the decoder, and gives them at full size.
    decoder_width : int or None
        Channels throughout the decoder of "full"; None stands for ``max(20, classes)``. The authors' own
        networks have ``classes``.
    decoder_skip : {"level1", "reinforced"}
        The half-size map that enters the decoder: the first convolution's 16 channels, or these with the
        image beside them (19). The authors released both: the former for Cityscapes, the latter for CamVid.

    Raises
    ------
    ValueError
        If the numbers make no network.
    """

    classes: int
    p: int = 2
    q: int = 3
    branches: int = 5
    variant: Variant = "full"
    decoder_width: int | None = None
    decoder_skip: Literal["level1", "reinforced"] = "reinforced"

    def __post_init__(self) -> None:
        if self.decoder_width is None:
            object.__setattr__(self, "decoder_width", max(MIN_DECODER_WIDTH, self.classes))
        if self.classes < 2:
            raise ValueError(f"classes is {self.classes}: a segmentation needs 2 or more")
        if not (1 <= self.p <= MAX_DEPTH and 1 <= self.q <= MAX_DEPTH):
            raise ValueError(f"p and q are {self.p} and {self.q}: a level has 1 to {MAX_DEPTH} ESP modules")
        if self.variant not in ("A", "B", "C", "full"):
            raise ValueError(f"variant is {self.variant!r}: use A, B, C or full")
        if self.decoder_skip not in ("level1", "reinforced"):
            raise ValueError(f"decoder_skip is {self.decoder_skip!r}: use level1 or reinforced")
        narrowest = min(LEVEL2, self.width) if self.variant == "full" else LEVEL2
        if not 1 <= self.branches <= narrowest:
            raise ValueError(f"branches is {self.branches}: use 1 to {narrowest}, the narrowest module")

    @property
    def width(self) -> int:
        """Channels of the decoder."""
        assert self.decoder_width is not None  # set by __post_init__
        return self.decoder_width

    @property
    def output_stride(self) -> int:
        """Image pixels per logit along each side: 1 or 8."""
        return 1 if self.variant == "full" else ENCODER_STRIDE

    @property
    def title(self) -> str:
        """What people call this network."""
        return "ESPNet" if self.variant == "full" else f"ESPNet-{self.variant}"

    @property
    def shape(self) -> str:
        """What sets this network apart from others of its title, in words."""
        shape = f"p = {self.p}, q = {self.q}, {self.branches} branches"
        if self.variant == "full":
            shape += f", decoder {self.width} wide from the {self.decoder_skip} map"
        return shape


class NormAct(nn.Sequential):
    """Batch normalisation and a PReLU with a slope for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.BatchNorm2d(channels, eps=1e-3), PReLU(channels, init=PRELU_SLOPE))


def conv3x3(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """3x3 convolution without bias, padded to keep the map's size (or halve it, rounding up)."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False)


def conv1x1(inputs: int, outputs: int) -> nn.Conv2d:
    """1x1 convolution without bias."""
    return nn.Conv2d(inputs, outputs, 1, bias=False)


def double(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """2x2 transposed convolution of stride 2 without bias: doubles a map's sides."""
    return nn.ConvTranspose2d(inputs, outputs, 2, stride=2, bias=False)


def fuse(branches: Sequence[Tensor]) -> Tensor:
    """Hierarchical feature fusion, which removes the gridding of large dilations.

    As released, it leaves the undilated branch out: d1, d2, d2 + d4, d2 + d4 + d8, ..., side by side.
    """
    undilated, *dilated = branches
    return torch.cat([undilated, *accumulate(dilated)], dim=1)


class ESP(nn.Module):
    """Efficient spatial pyramid (paper, section 3): reduce, split, transform, merge.

    Parameters
    ----------
    inputs, outputs : int
        Channels. ``outputs // branches`` per branch; the undilated one takes the remainder as well.
    branches : int
        Parallel 3x3 convolutions, with dilations 1, 2, 4, ...
    stride : {1, 2}
        2 makes the "strided ESP", whose reduction is a 3x3 convolution.
    residual : bool
        Add the input to the output; needs equal channels and stride 1.
    """

    def __init__(
        self, inputs: int, outputs: int, branches: int, stride: int = 1, residual: bool = False
    ) -> None:
        super().__init__()
        thin = outputs // branches
        widths = [outputs - (branches - 1) * thin] + [thin] * (branches - 1)
        self.residual = residual
        self.reduce = conv3x3(inputs, thin, stride=2) if stride == 2 else conv1x1(inputs, thin)
        self.branches = nn.ModuleList(conv3x3(thin, width, dilation=2**k) for k, width in enumerate(widths))
        self.norm_act = NormAct(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        reduced = self.reduce(x)
        y = fuse([branch(reduced) for branch in self.branches])
        return self.norm_act(y + x if self.residual else y)  # type: ignore[no-any-return]


def esp_chain(channels: int, count: int, branches: int) -> nn.Sequential:
    """`count` residual ESP modules in a row."""
    return nn.Sequential(*(ESP(channels, channels, branches, residual=True) for _ in range(count)))


class Encoder(nn.Module):
    """ESPNet-A, -B and -C up to their last map, which `head` projects to `outputs` channels."""

    def __init__(self, config: ESPNetConfig, outputs: int) -> None:
        super().__init__()
        self.shares = config.variant != "A"
        self.reinforces = config.variant in ("C", "full")
        image = RGB if self.reinforces else 0
        maps = 2 if self.shares else 1

        self.level1 = nn.Sequential(conv3x3(RGB, LEVEL1, stride=2), NormAct(LEVEL1))
        self.level1_merge = NormAct(LEVEL1 + image) if self.reinforces else nn.Identity()

        self.level2_down = ESP(LEVEL1 + image, LEVEL2, config.branches, stride=2)
        self.level2 = esp_chain(LEVEL2, config.p, config.branches)
        self.level2_merge = NormAct(maps * LEVEL2 + image) if self.shares else nn.Identity()

        self.level3_down = ESP(maps * LEVEL2 + image, LEVEL3, config.branches, stride=2)
        self.level3 = esp_chain(LEVEL3, config.q, config.branches)
        self.level3_merge = NormAct(maps * LEVEL3) if self.shares else nn.Identity()

        self.head = conv1x1(maps * LEVEL3, outputs)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Image (N, 3, H, W) -> level 1 plain and reinforced (1/2), level 2 (1/4), the head's map (1/8)."""
        half = functional.avg_pool2d(image, 3, stride=2, padding=1)
        quarter = functional.avg_pool2d(half, 3, stride=2, padding=1)

        level1 = self.level1(image)
        reinforced = self.level1_merge(torch.cat([level1, half], dim=1) if self.reinforces else level1)

        first = self.level2_down(reinforced)
        level2 = self.level2(first)
        if self.shares:
            level2 = torch.cat([level2, first, quarter] if self.reinforces else [level2, first], dim=1)
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
        width = config.width
        skip = LEVEL1 + RGB if config.decoder_skip == "reinforced" else LEVEL1
        self.level3_up = nn.Sequential(nn.BatchNorm2d(width, eps=1e-3), double(width, width))
        self.level2_reduce = conv1x1(2 * LEVEL2 + RGB, width)
        self.level2_merge = nn.Sequential(NormAct(2 * width), ESP(2 * width, width, config.branches))
        self.level2_up = nn.Sequential(double(width, width), NormAct(width))
        self.level1_merge = nn.Sequential(conv3x3(width + skip, width), NormAct(width))
        self.level1_up = double(width, config.classes)

    def forward(self, skip: Tensor, level2: Tensor, level3: Tensor) -> Tensor:
        """Turn maps at 1/2 (16 or 19 channels), 1/4 (131) and 1/8 (`width`) into logits at full size."""
        up = self.level3_up(level3)
        up = self.level2_up(self.level2_merge(torch.cat([self.level2_reduce(level2), up], dim=1)))
        return self.level1_up(self.level1_merge(torch.cat([up, skip], dim=1)))  # type: ignore[no-any-return]


def check_sides(image: Tensor) -> None:
    """Raise ValueError unless an image's sides are multiples of 8, with those that would do."""
    height, width = image.shape[-2:]
    if height % ENCODER_STRIDE or width % ENCODER_STRIDE or not height or not width:
        fit_h, fit_w = (max(1, -(-side // ENCODER_STRIDE)) * ENCODER_STRIDE for side in (height, width))
        raise ValueError(f"an image of {width} x {height} pixels does not fit: pad to {fit_w} x {fit_h}")


class ESPNet(nn.Module):
    """ESPNet in any of the paper's four variants.

    A variant "C" and a "full" network name their encoders' tensors alike, so the decoder can be attached to
    a trained encoder by loading ``encoder.*``; `head` differs when the decoder is wider than the classes.
    """

    def __init__(self, config: ESPNetConfig) -> None:
        super().__init__()
        self.config = config
        full = config.variant == "full"
        self.encoder = Encoder(config, config.width if full else config.classes)
        self.decoder = Decoder(config) if full else None
        self.apply(initialise)

    @property
    def output_stride(self) -> int:
        """Image pixels per logit along each side: 1 with the decoder, else 8."""
        return self.config.output_stride

    def forward(self, image: Tensor) -> Tensor:
        """Segment normalised images.

        Parameters
        ----------
        image : Tensor
            Float, (N, 3, H, W), with H and W multiples of 8.

        Returns
        -------
        Tensor
            Logits, (N, classes, H / output_stride, W / output_stride).

        Raises
        ------
        ValueError
            If a side is not a multiple of 8.
        """
        check_sides(image)
        level1, reinforced, level2, level3 = self.encoder(image)
        if self.decoder is None:
            return level3  # type: ignore[no-any-return]
        skip = reinforced if self.config.decoder_skip == "reinforced" else level1
        return self.decoder(skip, level2, level3)  # type: ignore[no-any-return]


def initialise(module: nn.Module) -> None:
    """Draw a convolution's weights from He et al.'s normal distribution, for PReLUs that start at 0.25.

    The variance is ``2 / ((1 + 0.25 ** 2) * fan_in)``. Each output pixel of the transposed convolutions here
    sees a single input pixel, which their `fan_in` in PyTorch does not say. All else keeps its defaults.
    """
    if isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=math.sqrt(2 / (1 + PRELU_SLOPE**2) / module.in_channels))
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, a=PRELU_SLOPE, mode="fan_in", nonlinearity="leaky_relu")
