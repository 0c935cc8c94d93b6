"""The input of training and evaluation: pictures with the class of each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from wsi_seg.slides.lattice import Rect

IGNORE = 255
"""Class index of pixels whose class is not known: loss, weights, sampling and metrics ignore them."""


@dataclass(frozen=True)
class LabelledPixels:
    """Pixels and their known classes.

    Attributes
    ----------
    rgb : uint8 array, shape (height, width, 3)
    classes : uint8 array, shape (height, width)
        Class indices, which are positions in the class schema and a network's output channels, not the ids
        that label images hold; `IGNORE` where the class is unknown.
    """

    rgb: NDArray[np.uint8]
    classes: NDArray[np.uint8]


class Source(Protocol):
    """A slide with annotations, or an image with its mask. Pickles, and opens its files in each process."""

    @property
    def name(self) -> str:
        """The file's name without its suffix."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels at the resolution of reading (label pixels, for slides)."""

    @property
    def diagnosis(self) -> int | None:
        """Class of the whole picture, from 0; None if it is not known."""

    def read(self, rect: Rect) -> LabelledPixels:
        """Read a rectangle that lies inside the picture."""

    def class_map(self, stride: int) -> NDArray[np.uint8]:
        """Return the class at the centre of each whole cell of `stride` x `stride` pixels, cheaply.

        Returns
        -------
        NDArray of uint8, shape (height // stride, width // stride)
            Class indices, or `IGNORE`. Pixels that only reading the picture shows to be unknown keep their
            class.
        """
