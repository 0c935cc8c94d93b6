"""The three pixel frames and every conversion between them.

- *slide*: OpenSlide's level 0, where ``read_region`` points.
- *label*: the working resolution, with its origin at the top-left corner of the slide's bounds.
- *QuPath*: level 0 with its origin at the slide's bounds, which is what QuPath shows and draws on.

Coordinates are continuous: a pixel with index ``i`` covers the interval ``[i, i + 1)``. All points are
``(x, y)``; sizes are ``(width, height)``. Array shapes, as everywhere in numpy, are ``(height, width)``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]

SNAP_TOLERANCE = 0.01
"""Largest relative change of the label frame's resolution, to reach a pixel grid that divides the slide's
own."""

OVERVIEW_SIDE = 2048
"""Longest side, in pixels, of the picture that shows a whole slide."""


class Bounds(BaseModel):
    """The rectangle of a slide that holds its image, in slide pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x: Count
    y: Count
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]


class Frames(BaseModel):
    """Where a slide's label frame lies.

    Attributes
    ----------
    bounds : Bounds
        The slide's image, in slide pixels; the whole of level 0 for slides that state no bounds.
    slide_mpp : (float, float)
        Micrometres per slide pixel in x and y.
    downsample : (float, float)
        Slide pixels per label pixel in x and y.
    label_size : (int, int)
        Width and height of the label frame in label pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bounds: Bounds
    slide_mpp: tuple[Positive, Positive]
    downsample: tuple[Positive, Positive]
    label_size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]

    @classmethod
    def at_mpp(cls, bounds: Bounds, slide_mpp: tuple[float, float], working_mpp: float) -> Frames:
        """Place the label frame of (nearly) `working_mpp` micrometres per pixel on a slide.

        Where possible, the downsample is moved by up to one per cent to a whole number, a half, a quarter or
        a twentieth: then label pixels lie on the slide's own grid, and polygon corners are exact.
        """
        downsample = tuple(snap_downsample(working_mpp / mpp) for mpp in slide_mpp)
        sides = (bounds.width, bounds.height)
        width, height = (max(1, math.ceil(side / d - 0.5)) for side, d in zip(sides, downsample, strict=True))
        return cls(
            bounds=bounds,
            slide_mpp=slide_mpp,
            downsample=(downsample[0], downsample[1]),
            label_size=(width, height),
        )

    def coarsened(self, factor: int) -> Frames:
        """Return the frame whose pixels cover `factor` x `factor` label pixels, with the same origin."""
        return Frames(
            bounds=self.bounds,
            slide_mpp=self.slide_mpp,
            downsample=(self.downsample[0] * factor, self.downsample[1] * factor),
            label_size=(-(-self.label_size[0] // factor), -(-self.label_size[1] // factor)),
        )

    @property
    def overview_level(self) -> int:
        """How often the label frame is halved for its overview, no side of which is over `OVERVIEW_SIDE`."""
        return (-(-max(self.label_size) // OVERVIEW_SIDE) - 1).bit_length()

    @property
    def label_mpp(self) -> tuple[float, float]:
        """Micrometres per label pixel in x and y."""
        return self.slide_mpp[0] * self.downsample[0], self.slide_mpp[1] * self.downsample[1]

    @property
    def label_pixel_um2(self) -> float:
        """Area of one label pixel in square micrometres."""
        return self.label_mpp[0] * self.label_mpp[1]

    @property
    def _offset_xy(self) -> NDArray[np.float64]:
        return np.array([self.bounds.x, self.bounds.y], dtype=np.float64)

    def label_to_qupath(self, label_xy: ArrayLike) -> NDArray[np.float64]:
        """Convert points, shape (..., 2), from the label frame to QuPath's."""
        return np.multiply(label_xy, self.downsample, dtype=np.float64)

    def qupath_to_label(self, qupath_xy: ArrayLike) -> NDArray[np.float64]:
        """Convert points, shape (..., 2), from QuPath's frame to the label frame."""
        return np.divide(qupath_xy, self.downsample, dtype=np.float64)

    def label_to_slide(self, label_xy: ArrayLike) -> NDArray[np.float64]:
        """Convert points, shape (..., 2), from the label frame to the slide frame."""
        return self.label_to_qupath(label_xy) + self._offset_xy

    def slide_to_label(self, slide_xy: ArrayLike) -> NDArray[np.float64]:
        """Convert points, shape (..., 2), from the slide frame to the label frame."""
        return self.qupath_to_label(np.asarray(slide_xy, dtype=np.float64) - self._offset_xy)


def snap_downsample(downsample: float) -> float:
    """Move a downsample by at most `SNAP_TOLERANCE` to the roundest number in reach.

    Tried in order: whole numbers, halves, quarters, twentieths. A number that none of them reaches is kept.
    """
    for steps in (1, 2, 4, 20):
        snapped = round(downsample * steps) / steps
        if snapped > 0 and abs(snapped / downsample - 1) <= SNAP_TOLERANCE:
            return snapped
    return downsample
