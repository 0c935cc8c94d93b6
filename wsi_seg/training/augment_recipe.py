"""The part `augment` of a recipe: how much patches are varied."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Change = Annotated[float, Field(ge=0, lt=1)]
Zoom = Annotated[float, Field(ge=0.5, le=4)]
"""Below a half, pixels that are read bilinearly would be skipped."""


class AugmentSettings(BaseModel):
    """How much patches are varied; the defaults suit H&E slides at 1 to 2 micrometres per pixel.

    Whatever is varied is drawn for each patch on its own and evenly over its range, factors evenly over their
    logarithms. Zero (and for `scale` a range of one to one) leaves a thing as it is.

    Attributes
    ----------
    flip_horizontal, flip_vertical : bool
        Mirror every second patch left to right, and every second upside down.
    quarter_turns : bool
        Turn by 0, 90, 180 or 270 degrees; for square patches only.
    rotation : float
        Largest angle, in degrees, of a turn in either direction on top.
    scale : (float, float)
        Range of the factor by which things grow.
    scaled : float
        Share of the patches that are scaled and rotated; the others keep their pixels as they were read.
    stain : float
        Largest relative change of the amounts of haematoxylin and of eosin, each on its own: 0.2 stands for
        factors of 1 / 1.2 to 1.2.
    stain_residual : float
        The same for the colour that neither dye explains.
    stain_shift : float
        Most dye (optical density, natural logarithm) that is added to or taken from all of the patch.
    brightness, contrast, saturation : float
        Largest relative change of the light, of the distance to the patch's mean grey, and of the
        distance of colours to their grey.
    hue : float
        Largest turn of the colours, in degrees.
    blurred : float
        Share of the patches that are blurred.
    blur : float
        Widest blur, as the standard deviation of a Gaussian in pixels.
    noisy : float
        Share of the patches that are given noise.
    noise : float
        Strongest noise, the same in R, G and B, as its standard deviation in grey values of 255.
    cut_off : float
        Share of the patches that a scanned field ends in: on one side, up to half way, they become one light
        grey.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip_horizontal: bool = True
    flip_vertical: bool = True
    quarter_turns: bool = True
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    scale: tuple[Zoom, Zoom] = (0.8, 1.25)
    scaled: Share = 0.5
    stain: Change = 0.2
    stain_residual: Change = 0.2
    stain_shift: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    brightness: Change = 0.08
    contrast: Change = 0.08
    saturation: Change = 0.15
    hue: Annotated[float, Field(ge=0, le=180)] = 6.0
    blurred: Share = 0.2
    blur: Annotated[float, Field(ge=0, le=1.5)] = 0.8
    noisy: Share = 0.3
    noise: Annotated[float, Field(ge=0, le=50)] = 4.0
    cut_off: Share = 0.15

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale goes from {self.scale[0]:g} down to {self.scale[1]:g}: swap them")
        return self

    @classmethod
    def none(cls) -> Self:
        """Make settings that leave patches as they are."""
        return cls(
            flip_horizontal=False,
            flip_vertical=False,
            quarter_turns=False,
            scale=(1, 1),
            stain=0,
            stain_residual=0,
            stain_shift=0,
            brightness=0,
            contrast=0,
            saturation=0,
            hue=0,
            blurred=0,
            noisy=0,
            cut_off=0,
        )
