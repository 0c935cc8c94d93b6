"""The settings of the breast-biopsy network: everything that decides its shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wsi_seg.models.block_names import MAX_WIDTH
from wsi_seg.models.network_config import NetworkConfig

MIN_HEAD_WIDTH = 8
MAX_DIAGNOSES = 200


@dataclass(frozen=True)
class BiopsyConfig(NetworkConfig):
    """Everything that decides the network's shape.

    Attributes
    ----------
    classes : int
        Output channels; 2 or more.
    diagnoses : int or None
        Outputs of the diagnosis head; None for the network without it. The authors' has 5.
    block : {"esp", "residual"}
        What the encoder is made of: efficient spatial pyramids, or the plain residual blocks of two 3x3
        convolutions that the authors compared these with.
    head_width : int or None
        Channels of the segmentation heads; None stands for ``max(8, classes)``. The authors' networks have
        ``classes``, which were 8.

    Raises
    ------
    ValueError
        If no network can be made from these values.
    """

    diagnoses: int | None = None
    block: Literal["esp", "residual"] = "esp"
    head_width: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head_width is None:
            object.__setattr__(self, "head_width", max(MIN_HEAD_WIDTH, self.classes))
        if self.diagnoses is not None and not 2 <= self.diagnoses <= MAX_DIAGNOSES:
            raise ValueError(f"diagnoses is {self.diagnoses}: use 2 to {MAX_DIAGNOSES}, or none at all")
        if self.block not in ("esp", "residual"):
            raise ValueError(f"block is {self.block!r}: use esp or residual")
        if not 1 <= self.width <= MAX_WIDTH:
            raise ValueError(f"head_width is {self.width}: use 1 to {MAX_WIDTH}")

    @property
    def width(self) -> int:
        """Channels of the segmentation heads."""
        assert self.head_width is not None  # set by __post_init__
        return self.head_width

    @property
    def title(self) -> str:
        """The name of this kind of network."""
        return "Breast-biopsy network"

    @property
    def shape(self) -> str:
        """How this network differs from others of its kind, in words."""
        shape = f"{'ESP' if self.block == 'esp' else 'residual'} blocks, heads {self.width} wide"
        return shape if self.diagnoses is None else f"{shape}, {self.diagnoses} diagnoses"
