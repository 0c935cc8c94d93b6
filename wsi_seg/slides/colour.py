"""Colours as a screen shows them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_srgb(rgb: NDArray[np.uint8], icc_profile: bytes | None) -> NDArray[np.uint8]:
    """Convert a picture from a slide's colour profile to sRGB.

    Pictures are then saved without a profile: a slide's can be larger than viewers read. A profile that is
    damaged, or not for RGB, changes nothing.

    Parameters
    ----------
    rgb : uint8 array, shape (height, width, 3)
    icc_profile : bytes or None
    """
    return SrgbConverter(icc_profile)(rgb)


class SrgbConverter:
    """Does what `to_srgb` does for many pictures of a slide: the conversion is computed once."""

    def __init__(self, icc_profile: bytes | None) -> None:
        self._transform: ImageCms.ImageCmsTransform | None = None
        if icc_profile is None:
            return
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
            self._transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
        except (ImageCms.PyCMSError, OSError):
            return

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a picture as a screen shows it; itself, where there is nothing to convert."""
        if self._transform is None:
            return rgb
        try:
            image = ImageCms.applyTransform(Image.fromarray(rgb), self._transform)
        except (ImageCms.PyCMSError, OSError):
            return rgb
        return rgb if image is None else np.asarray(image)
