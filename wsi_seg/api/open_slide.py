"""Open a slide, and read any rectangle of it at any resolution."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

from wsi_seg.api.arguments import flag_of, image_of, number_of, path_of
from wsi_seg.api.slide_image import SlideImage
from wsi_seg.errors import MppError, SlideError, UsageError
from wsi_seg.slides.frames import Bounds, Frames, snap_downsample
from wsi_seg.slides.lattice import Rect
from wsi_seg.slides.levels import LEVEL_0
from wsi_seg.slides.slide import COARSER_TOLERANCE, Slide
from wsi_seg.wording import counted

if TYPE_CHECKING:
    import os
    from pathlib import Path
    from types import TracebackType

MAX_READ_PIXELS = 1 << 28
"""Largest number of pixels in one call: 0.75 GB. Users read larger rectangles piece by piece."""


class OpenSlide:
    """An open slide, as `wsi_seg.open_slide` returns it. It is a context manager.

    Positions are `slide_xy`: level-0 pixels, x before y, as in OpenSlide's ``read_region``.
    """

    def __init__(self, slide: Slide) -> None:
        self.slide = slide

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<wsi_seg slide {str(self.path)!r}, {self.size[0]} x {self.size[1]} px>"

    def close(self) -> None:
        """Close the file."""
        self.slide.close()

    @property
    def path(self) -> Path:
        """The slide's file."""
        return self.slide.path

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of level 0 in pixels."""
        return self.slide.size

    @property
    def mpp(self) -> tuple[float, float]:
        """Micrometres per level-0 pixel in x and y; an MppError if neither the file nor you state them."""
        return self.slide.mpp

    @property
    def bounds(self) -> Bounds:
        """The rectangle that holds the scan, in level-0 pixels; QuPath's frame begins at its corner."""
        return self.slide.bounds

    @property
    def fingerprint(self) -> str:
        """A short hash that identifies the slide's content, wherever its file lies."""
        return self.slide.fingerprint

    def read(self, *, x: int, y: int, width: int, height: int, mpp: float | None = None) -> SlideImage:
        """Read a rectangle.

        Parameters
        ----------
        x : int
            Its left edge in level-0 pixels of the slide, `slide_xy`.
        y : int
            Its top edge, likewise.
        width : int
            Width of the returned image, in its own pixels.
        height : int
            Height of the returned image, likewise.
        mpp : float, optional
            Micrometres per pixel of the image; by default the slide's own, which gives level-0 pixels. It is
            changed by up to 1 % if that puts pixels on the slide's grid, as in `wsi_seg.segment`; the image
            states the true value.

        Returns
        -------
        uint8 array, shape (height, width, 3)
            RGB, resampled by area, with its ``mpp``, ``origin_slide_xy`` and ``frames``. Where the scanner
            recorded nothing, it has the slide's background colour.

        Raises
        ------
        UsageError
            If the rectangle is empty, too large, or reaches beyond the slide.
        MppError
            If the slide's resolution is unknown, or coarser than `mpp`.
        SlideError
            If part of the rectangle cannot be decoded.
        """
        x, y = _whole("x", x), _whole("y", y)
        width, height = _whole("width", width), _whole("height", height)
        frames = self._frames(x, y, width, height, mpp)
        pixels = self.slide.read(Rect(0, 0, height, width), frames)
        if pixels.unreadable:
            raise SlideError(
                f"{self.path}: {counted(len(pixels.unreadable), 'tiles')} of the rectangle at x {x}, y {y} "
                "cannot be decoded: copy or export the slide again"
            )
        return SlideImage.of(pixels.rgb, frames)

    def _frames(self, x: int, y: int, width: int, height: int, mpp: float | None) -> Frames:
        """Return the frame of the image that is asked for."""
        if width < 1 or height < 1:
            raise UsageError(f"{self.path}: a rectangle of {width} x {height} px is empty: give 1 or more")
        if width * height > MAX_READ_PIXELS:
            raise UsageError(
                f"{self.path}: {width} x {height} px are too many at once: read it piece by piece, or coarser"
            )
        downsample = (1.0, 1.0) if mpp is None else self._downsample(mpp)
        ends = (x + width * downsample[0], y + height * downsample[1])
        # As in a label frame, half of the last pixel may lie outside of the slide.
        inside = all(end <= side + d / 2 for end, side, d in zip(ends, self.size, downsample, strict=True))
        if x < 0 or y < 0 or x >= self.size[0] or y >= self.size[1] or not inside:
            raise UsageError(
                f"{self.path}: the rectangle from x {x}, y {y} to x {ends[0]:g}, y {ends[1]:g} in level-0 "
                f"pixels reaches beyond the slide of {self.size[0]} x {self.size[1]}: give one inside it"
            )
        return Frames(
            bounds=Bounds(
                x=x,
                y=y,
                width=min(math.ceil(ends[0]), self.size[0]) - x,
                height=min(math.ceil(ends[1]), self.size[1]) - y,
            ),
            slide_mpp=self.mpp,
            downsample=downsample,
            label_size=(width, height),
        )

    def _downsample(self, mpp: float) -> tuple[float, float]:
        if not isinstance(mpp, Real) or not 0 < mpp < math.inf:
            raise UsageError(f"{self.path}: mpp={mpp!r} is not a resolution: give um per px, such as 0.5")
        finest = max(self.mpp)
        if finest > mpp * (1 + COARSER_TOLERANCE):
            raise MppError(
                f"{self.path}: {mpp:g} um per px is finer than the slide, which has {finest:g}: "
                f"ask for mpp={finest:g} or more"
            )
        x, y = self.mpp
        return snap_downsample(mpp / x), snap_downsample(mpp / y)


def open_slide(
    path: str | os.PathLike[str],
    *,
    mpp: float | None = None,
    from_level_0: bool = False,
    series: int | None = None,
) -> OpenSlide:
    """Open a slide to read from it.

    Parameters
    ----------
    path : str or path
        Any file that OpenSlide opens, or another TIFF, DICOM series, OME-Zarr or picture that
        `wsi-seg info` reads.
    mpp : float, optional
        The slide's micrometres per level-0 pixel, if the file states none or wrong ones.
    from_level_0 : bool
        Always read level 0, and none of the coarser levels in the file.
    series : int, optional
        Index of the image in the file, as `wsi-seg info` numbers them; by default the largest one in colour
        that is neither a label nor an overview.

    Raises
    ------
    SlideError
        If the file is missing or is not a slide.
    UsageError
        If no slide has that `mpp`, or the file has no image of that number.
    """
    stated = number_of("mpp", mpp)
    levels = LEVEL_0 if flag_of("from_level_0", from_level_0) else None
    return OpenSlide(Slide(path_of(path), stated, levels, image_of(series)))


def _whole(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise UsageError(f"{name}={value!r}: give a whole number of pixels")
    return int(value)
