"""Pixels of a slide as an array that knows its place on the slide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wsi_seg.slides.frames import Frames


class SlideImage(np.ndarray[tuple[int, ...], np.dtype[np.uint8]]):
    """An image read from a slide: a uint8 array of shape (height, width, 3), with its frame and resolution.

    Slices of it, and arrays computed from it, are plain arrays: their place would be another one.

    Attributes
    ----------
    frames : Frames or None
        The frame whose pixels these are: ``frames.label_to_slide(xy)`` turns a position in the image into
        level-0 pixels of the slide, `slide_xy`.
    """

    frames: Frames | None

    @classmethod
    def of(cls, rgb: NDArray[np.uint8], frames: Frames) -> Self:
        """Attach the frame to an array of pixels."""
        image = rgb.view(cls)
        image.frames = frames
        return image

    def __array_finalize__(self, made_from: NDArray[Any] | None) -> None:
        self.frames = None

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:  # one sample of it is a scalar, as in numpy
        part: NDArray[np.uint8] = np.asarray(self)[index]
        return part

    def __array_wrap__(self, array: NDArray[Any], context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else np.asarray(array)

    def __reduce__(self) -> Any:
        return np.asarray(self).__reduce__()  # a file or another process gets the pixels

    @property
    def mpp(self) -> tuple[float, float] | None:
        """Micrometres per pixel in x and y."""
        return None if self.frames is None else self.frames.label_mpp

    @property
    def origin_slide_xy(self) -> tuple[int, int] | None:
        """The position of its top-left corner in level-0 pixels of the slide."""
        return None if self.frames is None else (self.frames.bounds.x, self.frames.bounds.y)
