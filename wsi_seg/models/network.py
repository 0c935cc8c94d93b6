"""The interface of a network: a config that decides its shape, and a class that is built from it.

A network of another package derives its config from `NetworkConfig` and its class from `Network`, and is
registered by a name: see `wsi_seg.models.registry`, and "Add a network" in docs/networks.md.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict, with_config
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from torch import Tensor

Stage = Literal["encoder", "full"]

ENCODER_STRIDE = 8
"""Image pixels along a side of one pixel of these networks' coarsest map."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True)
class NetworkConfig:
    """Everything that decides a network's shape.

    A network's own config is a frozen dataclass that derives from this one. Its fields are the network's
    settings, in recipes and in model files: numbers, strings, booleans, None, and tuples of these, each with
    a default. Its properties describe the network to the rest of the program; those here are defaults.

    Attributes
    ----------
    classes : int
        Output channels; 2 or more.

    Raises
    ------
    ValueError
        If no network can be made from these values.
    """

    classes: int

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise ValueError(f"classes is {self.classes}: a segmentation needs 2 or more")

    @property
    def title(self) -> str:
        """The name of this kind of network."""
        return type(self).__name__.removesuffix("Config")

    @property
    def shape(self) -> str:
        """How this network differs from others of its kind, in words."""
        settings = [f"{f.name} = {getattr(self, f.name)}" for f in fields(self) if f.name != "classes"]
        return ", ".join(settings) or "of one shape"

    @property
    def output_stride(self) -> int:
        """Image pixels per logit along each side; a divisor of 32."""
        return 1

    @property
    def multiple(self) -> int:
        """An image's sides are multiples of this; a divisor of 64."""
        return ENCODER_STRIDE

    @property
    def side(self) -> int | None:
        """The only side that images can have, in pixels; None for any that fits `multiple`."""
        return None

    @property
    def reach(self) -> int | None:
        """Distance from a logit to the furthest pixel that affects it; None if unknown or unbounded."""
        return None

    @property
    def diagnoses(self) -> int | None:
        """Number of diagnoses of whole images; None if the network makes none."""
        return None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of its training, in order: "full", and "encoder" before it if it has a decoder."""
        return ("full",)

    def at_stage(self, stage: Stage) -> Self:
        """Return the config of the network that a stage trains; weights of equal names are passed on."""
        return self


class Network(nn.Module):
    """A segmentation network.

    Its `forward` takes normalised images, float (N, 3, H, W), with sides that are multiples of
    `config.multiple`, and returns logits, (N, classes, H / output_stride, W / output_stride). Other sides are
    a ValueError. The result depends on the images and the weights alone: several threads may call it at a
    time.

    Parameters
    ----------
    config : NetworkConfig

    Attributes
    ----------
    config_type : type of NetworkConfig
        The type of its config, an attribute of the class.
    config : NetworkConfig
    path : Path or None
        The model file that it was read from.
    """

    config_type: ClassVar[type[NetworkConfig]]
    config: NetworkConfig

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.path: Path | None = None

    @property
    def output_stride(self) -> int:
        """Image pixels per logit along each side."""
        return self.config.output_stride

    def check_sides(self, image: Tensor) -> None:
        """Raise ValueError unless an image's sides fit the network; the message names sides that do."""
        multiple = self.config.multiple
        height, width = image.shape[-2:]
        if height % multiple or width % multiple or not height or not width:
            fit_h, fit_w = (max(1, -(-side // multiple)) * multiple for side in (height, width))
            raise ValueError(f"an image of {width} x {height} pixels does not fit: pad to {fit_w} x {fit_h}")
