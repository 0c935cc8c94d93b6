"""How a model file describes itself: network, classes, input, notice, and where the weights come from."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from wsi_seg.files.document import Document
from wsi_seg.models.architecture import Architecture
from wsi_seg.models.classes import ClassSchema, Name
from wsi_seg.models.remembered import RememberedTissue

Statistic = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)]
Resolution = Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)]
Side = Annotated[int, Field(gt=0, le=2**13)]
"""Limits on mean, std, scale and size, so that normalised pixels and images stay within reason."""


class InputSpec(BaseModel):
    """The input that a network was trained on.

    Attributes
    ----------
    channels : {"rgb", "bgr"}
        Order of the colour channels.
    mean, std : (float, float, float)
        Per channel, in that order, for pixel values of 0 to 255.
    scale : float
        The network sees ``(pixel - mean) / std / scale``; the ESPNet authors divided by 255 on top.
    mpp : float or None
        Working resolution in micrometres per pixel, for slides.
    size : (int, int) or None
        Width and height that plain images are resized to, bilinearly and without antialiasing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Literal["rgb", "bgr"]
    mean: tuple[Statistic, Statistic, Statistic]
    std: tuple[Positive, Positive, Positive]
    scale: Positive = 1.0
    mpp: Resolution | None = None
    size: tuple[Side, Side] | None = None


TRAINED_ON = "slides"
"""Where a model's training provenance names the slides, by their fingerprints."""

TRUTH = "truth"
"""Where it states the class of what nobody outlined (`rest`) and of the shapes in which all is outlined."""


class ModelHeader(Document):
    """How a model file describes itself.

    Attributes
    ----------
    name : str
        Name of the model, for users.
    architecture : Architecture
        The network.
    classes : ClassSchema
        The classes of its output channels.
    input : InputSpec
        The input that it was trained on.
    notice : str or None
        A sentence that users must see before they trust the results.
    training : dict
        Where the weights come from: data, recipe, figures, licence.
    tissue : RememberedTissue or None
        What its training tissue looked like; None in files that do not say, and for plain images.
    """

    name: Name
    architecture: Architecture
    classes: ClassSchema
    input: InputSpec
    notice: Annotated[str, Field(max_length=2000)] | None = None
    training: dict[str, JsonValue] = Field(default_factory=dict)
    tissue: RememberedTissue | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.architecture.config.classes != len(self.classes):
            raise ValueError(
                f"the network has {self.architecture.config.classes} output channels, "
                f"but the class schema {self.classes.name!r} has {len(self.classes)} classes"
            )
        return self
