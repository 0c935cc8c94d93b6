"""TIFFs of every make, of one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from conftest import tissue_rgb
from numpy.typing import NDArray

HEIGHT, WIDTH = 300, 420
RGB = tissue_rgb(HEIGHT, WIDTH)
PLANES = np.ascontiguousarray(np.moveaxis(RGB, 2, 0))
GREY = np.ascontiguousarray(RGB[..., 1])
PER_CM = (5000.0, 5000.0)
"""2 um per pixel."""


def write(path: Path, pixels: NDArray[Any], ome: bool = False, **options: Any) -> Path:
    """Write pixels in tiles of 128 px, at 2 um per pixel, unless the options say otherwise."""
    settings: dict[str, Any] = {
        "tile": (128, 128),
        "photometric": "minisblack",
        "compression": "deflate",
        "resolution": PER_CM,
        "resolutionunit": "CENTIMETER",
        "metadata": None,
        **options,
    }
    with tifffile.TiffWriter(path, ome=ome) as tiff:
        tiff.write(pixels, **{name: value for name, value in settings.items() if value != "leave"})
    return path


def channels(**attributes: list[Any]) -> dict[str, Any]:
    """Return OME metadata of an image with channels in planes."""
    return {"axes": "CYX", "Channel": attributes}
