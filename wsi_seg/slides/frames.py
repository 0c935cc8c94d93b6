"""The frames of a slide, and every conversion between them.

- *slide*: OpenSlide's level 0, where ``read_region`` points.
- *label*: the working resolution, with its origin at the top-left corner of the slide's bounds.
- *QuPath*: level 0 with its origin at the slide's bounds, which is what QuPath shows and draws on.
- *level*: the pixels of one of the levels that a file stores, with the slide frame's origin.
- *NGFF*: micrometres from the centre of the first label pixel, which is where OME-Zarr counts from.

An overview, a mask and a coarser level of the labels have a label frame of their own, `Frames.coarsened`.

Coordinates are continuous: a pixel with index ``i`` covers the interval ``[i, i + 1)``. All points are
``(x, y)``; sizes are ``(width, height)``. Array shapes, as everywhere in numpy, are ``(height, width)``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, NamedTuple, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.resample import AxisGrid

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


class Level(Protocol):
    """What a frame has to know of a level: its size, and slide pixels per level pixel in x and y."""

    @property
    def width(self) -> int:
        """Level pixels from left to right."""

    @property
    def height(self) -> int:
        """Level pixels from top to bottom."""

    @property
    def scale_x(self) -> float:
        """Slide pixels per level pixel in x."""

    @property
    def scale_y(self) -> float:
        """Slide pixels per level pixel in y."""


class LevelGrids(NamedTuple):
    """How a label frame lies over one level of its slide, axis by axis."""

    y: AxisGrid
    x: AxisGrid

    def label_to_level(self, label_rect: Rect) -> Rect:
        """Return the level pixels that any pixel of a label rectangle is made of."""
        (y0, y1), (x0, x1) = (
            self.y.source_span(label_rect.y0, label_rect.y1),
            self.x.source_span(label_rect.x0, label_rect.x1),
        )
        return Rect(y0, x0, y1, x1)

    def level_to_label(self, level_rect: Rect) -> Rect:
        """Return the label pixels that any pixel of a level rectangle contributes to."""

        def span(start: int, stop: int, grid: AxisGrid) -> tuple[int, int]:
            return math.floor((start - grid.offset) / grid.scale), math.ceil(
                (stop - grid.offset) / grid.scale
            )

        (y0, y1), (x0, x1) = (
            span(level_rect.y0, level_rect.y1, self.y),
            span(level_rect.x0, level_rect.x1, self.x),
        )
        return Rect(y0, x0, y1, x1)


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

    @classmethod
    def of_cells(cls, bounds: Bounds, cell: tuple[float, float]) -> Frames:
        """Lay a frame of cells of so many slide pixels in x and y over a slide, whole cells only.

        It takes the slide's own pixels for its unit of length: a resolution need not be known.
        """
        width, height = (
            max(1, int(length / step))
            for length, step in zip((bounds.width, bounds.height), cell, strict=True)
        )
        return cls(bounds=bounds, slide_mpp=(1, 1), downsample=cell, label_size=(width, height))

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
    def slide_pixel_um2(self) -> float:
        """Area of one slide pixel, which is a pixel of QuPath's too, in square micrometres."""
        return self.slide_mpp[0] * self.slide_mpp[1]

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

    def qupath_to_slide(self, qupath_xy: ArrayLike) -> NDArray[np.float64]:
        """Convert points, shape (..., 2), from QuPath's frame to the slide frame."""
        return np.asarray(qupath_xy, dtype=np.float64) + self._offset_xy

    def slide_to_label(self, slide_xy: ArrayLike) -> NDArray[np.float64]:
        """Convert points, shape (..., 2), from the slide frame to the label frame."""
        return self.qupath_to_label(np.asarray(slide_xy, dtype=np.float64) - self._offset_xy)

    def qupath_to_um(self, qupath_xy: ArrayLike) -> NDArray[np.float64]:
        """Convert points, shape (..., 2), from QuPath's frame to micrometres with the same origin."""
        return np.multiply(qupath_xy, self.slide_mpp, dtype=np.float64)

    def label_to_ngff(self, label_xy: ArrayLike) -> NDArray[np.float64]:
        """Convert points, shape (..., 2), from the label frame to NGFF's micrometres."""
        return np.multiply(np.subtract(label_xy, 0.5), self.label_mpp, dtype=np.float64)

    def slide_pixels_under(self, start: int, stop: int, axis: int) -> NDArray[np.intp]:
        """Return the slide pixel under the centre of each of label pixels `start` to `stop`.

        Parameters
        ----------
        start, stop : int
            Along one axis.
        axis : int
            0 for x, 1 for y.

        Returns
        -------
        integer array, shape (stop - start,)
            Inside the bounds: the last label pixel's centre may lie on their very edge.
        """
        centres = np.zeros((stop - start, 2))
        centres[:, axis] = np.arange(start, stop) + 0.5
        bounds = self.bounds
        last = (bounds.x + bounds.width, bounds.y + bounds.height)[axis] - 1
        return np.minimum(np.floor(self.label_to_slide(centres)[:, axis]), last).astype(np.intp)

    def pixel_in(self, finer: Frames, x: int, y: int) -> Rect:
        """Return the pixels of a finer frame of the same slide that pixel (x, y) of this one covers."""
        step_x, step_y = (own / other for own, other in zip(self.downsample, finer.downsample, strict=True))
        covered = Rect(int(y * step_y), int(x * step_x), int((y + 1) * step_y), int((x + 1) * step_x))
        return covered.clipped(*finer.label_size)

    def over(self, level: Level) -> LevelGrids:
        """Return how this frame lies over a level of the slide: what its pixels are resampled from."""
        bounds = self.bounds
        y, x = (
            AxisGrid(
                offset=start / scale,
                scale=downsample / scale,
                lower=start / scale,
                upper=max(min((start + length) / scale, float(pixels)), start / scale),
            )
            for start, length, scale, downsample, pixels in (
                (bounds.y, bounds.height, level.scale_y, self.downsample[1], level.height),
                (bounds.x, bounds.width, level.scale_x, self.downsample[0], level.width),
            )
        )
        return LevelGrids(y, x)


def level_to_slide(level_xy: tuple[int, int], downsample: float) -> tuple[int, int]:
    """Return the slide pixel that a level's pixel begins in, which is where ``read_region`` is pointed."""
    return round(level_xy[0] * downsample), round(level_xy[1] * downsample)


def snap_downsample(downsample: float) -> float:
    """Move a downsample by at most `SNAP_TOLERANCE` to the roundest number in reach.

    Tried in order: whole numbers, halves, quarters, twentieths. A number that none of them reaches is kept.
    """
    for steps in (1, 2, 4, 20):
        snapped = round(downsample * steps) / steps
        if snapped > 0 and abs(snapped / downsample - 1) <= SNAP_TOLERANCE:
            return snapped
    return downsample
