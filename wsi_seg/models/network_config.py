"""The config of a network, which decides its shape. PyTorch is not needed to know it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, with_config

if TYPE_CHECKING:
    from typing import Self

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


class TriedConfig(NetworkConfig):
    """The config of a network whose stride and sides were found by trying it; its own fields state them.

    Attributes
    ----------
    stride : int
        Image pixels per logit along each side.
    sides : int
        An image's sides are multiples of this.
    """

    stride: int
    sides: int

    @property
    def output_stride(self) -> int:
        """Image pixels per logit along each side."""
        return self.stride

    @property
    def multiple(self) -> int:
        """An image's sides are multiples of this."""
        return self.sides
