"""ESPNet, the whole network, top to bottom.

Mehta, Rastegari, Caspi, Shapiro, Hajishirzi: "ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for
Semantic Segmentation", ECCV 2018, arXiv:1803.06815. The layers are those of the authors' released network, so
their weights load (`wsi_seg.models.upstream`), with one difference: the decoder may have more channels than
there are classes. The authors' decoder has as many channels as classes, too few for two to eight classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from wsi_seg.models.blocks import (
    BLOCK_TITLES,
    EQUAL_WIDTHS,
    MAX_WIDTH,
    BlockName,
    BlockShape,
    build_block,
    width_step,
)
from wsi_seg.models.layers import Activation, NormAct, conv1x1, conv3x3, double, initialise
from wsi_seg.models.network import ENCODER_STRIDE, Network, NetworkConfig, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVEL1, LEVEL2, LEVEL3 = 16, 64, 128
"""Channels of the three levels of the encoder, at 1/2, 1/4 and 1/8 of the image's sides."""

RGB = 3
MIN_DECODER_WIDTH = 20
MAX_DEPTH = 100

Variant = Literal["A", "B", "C", "full"]

CHOICES: dict[str, tuple[object, ...]] = {
    "variant": get_args(Variant),
    "decoder_skip": ("level1", "reinforced"),
    "block": ("esp", *BLOCK_TITLES),
    "down": ("block", "conv"),
    "reduce": (1, 3),
    "activation": get_args(Activation),
}


@dataclass(frozen=True)
class ESPNetConfig(NetworkConfig):
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
    block : str
        The modules of the encoder: the paper's ESP modules ("esp"), or a block of `wsi_seg.models.blocks`.
    block_width : int or None
        Channels inside such a block at level 3, in proportion elsewhere; None stands for the width that
        gives as many parameters as ESP modules have.
    down : {"block", "conv"}
        What begins a level and halves the map: a strided block, or a plain 3x3 convolution.
    reduce : {1, 3}
        Side of the convolution that an ESP module begins with; in a strided module it is always 3.
    hff : bool
        Hierarchical feature fusion: sum up the dilated branches of an ESP module.
    residual : bool
        Add an ESP module's input to its output.
    reinforce : bool or None
        Input reinforcement; None stands for what the variant says.
    activation : {"prelu", "relu"}
        The activation of all layers.

    Raises
    ------
    ValueError
        If no network can be made from these values.
    """

    p: int = 2
    q: int = 3
    branches: int = 5
    variant: Variant = "full"
    decoder_width: int | None = None
    decoder_skip: Literal["level1", "reinforced"] = "reinforced"
    block: Literal["esp", BlockName] = "esp"
    block_width: int | None = None
    down: Literal["block", "conv"] = "block"
    reduce: Literal[1, 3] = 1
    hff: bool = True
    residual: bool = True
    reinforce: bool | None = None
    activation: Activation = "prelu"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decoder_width is None:
            object.__setattr__(self, "decoder_width", max(MIN_DECODER_WIDTH, self.classes))
        if self.block_width is None and self.block in EQUAL_WIDTHS:
            object.__setattr__(self, "block_width", EQUAL_WIDTHS[self.block])
        if not (1 <= self.p <= MAX_DEPTH and 1 <= self.q <= MAX_DEPTH):
            raise ValueError(f"p and q are {self.p} and {self.q}: a level has 1 to {MAX_DEPTH} ESP modules")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                *others, last = map(str, known)
                raise ValueError(f"{name} is {getattr(self, name)!r}: use {', '.join(others)} or {last}")
        if not 1 <= self.width <= MAX_WIDTH:
            raise ValueError(f"decoder_width is {self.width}: use 1 to {MAX_WIDTH}")
        self._check_block()

    def _check_block(self) -> None:
        """Refuse settings of the block that are impossible or have no effect."""
        if self.block == "esp":
            narrowest = min(LEVEL2, self.width) if self.variant == "full" else LEVEL2
            if not 1 <= self.branches <= narrowest:
                raise ValueError(f"branches is {self.branches}: use 1 to {narrowest}, the narrowest module")
            if self.block_width is not None:
                raise ValueError(f"block_width is {self.block_width}: an ESP module has branches instead")
            return
        for name, default in (("branches", 5), ("reduce", 1), ("hff", True), ("residual", True)):
            if getattr(self, name) != default:
                raise ValueError(f"{name} is {getattr(self, name)}: {self.block} blocks have no such setting")
        step = width_step(self.block)
        if self.block_width is None or not step <= self.block_width <= MAX_WIDTH or self.block_width % step:
            raise ValueError(
                f"block_width is {self.block_width}: use a multiple of {step}, up to {MAX_WIDTH}"
            )

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
    def stages(self) -> tuple[Stage, ...]:
        """The encoder can be trained alone; the decoder, of the variant that has one, is attached to it."""
        return ("encoder", "full") if self.variant == "full" else ("encoder",)

    def at_stage(self, stage: Stage) -> ESPNetConfig:
        """Return the config of ESPNet-C where the encoder is trained alone, else this one."""
        return replace(self, variant="C") if stage == "encoder" and self.variant == "full" else self

    @property
    def title(self) -> str:
        """The name of this kind of network."""
        return "ESPNet" if self.variant == "full" else f"ESPNet-{self.variant}"

    @property
    def shares(self) -> bool:
        """Whether each level concatenates its first map to its last."""
        return self.variant != "A"

    @property
    def reinforces(self) -> bool:
        """Whether each level receives the image as well."""
        return self.variant in ("C", "full") if self.reinforce is None else self.reinforce

    @property
    def ablations(self) -> tuple[str, ...]:
        """How this network differs from the paper's own, in words; empty for those."""
        published = self.variant in ("C", "full")
        told = {
            f"{BLOCK_TITLES[self.block]} blocks {self.block_width} wide" if self.block != "esp" else "": True,
            "plain strided convolutions": self.down == "conv",
            "3x3 reduction": self.reduce == 3,
            "no feature fusion": not self.hff,
            "no residual": not self.residual,
            "no input reinforcement": published and not self.reinforces,
            "input reinforcement": not published and self.reinforces,
            "ReLU": self.activation == "relu",
        }
        return tuple(words for words, applies in told.items() if words and applies)

    @property
    def shape(self) -> str:
        """How this network differs from others of its kind, in words."""
        parts = [f"p = {self.p}, q = {self.q}"]
        if self.block == "esp":
            parts.append(f"{self.branches} branches")
        if self.variant == "full":
            parts.append(f"decoder {self.width} wide from the {self.decoder_skip} map")
        return ", ".join([*parts, *self.ablations])


def fuse(branches: Sequence[Tensor], hierarchical: bool = True) -> Tensor:
    """Hierarchical feature fusion, which removes the gridding of large dilations.

    As in the released code, the undilated branch d1 takes no part in the sums: the result is d1, d2, d2 + d4,
    d2 + d4 + d8, ..., concatenated. If not `hierarchical`, all branches are concatenated unchanged.
    """
    undilated, *dilated = branches
    return torch.cat([undilated, *(accumulate(dilated) if hierarchical else dilated)], dim=1)


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
        y = fuse([branch(reduced) for branch in self.branches], self.hff)
        return self.norm_act(y + x if self.residual else y)  # type: ignore[no-any-return]


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
