"""The settings of an ESPNet: everything that decides its shape, the paper's ablations included."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from wsi_seg.models.block_names import (
    BLOCK_TITLES,
    EQUAL_WIDTHS,
    MAX_WIDTH,
    Activation,
    BlockName,
    width_step,
)
from wsi_seg.models.network_config import ENCODER_STRIDE, NetworkConfig, Stage

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
        notes = {
            f"{BLOCK_TITLES[self.block]} blocks {self.block_width} wide" if self.block != "esp" else "": True,
            "plain strided convolutions": self.down == "conv",
            "3x3 reduction": self.reduce == 3,
            "no feature fusion": not self.hff,
            "no residual": not self.residual,
            "no input reinforcement": published and not self.reinforces,
            "input reinforcement": not published and self.reinforces,
            "ReLU": self.activation == "relu",
        }
        return tuple(words for words, applies in notes.items() if words and applies)

    @property
    def shape(self) -> str:
        """How this network differs from others of its kind, in words."""
        parts = [f"p = {self.p}, q = {self.q}"]
        if self.block == "esp":
            parts.append(f"{self.branches} branches")
        if self.variant == "full":
            parts.append(f"decoder {self.width} wide from the {self.decoder_skip} map")
        return ", ".join([*parts, *self.ablations])
