"""The part `augment` of a recipe: how much patches are augmented."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Change = Annotated[float, Field(ge=0, lt=1)]
Zoom = Annotated[float, Field(ge=0.5, le=4)]
"""Bounds of the factor of scaling: below a half, bilinear reading would skip pixels."""


class AugmentSettings(BaseModel):
    """How much patches are augmented; the defaults suit H&E slides at 1 to 2 micrometres per pixel.

    Each value is drawn for each patch independently and uniformly from its range, factors uniformly on a
    logarithmic scale. Zero (and for `scale` a range of 1 to 1) turns an augmentation off.

    Attributes
    ----------
    flip_horizontal, flip_vertical : bool
        Mirror half of the patches left to right, and half of them upside down.
    quarter_turns : bool
        Rotate by 0, 90, 180 or 270 degrees; for square patches only.
    rotation : float
        Largest angle, in degrees, of an additional rotation in either direction.
    scale : (float, float)
        Range of the factor by which patches are enlarged.
    scaled : float
        Share of the patches that are scaled and rotated; the others keep their pixels unchanged.
    stain : float
        Largest relative change of the amounts of haematoxylin and of eosin, drawn separately: 0.2 stands for
        factors of 1 / 1.2 to 1.2.
    stain_residual : float
        The same for the colour that is explained by neither dye.
    stain_shift : float
        Largest optical density (natural logarithm) that is added to or subtracted from the whole patch.
    brightness, contrast, saturation : float
        Largest relative change of the light, of the distance to the patch's mean grey, and of the
        distance of colours to their grey.
    hue : float
        Largest rotation of the hue, in degrees.
    blurred : float
        Share of the patches that are blurred.
    blur : float
        Widest blur, as the standard deviation of a Gaussian in pixels.
    noisy : float
        Share of the patches to which noise is added.
    noise : float
        Strongest noise, the same in R, G and B, as its standard deviation in grey values of 255.
    cut_off : float
        Share of the patches that look as if a scanned field ended in them: one side, up to half of the patch,
        becomes one light grey.
    inked : float
        Share of the patches over which dark ink is spread, in patches along a line, as on the edge of a
        specimen or by a marker.
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
    inked: Share = 0.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale goes from {self.scale[0]:g} down to {self.scale[1]:g}: swap them")
        return self

    @classmethod
    def none(cls) -> Self:
        """Make settings without any augmentation."""
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
            inked=0,
        )
