"""Plain images with masks, as training and evaluation read them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wsi_seg.data.masks import read_mask
from wsi_seg.data.sources import IGNORE, LabelledPixels
from wsi_seg.errors import AnnotationError
from wsi_seg.slides.picture import read_rgb

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from wsi_seg.data.masks import MaskCoding
    from wsi_seg.slides.lattice import Rect

MAX_KEPT_PIXELS = 2**24
"""Decoded pixels that a process keeps, four bytes each, as readers take several parts of a picture in a
row."""


@dataclass(frozen=True)
class LabelledImage:
    """An image and its mask: a `Source`.

    Attributes
    ----------
    name : str
        The image file's name without its suffix.
    size : (int, int)
        Width and height in pixels, of image and mask.
    image : Path
    mask : Path or None
        None if no class of the image is known.
    coding : MaskCoding
        The classes of the mask's values.
    instances : Path or None
        Picture that distinguishes single objects, as in Cityscapes.
    diagnosis : int or None
        Class of the whole image, from 0.
    """

    name: str
    size: tuple[int, int]
    image: Path
    mask: Path | None
    coding: MaskCoding
    instances: Path | None = None
    diagnosis: int | None = None

    def read(self, rect: Rect) -> LabelledPixels:
        """Read a rectangle that lies inside the picture.

        Raises
        ------
        SlideError
            If the image can't be read.
        AnnotationError
            If the mask can't be read, or has not the image's size.
        """
        whole = _kept.get(self)
        return LabelledPixels(whole.rgb[rect.slices].copy(), whole.classes[rect.slices].copy())

    def class_map(self, stride: int) -> NDArray[np.uint8]:
        """Return the class at the centre of each whole cell of `stride` x `stride` pixels, from the mask.

        Raises
        ------
        AnnotationError
            If the mask can't be read.
        """
        width, height = self.size
        centres = self._read_classes()[stride // 2 :: stride, stride // 2 :: stride]
        return centres[: height // stride, : width // stride].copy()

    def decode(self) -> LabelledPixels:
        """Read the whole picture; raises the errors of `read`."""
        rgb = read_rgb(self.image)
        classes = self._read_classes()
        if rgb.shape[:2] != classes.shape:
            raise AnnotationError(
                f"{self.mask}: {_size(classes)}, but {self.image} is {_size(rgb)}: "
                "give the mask of this image"
            )
        return LabelledPixels(rgb, classes)

    def _read_classes(self) -> NDArray[np.uint8]:
        if self.mask is None:
            return np.full(self.size[::-1], IGNORE, np.uint8)
        return read_mask(self.mask, self.coding)


class _Kept:
    """The most recently decoded pictures."""

    def __init__(self) -> None:
        self._pictures: OrderedDict[LabelledImage, LabelledPixels] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, source: LabelledImage) -> LabelledPixels:
        with self._lock:
            if source in self._pictures:
                self._pictures.move_to_end(source)
                return self._pictures[source]
        picture = source.decode()
        with self._lock:
            self._pictures[source] = picture
            while len(self._pictures) > 1 and self._pixels() > MAX_KEPT_PIXELS:
                self._pictures.popitem(last=False)
        return picture

    def _pixels(self) -> int:
        return sum(picture.classes.size for picture in self._pictures.values())


_kept = _Kept()


def _size(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
