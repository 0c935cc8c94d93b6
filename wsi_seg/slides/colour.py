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
    if icc_profile is None:
        return rgb
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))
        image = ImageCms.profileToProfile(Image.fromarray(rgb), profile, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError):
        return rgb
    return rgb if image is None else np.asarray(image)
